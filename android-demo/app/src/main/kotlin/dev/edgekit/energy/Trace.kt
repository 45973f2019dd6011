package dev.edgekit.energy

import dev.edgekit.profile.PowerSample
import dev.edgekit.profile.ThermalSample

/** What the phone did in a phase: nothing, every core busy, or texts one after the other. */
enum class Activity { IDLE, BUSY, LOAD }

/** A time in which the state held, without the settling before it; milliseconds since boot. */
data class Phase(val activity: Activity, val beginMs: Long, val endMs: Long, val inferences: Int = 0) {
    val seconds: Double get() = (endMs - beginMs) / 1000.0
}

/**
 * All that was recorded, as it was read: first idle, busy and idle again, by which the gauge is calibrated, then load
 * and idle in turns.
 */
class Trace(val samples: List<PowerSample>, val phases: List<Phase>, val thermal: List<ThermalSample>) {
    /** Samples within a phase, in their order. */
    fun of(phase: Phase): List<PowerSample> = samples.filter { it.elapsedMs in phase.beginMs..phase.endMs }
}

/** The times and values as trapezoids: their integral, value x milliseconds. */
fun trapezoids(times: List<Long>, values: List<Double>): Double =
    (1 until times.size).sumOf { (values[it] + values[it - 1]) / 2 * (times[it] - times[it - 1]) }

/** How often what is read differs from what was read before it. */
fun moves(values: List<Any?>): Int = values.zipWithNext().count { (before, after) -> before != after }
