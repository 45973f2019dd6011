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
    fun read(): List<RailReading> {
        val answer = ArrayBlockingQueue<List<RailReading>>(1)
        health.getPowerMonitorReadings(
            monitors,
            DIRECT,
            object : OutcomeReceiver<PowerMonitorReadings, RuntimeException> {
                override fun onResult(result: PowerMonitorReadings) {
                    answer.offer(monitors.mapNotNull { reading(it, result) })
                }

                override fun onError(error: RuntimeException) {
                    answer.offer(emptyList())
                }
            },
        )
        return answer.poll(LIMIT_MS, TimeUnit.MILLISECONDS).orEmpty()
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

        /** Null where the phone has no rails. */
        fun of(context: Context): RailGauge? {
            val health = context.getSystemService(SystemHealthManager::class.java) ?: return null
            val answer = ArrayBlockingQueue<List<PowerMonitor>>(1)
            health.getSupportedPowerMonitors(DIRECT) { answer.offer(it) }
            val monitors = answer.poll(LIMIT_MS, TimeUnit.MILLISECONDS).orEmpty()
            return if (monitors.isEmpty()) null else RailGauge(health, monitors)
        }
    }
}
