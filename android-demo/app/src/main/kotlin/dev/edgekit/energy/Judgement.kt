package dev.edgekit.energy

import dev.edgekit.profile.Interval
import dev.edgekit.profile.SEVERE
import dev.edgekit.profile.ThermalSample
import dev.edgekit.profile.bootstrap
import dev.edgekit.profile.median
import java.util.Locale

/** What a trace tells: the figure or why there is none; what the gauge's readings mean, or why that is unknown. */
data class Judgement(val energy: Energy, val calibration: Calibration?, val uncalibrated: String)

/**
 * Judges a trace: rails if the phone tells of any, else the battery's gauge. Each load window is compared with the idle
 * ones around it, so that what drifts falls out; the figure is the median over windows, its interval a bootstrap.
 */
fun judge(trace: Trace): Judgement {
    var uncalibrated = ""
    val calibration = try {
        calibrate(trace)
    } catch (fault: SensorFault) {
        uncalibrated = fault.message.orEmpty()
        null
    }
    return Judgement(figure(trace, calibration, uncalibrated), calibration, uncalibrated)
}

private fun figure(trace: Trace, calibration: Calibration?, uncalibrated: String): Energy {
    trace.thermal.firstNotNullOfOrNull(::throttled)?.let { return Energy.unavailable(it) }
    val meters = LinkedHashMap<String, () -> Meter>()
    if (RailKind.of(trace.samples.first()) != null) meters["rails"] = { Rails(trace) }
    meters["gauge"] = { Gauge(trace, calibration ?: throw SensorFault(uncalibrated)) }
    val failed = LinkedHashMap<String, Energy>()
    for ((name, open) in meters) {
        val energy = measured(trace, open)
        if (energy.status == Status.UNAVAILABLE) {
            failed[name] = energy
        } else {
            return if (failed.isEmpty()) energy else energy.copy(source = "${energy.source}; not ${reasons(failed)}")
        }
    }
    return failed.values.singleOrNull() ?: Energy.unavailable(reasons(failed))
}

private fun reasons(failed: Map<String, Energy>): String =
    failed.entries.joinToString("; ") { "${it.key}: ${it.value.reason}" }

/** Why the phone's heat forbids a figure, if it does. */
fun throttled(heat: ThermalSample): String? = if ((heat.status ?: 0) < SEVERE) {
    null
} else {
    "the phone is throttled by heat (thermal status ${heat.status}): let it cool, and measure again"
}

/** The figure of a meter; a fault of it is the reason why there is none. */
private fun measured(trace: Trace, open: () -> Meter): Energy {
    val windows = ArrayList<Window>()
    var source = ""
    try {
        val meter = open()
        source = meter.source
        val phases = trace.phases.drop(CALIBRATION - 1)
        for (index in 1 until phases.size - 1 step 2) {
            windows += window(meter, phases[index - 1], phases[index], phases[index + 1])
        }
        val perText = windows.map { it.mjPerInference }
        val intervals = bootstrap(perText.map { doubleArrayOf(it) }) { doubleArrayOf(median(it)) }
        val (low, high) = checkNotNull(intervals) { "there are five windows or more" }.single()
        if (low <= 0) {
            throw SensorFault(
                String.format(
                    Locale.ROOT,
                    "load cannot be told from idling: between %.3g and %.3g mJ a text; close what else is running, " +
                        "or give more or longer windows",
                    low,
                    high,
                ),
            )
        }
        if (meter is Gauge) meter.checkResolution()
        return Energy(meter.status, source, median(perText.toDoubleArray()), Interval(low, high), windows = windows)
    } catch (fault: SensorFault) {
        return Energy.unavailable(fault.message.orEmpty(), source, windows)
    }
}

private fun window(meter: Meter, before: Phase, load: Phase, after: Phase): Window {
    val idleS = before.seconds + after.seconds
    val idleW = (meter.watts(before) * before.seconds + meter.watts(after) * after.seconds) / idleS
    return Window(idleW, meter.watts(load), idleS, load.seconds, load.inferences)
}
