package dev.edgekit.profile

import kotlin.math.roundToLong

/** Milliseconds a text over [count] timed calls, none of which is left out; [ci95] as in Python's profile. */
data class Latency(
    val count: Int,
    val mean: Double,
    val p50: Double,
    val p90: Double,
    val p95: Double,
    val p99: Double,
    val max: Double,
    val ci95: Map<String, Interval>,
    val byModel: Map<String, Latency> = emptyMap(),
)

/** How calls were timed: [warmup] untimed ones before each round, [calls] a round at most, back to back. */
data class Pacing(val warmup: Int, val rounds: Int, val calls: Int)

/** Timed calls in their order, and the role of the model that answered each. */
class Round(val milliseconds: DoubleArray, val models: List<String>)

/** Mean, percentiles and intervals of what was timed in one round or more. */
fun summarise(rounds: List<Round>): Latency {
    val whole = summary(rounds.map { it.milliseconds })
    val roles = rounds.flatMap { it.models }.distinct()
    if (roles == listOf(MAIN)) return whole
    val byModel = roles.associateWith { role ->
        summary(
            rounds.mapNotNull { round ->
                val own = round.models.indices.filter { round.models[it] == role }
                if (own.isEmpty()) null else DoubleArray(own.size) { round.milliseconds[own[it]] }
            },
        )
    }
    return whole.copy(byModel = byModel)
}

/** As a row of `samples_ms`: hundredths of a microsecond are noise. */
fun Round.shown(): List<Double> = milliseconds.map { (it * 1e5).roundToLong() / 1e5 }

private fun summary(rounds: List<DoubleArray>): Latency {
    val milliseconds = joined(rounds).apply { sort() }
    val (mean, p50, p90, p95, p99) = figures(milliseconds)
    val intervals = bootstrap(rounds, ::figures)
    val ci95 = LinkedHashMap<String, Interval>()
    SHARES.entries.forEachIndexed { index, (name, share) ->
        if (intervals != null && share * milliseconds.size >= TAIL) ci95[name] = intervals[index]
    }
    return Latency(milliseconds.size, mean, p50, p90, p95, p99, milliseconds.last(), ci95)
}

private fun figures(milliseconds: DoubleArray): DoubleArray {
    milliseconds.sort()
    val percentiles = listOf(50.0, 90.0, 95.0, 99.0).map { percentile(milliseconds, it) }
    return doubleArrayOf(milliseconds.average(), *percentiles.toDoubleArray())
}

private const val MAIN = "main"

/** So many calls must lie above a percentile before an interval is claimed for it. */
private const val TAIL = 10

/** Of the calls, those above each figure; written as Python computes them, so that both claim the same intervals. */
private val SHARES = linkedMapOf(
    "mean" to 1.0,
    "p50" to 1 - 50.0 / 100,
    "p90" to 1 - 90.0 / 100,
    "p95" to 1 - 95.0 / 100,
    "p99" to 1 - 99.0 / 100,
)
