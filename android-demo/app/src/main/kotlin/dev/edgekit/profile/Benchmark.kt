package dev.edgekit.profile

import dev.edgekit.OptionException
import dev.edgekit.energy.EnergySession
import dev.edgekit.energy.EnergySettings
import dev.edgekit.energy.Measured
import dev.edgekit.energy.everyCoreBusy
import java.io.Closeable
import java.text.SimpleDateFormat
import java.util.Date
import java.util.Locale
import java.util.concurrent.CancellationException
import kotlinx.serialization.json.JsonObject

/**
 * How a benchmark runs.
 *
 * @property seconds how long latency is timed, about; null takes 5. Lengths take a fifth more, energy three minutes.
 * @property runs exactly so many timed calls instead; where [seconds] are given, too, whichever comes first.
 * @property warmup untimed calls before each round.
 * @property energy null measures none.
 * @throws OptionException a setting is invalid.
 */
data class BenchmarkSettings(
    val seconds: Double? = null,
    val runs: Int? = null,
    val warmup: Int = Timing.CALLS,
    val energy: EnergySettings? = EnergySettings(),
) {
    init {
        fun need(holds: Boolean, message: String) {
            if (!holds) throw OptionException(message)
        }
        val possible = seconds == null || (seconds > 0 && seconds <= MOST_S)
        need(possible, "seconds must be over 0, at most $MOST_S, not $seconds")
        need(runs == null || runs in 1..MOST_RUNS, "runs are 1 to $MOST_RUNS timed calls, not $runs")
        need(warmup in 0..MOST_RUNS, "warm-up is 0 to $MOST_RUNS calls, not $warmup")
    }

    private companion object {
        const val MOST_S = 3_600
        const val MOST_RUNS = 1_000_000
    }
}

/** What is being measured. */
enum class Stage { LATENCY, LENGTHS, ENERGY }

/** Told how far a benchmark is, on its own thread. */
fun interface Progress {
    fun at(stage: Stage, done: Int, total: Int)
}

/**
 * Measures what a bundle costs on this phone; the same figures as Python's, as far as a phone tells them.
 *
 * @param classify what is timed: a text in, the answer out.
 * @param texts what it is called with, at least one.
 * @param source where the texts come from, for the record.
 * @param power null where there is none: energy is unavailable then.
 * @param linux where /proc and /sys lie, for tests.
 * @param busy keeps every core busy until it is closed, for tests.
 * @throws OptionException there is no text.
 */
class Benchmark(
    private val subject: Subject,
    private val classify: Classify,
    private val texts: List<String>,
    private val source: String,
    private val settings: BenchmarkSettings,
    private val phone: Phone,
    private val clock: Clock,
    private val power: PowerGauge?,
    private val thermal: ThermalGauge?,
    private val linux: Linux = Linux(),
    private val busy: () -> Closeable = ::everyCoreBusy,
) {
    init {
        if (texts.isEmpty()) throw OptionException("there is no text in $source: give one or more")
    }

    /**
     * Runs it on the caller's thread, which should outlive the screen that shows it.
     *
     * @param stop asked between calls, and ten times a second while nothing is done.
     * @throws CancellationException it was stopped.
     */
    fun run(stop: () -> Boolean = { false }, progress: Progress = Progress { _, _, _ -> }): Profile {
        val watch = ThermalWatch(thermal, clock)
        val look = {
            if (stop()) throw CancellationException("the benchmark was stopped")
            watch.poll() // between calls, so that heat is told once a second however long a round is
        }
        val timing = Timing(clock, look)
        watch.poll()
        val before = linux.conditions(watch.latest())
        val device = linux.device(phone)
        val pace = settings.run { Pace(seconds, runs, warmup) }
        val timed = timing.inTurns(listOf(classify), texts, pace) { done, total ->
            progress.at(Stage.LATENCY, done, total)
        }.single()
        val byBucket = lengths(timing) { done, total -> progress.at(Stage.LENGTHS, done, total) }
        val memory = linux.memory()
        val measured = settings.energy?.let { energy(it, watch, look, progress) }
        watch.poll()
        val conditions = listOf(before, linux.conditions(watch.latest()))
        return Profile(
            subject, phone, settings, now(), summarise(timed.rounds), byBucket, measured, timed, watch.all(),
            described(), device, conditions, memory,
        )
    }

    /** Times a text of each length that the bundle has: the beginning of the texts, joined. */
    private fun lengths(timing: Timing, progress: (done: Int, total: Int) -> Unit): Map<Int, Latency> {
        val lengths = subject.lengths
        if (lengths.isEmpty()) return emptyMap()
        val long = StringBuilder()
        var next = 0
        while (next < texts.size + lengths.last() && subject.tokens(long.toString()) < lengths.last()) {
            long.append(if (long.isEmpty()) "" else " ").append(texts.getOrElse(next) { FILLER })
            next++
        }
        val made = lengths.map { beginning(long.toString(), it) }
        val pace = Pace(PART * (settings.seconds ?: Timing.SECONDS) / made.size, null, FEW)
        val those = made.map { text -> { _: String -> classify(text) } }
        val timed = timing.inTurns(those, listOf(""), pace, FEW, progress)
        return lengths.zip(timed) { length, each -> length to summarise(each.rounds) }.toMap()
    }

    /** A beginning of a text that has at most so many tokens; about the longest, and never half a character. */
    private fun beginning(text: String, tokens: Int): String {
        var low = 0
        var high = text.length
        while (low < high) {
            val middle = (low + high + 1) / 2
            if (subject.tokens(text.substring(0, middle)) <= tokens) low = middle else high = middle - 1
        }
        return text.substring(0, if (low > 0 && text[low - 1].isHighSurrogate()) low - 1 else low)
    }

    private fun energy(how: EnergySettings, watch: ThermalWatch, look: () -> Unit, progress: Progress): Measured? {
        if (power == null) return null
        var next = 0
        val classifyNext = { classify(texts[next++ % texts.size]); Unit }
        return EnergySession(how, clock, power, classifyNext, watch, look, busy)
            .run { done, total -> progress.at(Stage.ENERGY, done, total) }
    }

    /** Lengths of the texts in tokens, after the cut at the bundle's limit. */
    private fun described(): JsonObject {
        val counts = texts.map(subject.tokens)
        val cut = counts.map { minOf(it, subject.maxLength) }
        return json(
            "source" to source,
            "count" to texts.size,
            "tokens_p50" to median(DoubleArray(cut.size) { cut[it].toDouble() }),
            "tokens_max" to cut.max(),
            "truncated" to counts.count { it > subject.maxLength } / counts.size.toDouble(),
        )
    }

    private fun now(): String = SimpleDateFormat("yyyy-MM-dd'T'HH:mm:ssXXX", Locale.ROOT).format(Date())

    private companion object {
        /** Of the time for latency, the time for lengths beside it. */
        const val PART = 0.2
        const val FEW = 5

        /** Makes texts longer that are too short: it has a token in every vocabulary, if only an unknown one. */
        const val FILLER = "a good film, 电影很好."
    }
}
