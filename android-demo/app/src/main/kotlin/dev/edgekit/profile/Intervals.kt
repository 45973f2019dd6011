package dev.edgekit.profile

import java.math.BigInteger
import kotlin.math.floor

/** Both ends of a 95 % interval. */
data class Interval(val low: Double, val high: Double)

/** The percentile of [sorted] values, at least one, with linear interpolation: numpy's default. */
fun percentile(sorted: DoubleArray, percent: Double): Double {
    val place = percent / 100 * (sorted.size - 1)
    val below = floor(place).toInt()
    val above = minOf(below + 1, sorted.size - 1)
    return sorted[below] + (sorted[above] - sorted[below]) * (place - below)
}

/**
 * Percentile-bootstrap intervals (Efron 1979) of statistics over what was measured in rounds: whole rounds are drawn.
 * The draws are those of the Python runtime, so that the same values give the same intervals on either.
 *
 * @param groups the values of each round; where there are no rounds, arrays of one value.
 * @param statistics maps values to statistics; it may reorder what it gets.
 * @return an interval a statistic; null where there are fewer than two rounds, of which nothing can be said.
 */
fun bootstrap(groups: List<DoubleArray>, statistics: (DoubleArray) -> DoubleArray): List<Interval>? {
    if (groups.size < 2) return null
    val draws = Draws()
    val found = List(RESAMPLES) {
        val drawn = List(groups.size) { groups[draws.below(groups.size)] }
        statistics(joined(drawn))
    }
    return found[0].indices.map { index ->
        val sorted = DoubleArray(RESAMPLES) { found[it][index] }.apply { sort() }
        Interval(percentile(sorted, 2.5), percentile(sorted, 97.5))
    }
}

/** One after the other. */
fun joined(groups: List<DoubleArray>): DoubleArray {
    val whole = DoubleArray(groups.sumOf { it.size })
    var place = 0
    for (group in groups) {
        group.copyInto(whole, place)
        place += group.size
    }
    return whole
}

/** The middle of values, at least one. */
fun median(values: DoubleArray): Double = percentile(values.sortedArray(), 50.0)

private const val RESAMPLES = 1000

/**
 * numpy's `default_rng(0).integers(bound)`: PCG64 (O'Neill 2014), whose halves Lemire's method (2019) brings below the
 * bound. Java has no 128-bit product before Android 12, and a few ten thousand draws cost nothing.
 */
private class Draws {
    private var state = BigInteger("35399562948360463058890781895381311971")
    private var half: Long? = null

    fun below(bound: Int): Int {
        val threshold = (1L shl 32) % bound
        while (true) {
            val product = word() * bound
            if (product and MASK_32 >= threshold) return (product ushr 32).toInt()
        }
    }

    /** 32 bits; of each draw the lower half comes first. */
    private fun word(): Long {
        half?.let {
            half = null
            return it
        }
        state = state.multiply(MULTIPLIER).add(INCREMENT).and(MASK_128)
        val folded = state.shiftRight(64).toLong() xor state.toLong()
        val drawn = java.lang.Long.rotateRight(folded, state.shiftRight(122).toInt())
        half = drawn ushr 32
        return drawn and MASK_32
    }

    private companion object {
        const val MASK_32 = 0xFFFFFFFFL
        val MASK_128: BigInteger = BigInteger.ONE.shiftLeft(128).subtract(BigInteger.ONE)
        val MULTIPLIER = BigInteger("47026247687942121848144207491837523525")
        val INCREMENT = BigInteger("87136372517582989555478159403783844777")
    }
}
