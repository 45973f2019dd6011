package dev.edgekit.profile

import dev.edgekit.classify.Prediction
import kotlin.math.roundToInt

/** What is timed: a text in, the answer out. */
typealias Classify = (String) -> Prediction

/** What was timed of one [Classify]. */
class Timed(val pacing: Pacing, val rounds: List<Round>)

/**
 * How long is timed: about [seconds], or exactly [runs] calls, or, of both, what comes first; untimed calls before
 * a round.
 */
data class Pace(val seconds: Double?, val runs: Int?, val warmup: Int)

/**
 * Times calls in rounds as the Python runtime does: 30 rounds are aimed at, 10 are the fewest and 100 the most, of 20
 * to 200 calls each, whose texts are from all over the list.
 *
 * @param look called between calls: throws where the user has stopped it.
 */
class Timing(private val clock: Clock, private val look: () -> Unit) {
    /** Times several in turns from round to round, so that a slow moment meets all of them. */
    fun inTurns(
        those: List<Classify>,
        texts: List<String>,
        pace: Pace,
        calls: Int = CALLS,
        progress: (done: Int, total: Int) -> Unit = { _, _ -> },
    ): List<Timed> {
        val seconds = pace.seconds ?: SECONDS
        val sizes = if (pace.runs != null) counted(pace.runs) else timed(those, texts, seconds, pace, calls)
        val limited = pace.runs != null && pace.seconds != null
        val end = if (limited) clock.nanos() + (1e9 * seconds).toLong() else Long.MAX_VALUE
        val hands = maxOf(1, texts.size / sizes[0])
        val order = texts.indices.sortedBy { it % hands }.map { texts[it] }
        val rounds = those.map { ArrayList<Round>() }
        var dealt = 0
        for ((number, size) in sizes.withIndex()) {
            val hand = List(size) { order[(dealt + it) % order.size] }
            dealt += size
            for (place in those.indices) {
                val index = (place + number) % those.size
                rounds[index] += round(those[index], hand, pace, end)
            }
            if (clock.nanos() >= end) break
            progress(number + 1, sizes.size)
        }
        progress(sizes.size, sizes.size)
        val pacing = Pacing(pace.warmup, rounds[0].size, rounds[0].maxOf { it.milliseconds.size })
        return rounds.map { Timed(pacing, it) }
    }

    /** Sizes of rounds that fill the time, by a pilot; where they hold all texts, they hold each equally often. */
    private fun timed(those: List<Classify>, texts: List<String>, seconds: Double, pace: Pace, calls: Int): List<Int> {
        val pilot = List(calls) { texts[(it.toLong() * texts.size / calls).toInt()] }
        val piloted = pace.copy(warmup = calls)
        val callMs = those.maxOf { round(it, pilot, piloted, Long.MAX_VALUE).milliseconds.average() }
        val fit = (1000 * seconds / ROUNDS / callMs).coerceIn(calls.toDouble(), MOST_CALLS.toDouble()).toInt()
        val size = if (fit < texts.size) fit else (fit + texts.size - 1) / texts.size * texts.size
        val rounds = 1000 * seconds / ((size + pace.warmup) * callMs)
        return List(rounds.roundToInt().coerceIn(LEAST_ROUNDS, MOST_ROUNDS)) { size }
    }

    /** Sizes of rounds that make exactly so many calls. */
    private fun counted(runs: Int): List<Int> {
        val rounds = (runs / CALLS).coerceIn(1, ROUNDS)
        return List(rounds) { runs / rounds + if (it < runs % rounds) 1 else 0 }
    }

    /** One call at least; nothing but two readings of the clock lies between a call's begin and end. */
    private fun round(classify: Classify, texts: List<String>, pace: Pace, end: Long): Round {
        repeat(pace.warmup) {
            look()
            classify(texts[it * texts.size / pace.warmup])
        }
        val milliseconds = ArrayList<Double>(texts.size)
        val models = ArrayList<String>(texts.size)
        for (text in texts) {
            look()
            val begin = clock.nanos()
            val answer = classify(text)
            val done = clock.nanos()
            milliseconds += (done - begin) / 1e6
            models += answer.model
            if (done >= end) break
        }
        return Round(milliseconds.toDoubleArray(), models)
    }

    companion object {
        const val CALLS = 20

        /** Where neither a time nor a number of calls is asked for. */
        const val SECONDS = 5.0
        private const val MOST_CALLS = 200
        private const val LEAST_ROUNDS = 10
        private const val ROUNDS = 30
        private const val MOST_ROUNDS = 100
    }
}
