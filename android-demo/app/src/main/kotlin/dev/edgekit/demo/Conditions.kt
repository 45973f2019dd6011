package dev.edgekit.demo

import android.os.BatteryManager
import dev.edgekit.profile.PowerSample
import dev.edgekit.profile.Stage
import dev.edgekit.profile.ThermalSample

/** What is being done, in the user's language. */
fun Screen.stageOf(running: BenchmarkState.Running): String {
    val name = when (running.stage) {
        null -> return string(R.string.stage_loading)
        Stage.LATENCY -> string(R.string.stage_latency)
        Stage.LENGTHS -> string(R.string.stage_lengths)
        Stage.ENERGY -> string(R.string.stage_energy)
    }
    return if (running.total > 0) string(R.string.stage_of, name, running.done, running.total) else name
}

/** Battery and rails as they were read, nothing converted; null where nothing was. */
fun Screen.power(sample: PowerSample?): String? {
    if (sample == null) return null
    val lines = ArrayList<String>()
    val current = sample.currentRaw
    // A phone that does not tell it says Long.MIN_VALUE, or Int.MIN_VALUE.
    if (current != null && current > Int.MIN_VALUE) lines += string(R.string.battery_current, current)
    sample.voltageMv?.let { lines += string(R.string.battery_voltage, it) }
    lines += string(
        when {
            sample.status == BatteryManager.BATTERY_STATUS_CHARGING -> R.string.battery_charging
            (sample.plugged ?: 0) > 0 -> R.string.battery_plugged
            sample.plugged == 0 -> R.string.battery_discharging
            else -> R.string.battery_unknown
        },
    )
    sample.rails.forEach { lines += string(R.string.rail, it.name, it.energyUws / 1e6) }
    return lines.joinToString("\n")
}

/** Thermal status and headroom; null where the phone tells neither. */
fun Screen.heat(sample: ThermalSample?): String? {
    val status = sample?.status?.let { STATUS.getOrNull(it) }?.let { string(R.string.thermal_status, string(it)) }
    val headroom = sample?.headroom?.let { string(R.string.thermal_headroom, it) }
    return listOfNotNull(status, headroom).joinToString("\n").ifEmpty { null }
}

/** PowerManager.THERMAL_STATUS_NONE, LIGHT, MODERATE, SEVERE, CRITICAL, EMERGENCY, SHUTDOWN. */
private val STATUS = listOf(
    R.string.thermal_none,
    R.string.thermal_light,
    R.string.thermal_moderate,
    R.string.thermal_severe,
    R.string.thermal_critical,
    R.string.thermal_emergency,
    R.string.thermal_shutdown,
)
