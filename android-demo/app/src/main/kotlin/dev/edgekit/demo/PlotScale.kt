package dev.edgekit.demo

import kotlin.math.ceil
import kotlin.math.floor
import kotlin.math.log10
import kotlin.math.pow

/**
 * Timed calls as they are drawn.
 *
 * @property samplesMs Milliseconds of each call, in their order; not empty.
 * @property p50Ms Their median.
 * @property p95Ms Their 95th percentile.
 */
class Plot(val samplesMs: DoubleArray, val p50Ms: Double, val p95Ms: Double)

/** Where values lie on an axis from 0 to a round number above the highest. */
class PlotScale(highest: Double, ticks: Int) {
    /** Distance of two ticks: 1, 2 or 5 times a power of ten. */
    val step: Double = roundUp((if (highest > 0) highest else 1.0) / ticks.coerceAtLeast(1))

    /** End of the axis: the first tick that no value lies above. */
    val top: Double = step * ceil(highest / step - 1e-9).coerceAtLeast(1.0)

    /** The ticks, 0 first. */
    val ticks: List<Double> = (0..(top / step + 0.5).toInt()).map { it * step }

    /** Digits after the point that tell two ticks apart. */
    val digits: Int = (-floor(log10(step) + 1e-9)).toInt().coerceIn(0, 6)

    /** How far along the axis [value] lies, 0 to 1. */
    fun at(value: Double): Float = (value / top).coerceIn(0.0, 1.0).toFloat()

    companion object {
        private fun roundUp(value: Double): Double {
            val power = 10.0.pow(floor(log10(value)))
            val factor = value / power
            return power * (if (factor <= 1 + 1e-9) 1 else if (factor <= 2 + 1e-9) 2 else if (factor <= 5 + 1e-9) 5 else 10)
        }

        /**
         * Lowest and highest value of each of [columns] columns, so that more calls than pixels keep their outliers:
         * pairs, one after the other; fewer values than columns give a pair each.
         */
        fun columns(values: DoubleArray, columns: Int): DoubleArray {
            val count = minOf(values.size, columns.coerceAtLeast(1))
            val pairs = DoubleArray(2 * count)
            for (column in 0 until count) {
                val from = (column.toLong() * values.size / count).toInt()
                val until = ((column + 1L) * values.size / count).toInt()
                var low = values[from]
                var high = low
                for (index in from until until) {
                    if (values[index] < low) low = values[index]
                    if (values[index] > high) high = values[index]
                }
                pairs[2 * column] = low
                pairs[2 * column + 1] = high
            }
            return pairs
        }
    }
}
