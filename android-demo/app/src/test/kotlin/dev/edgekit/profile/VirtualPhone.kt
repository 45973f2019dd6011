package dev.edgekit.profile

import dev.edgekit.classify.Prediction
import dev.edgekit.energy.Activity
import java.io.Closeable
import java.io.File
import kotlinx.serialization.json.JsonArray

/** The checkout. */
val ROOT = File(checkNotNull(System.getProperty("edgekit.root")) { "-Dedgekit.root is the checkout" })

/** Test data beside the tests. */
fun resource(name: String) = File(ROOT, "android-demo/app/src/test/resources/$name")

/** A clock whose time passes only when somebody works or sleeps; who samples meanwhile is called in that thread. */
class VirtualClock : Clock {
    private val watchers = ArrayList<Watcher>()
    private var now = 1_000_000_000L
    val asleep get() = watchers.isEmpty()

    override fun nanos() = now

    override fun sleep(millis: Long) = pass(millis * 1_000_000)

    override fun every(periodMs: Long, call: () -> Unit): Closeable {
        val watcher = Watcher(periodMs * 1_000_000, now, call)
        watchers += watcher
        return Closeable { watchers -= watcher }
    }

    fun pass(nanos: Long) {
        val end = now + nanos
        while (true) {
            val next = watchers.minByOrNull { it.due } ?: break
            if (next.due > end) break
            now = maxOf(now, next.due)
            next.due += next.period
            next.call()
        }
        now = end
    }

    private class Watcher(val period: Long, var due: Long, val call: () -> Unit)
}

/** A phone that draws [IDLE_A], [BUSY_A] or [LOAD_A] at [VOLTS] and classifies a text in as many ms as it has words. */
class VirtualPhone(private val linux: Linux = Linux(resource("no such folder"))) {
    val clock = VirtualClock()
    var activity = Activity.IDLE
    var calls = 0
    val seen = HashSet<String>()
    var polls = ArrayList<Long>()
    var busyThreads = 0

    /** What the battery says; tests replace it. */
    var read: (Long) -> PowerSample = { now ->
        val amperes = doubleArrayOf(IDLE_A, BUSY_A, LOAD_A)[activity.ordinal]
        val dither = if (now / PERIOD_MS % 2 == 0L) 1.002 else 0.998
        PowerSample(now, Math.round(-1e6 * amperes * dither), null, (1000 * VOLTS).toInt(), 0, 3)
    }
    var heat: (Long) -> ThermalSample = { ThermalSample(it, 1, 0.5f) }

    fun classify(text: String): Prediction {
        calls++
        seen += text
        activity = Activity.LOAD
        clock.pass(1_000_000L * text.split(' ').size)
        activity = Activity.IDLE
        return Prediction("positive", 0.75, mapOf("negative" to 0.25, "positive" to 0.75), "main")
    }

    fun busy(): Closeable {
        activity = Activity.BUSY
        busyThreads++
        return Closeable {
            activity = Activity.IDLE
            busyThreads--
        }
    }

    fun benchmark(settings: BenchmarkSettings, texts: List<String> = TEXTS, subject: Subject = SUBJECT) = Benchmark(
        subject, ::classify, texts, "three texts", settings, PHONE, clock, { read(clock.millis()) },
        {
            polls += clock.millis()
            heat(clock.millis())
        },
        linux, ::busy,
    )

    companion object {
        const val IDLE_A = 0.25
        const val BUSY_A = 1.75
        const val LOAD_A = 0.75
        const val VOLTS = 3.9
        const val PERIOD_MS = 250
        val TEXTS = listOf("good", "a good film", "what a very long and bad film")
        val PHONE = Phone("Example", "Model One", "Maker Chip 3", "15", 35, "arm64-v8a", "1.0")
        val SUBJECT = Subject(
            "/data/user/0/dev.edgekit.demo/files/demo.edgekit", "demo", 57_000, listOf("negative", "positive"),
            "litert", "tensorflow-lite 2.16.1", "int8-per-tensor", 2, 41.5, 3.25, JsonArray(emptyList()), listOf(4, 8),
            6, { text -> text.split(' ').size }, "0.1.0",
        )
    }
}
