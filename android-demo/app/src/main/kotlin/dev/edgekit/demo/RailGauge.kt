package dev.edgekit.demo

import android.content.Context
import android.os.OutcomeReceiver
import android.os.PowerMonitor
import android.os.PowerMonitorReadings
import android.os.health.SystemHealthManager
import dev.edgekit.profile.RailReading
import java.util.concurrent.ArrayBlockingQueue
import java.util.concurrent.Executor
import java.util.concurrent.TimeUnit

/**
 * Energy counters of the phone's power rails (PowerMonitor): Android 15 and later. This class names types that older
 * Android lacks, so it must be touched only behind a check of the version.
 */
internal class RailGauge private constructor(
    private val health: SystemHealthManager,
    private val monitors: List<PowerMonitor>,
) {
    /** The counters now; empty where the phone does not answer in time or refuses. */
    fun read(): List<RailReading> = answered { answer ->
        health.getPowerMonitorReadings(
            monitors,
            DIRECT,
            object : OutcomeReceiver<PowerMonitorReadings, RuntimeException> {
                override fun onResult(result: PowerMonitorReadings) {
                    answer(monitors.mapNotNull { reading(it, result) })
                }

                override fun onError(error: RuntimeException) {
                    answer(emptyList())
                }
            },
        )
    }

    private fun reading(monitor: PowerMonitor, readings: PowerMonitorReadings): RailReading? {
        val energy = readings.getConsumedEnergy(monitor)
        if (energy == PowerMonitorReadings.ENERGY_UNAVAILABLE.toLong()) return null
        val measured = monitor.type == PowerMonitor.POWER_MONITOR_TYPE_MEASUREMENT
        return RailReading(monitor.name, measured, energy, readings.getTimestampMillis(monitor))
    }

    companion object {
        private const val LIMIT_MS = 2_000L

        /** Answers come on the binder's thread, which may offer to a queue. */
        private val DIRECT = Executor { it.run() }

        /** What the system service answers; nothing where it does not in time, or fails as a whole. */
        private fun <T> answered(ask: ((List<T>) -> Unit) -> Unit): List<T> {
            val answer = ArrayBlockingQueue<List<T>>(1)
            try {
                ask { answer.offer(it) }
            } catch (_: RuntimeException) { // the phone's maker's service: the battery's gauge is left then
                return emptyList()
            }
            return answer.poll(LIMIT_MS, TimeUnit.MILLISECONDS).orEmpty()
        }

        /** Null where the phone has no rails. */
        fun of(context: Context): RailGauge? {
            val health = context.getSystemService(SystemHealthManager::class.java) ?: return null
            val monitors = answered { answer -> health.getSupportedPowerMonitors(DIRECT) { answer(it) } }
            return if (monitors.isEmpty()) null else RailGauge(health, monitors)
        }
    }
}
