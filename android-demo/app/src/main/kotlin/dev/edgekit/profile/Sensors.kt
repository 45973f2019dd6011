package dev.edgekit.profile

import java.io.Closeable

/** Time. Tests have another, which passes as fast as they like. */
interface Clock {
    /** Nanoseconds since boot, sleep included: `SystemClock.elapsedRealtimeNanos()`. */
    fun nanos(): Long

    /** Does nothing meanwhile. */
    fun sleep(millis: Long)

    /** Calls [call] every [periodMs] in a thread of its own, until what is returned is closed. */
    fun every(periodMs: Long, call: () -> Unit): Closeable
}

/** Milliseconds since boot. */
fun Clock.millis(): Long = nanos() / 1_000_000

/** A [Clock] with a thread of Java's; Android's clock has only to tell the time. */
abstract class ThreadClock : Clock {
    override fun sleep(millis: Long) = Thread.sleep(millis)

    override fun every(periodMs: Long, call: () -> Unit): Closeable {
        val thread = Thread({
            try {
                while (!Thread.currentThread().isInterrupted) {
                    call()
                    Thread.sleep(periodMs)
                }
            } catch (_: InterruptedException) {
                // closed
            }
        }, "edgekit-sampler")
        thread.isDaemon = true
        thread.start()
        return Closeable {
            thread.interrupt()
            thread.join(LIMIT_MS) // a gauge that hangs must not hang the app
        }
    }

    private companion object {
        const val LIMIT_MS = 5_000L
    }
}

/** The phone, as its maker and Android name it. What is not told is null. */
data class Phone(
    /** `Build.MANUFACTURER`. */
    val manufacturer: String,
    /** `Build.MODEL`. */
    val model: String,
    /** `Build.SOC_MANUFACTURER` and `Build.SOC_MODEL`, API 31 and later. */
    val soc: String?,
    /** `Build.VERSION.RELEASE`: "15". */
    val version: String,
    /** `Build.VERSION.SDK_INT`. */
    val sdk: Int,
    /** The ABI that this process runs as: "arm64-v8a", "x86_64". */
    val abi: String,
    /** The app's version. */
    val app: String,
)

/** What the battery and the rails say at one moment. Everything as read: no unit is converted, no sign turned. */
data class PowerSample(
    /** When, milliseconds since boot, on the clock of [Clock.millis]. */
    val elapsedMs: Long,
    /** `BATTERY_PROPERTY_CURRENT_NOW` by `getLongProperty`, `Long.MIN_VALUE` and all; null where asking failed. */
    val currentRaw: Long?,
    /** `BATTERY_PROPERTY_CHARGE_COUNTER` by `getLongProperty`, µAh by the book. */
    val chargeRaw: Long? = null,
    /** `EXTRA_VOLTAGE` of ACTION_BATTERY_CHANGED, mV by the book. */
    val voltageMv: Int?,
    /** `EXTRA_PLUGGED`, 0 on battery; null where it is not told. */
    val plugged: Int?,
    /** `EXTRA_STATUS`: `BATTERY_STATUS_DISCHARGING` is 3; null where it is not told. */
    val status: Int?,
    /** PowerMonitor readings, API 35 and later; empty where there are none. */
    val rails: List<RailReading> = emptyList(),
)

/** One PowerMonitor, read once. */
data class RailReading(
    val name: String,
    /** `PowerMonitor.getType()`: whether it is a rail that is measured, not a consumer derived from such. */
    val measured: Boolean,
    /** Since some moment, µWs: `PowerMonitorReadings.getConsumedEnergy`. */
    val energyUws: Long,
    /** Of this reading, milliseconds since boot: `PowerMonitorReadings.getTimestampMillis`. */
    val timestampMs: Long,
)

/** Reads battery and rails; called from a sampler's thread, four times a second. */
fun interface PowerGauge {
    fun sample(): PowerSample
}

/** What PowerManager says of heat. */
data class ThermalSample(
    /** Milliseconds since boot. */
    val elapsedMs: Long,
    /** `getCurrentThermalStatus()`, API 29 and later: 3 is SEVERE; else null. */
    val status: Int?,
    /** `getThermalHeadroom(0)`, API 30 and later: 1 is where SEVERE begins; null where it is NaN or not told. */
    val headroom: Float?,
)

/** Asked at most once a second, as Android answers NaN to who asks more often: the app must not ask beside it. */
fun interface ThermalGauge {
    fun sample(): ThermalSample
}
