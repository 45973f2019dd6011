package dev.edgekit.profile

import dev.edgekit.OptionException
import dev.edgekit.energy.EnergySettings
import dev.edgekit.energy.Status
import java.util.concurrent.CancellationException
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test

class BenchmarkTest {
    private val phone = VirtualPhone()
    private val quiet = BenchmarkSettings(energy = null)

    @Test
    fun `exactly so many calls are timed, of all texts, after the warm-up`() {
        for (runs in listOf(1, 19, 64, 700)) {
            val counted = VirtualPhone()
            val subject = quiet.copy(runs = runs, warmup = 3)
            val profile = counted.benchmark(subject).run()
            assertEquals(runs, profile.latency.count)
            assertEquals((runs / 20).coerceIn(1, 30), profile.samples.size)
            val calls = profile.samples.flatMap { it.toList() }
            assertEquals(List(runs) { listOf(1.0, 3.0, 7.0)[it % 3] }, calls)
        }
    }

    @Test
    fun `what is no number is null in the JSON`() {
        phone.heat = { ThermalSample(it, 1, Float.POSITIVE_INFINITY) }
        val json = phone.benchmark(quiet.copy(runs = 20)).run().toJson().toString()
        assertTrue(json, "\"headroom\":null" in json && "Infinity" !in json)
    }

    @Test
    fun `about so many seconds are timed, in some thirty rounds of all texts`() {
        val profile = phone.benchmark(quiet.copy(seconds = 9.0)).run()
        val milliseconds = profile.samples.sumOf { it.sum() }
        assertEquals(Pacing(20, 24, 87), profile.timed.pacing) // 9 s of 87 + 20 calls of 3.5 ms, by the pilot
        assertTrue("$milliseconds", milliseconds + 24 * 20 * 11 / 3.0 in 8_500.0..9_500.0)
        assertEquals(11 / 3.0, profile.latency.mean, 1e-9)
        assertEquals(3.0, profile.latency.p50, 0.0)
        assertEquals(7.0, profile.latency.max, 0.0)
    }

    @Test
    fun `of a time and a number of calls, what comes first ends it`() {
        val begin = phone.clock.millis()
        val long = phone.benchmark(quiet.copy(seconds = 2.0, runs = 100_000, warmup = 0)).run()
        assertEquals(2_000.0, long.samples.sumOf { it.sum() }, 7.0)
        assertTrue("${phone.clock.millis() - begin}", phone.clock.millis() - begin < 4_000)
        val few = VirtualPhone().benchmark(quiet.copy(seconds = 60.0, runs = 50)).run()
        assertEquals(50, few.latency.count)
        assertEquals(2, few.samples.size)
    }

    @Test
    fun `neither takes five seconds`() {
        val profile = phone.benchmark(quiet.copy(warmup = 0)).run()
        assertTrue(profile.samples.sumOf { it.sum() } in 4_500.0..5_500.0)
    }

    @Test
    fun `many texts are dealt out, evenly from all over the list`() {
        val many = List(100) { "word ".repeat(it).trim() } // of 1 to 99 words, ms
        val profile = phone.benchmark(quiet.copy(seconds = 30.0), many).run()
        val rounds = profile.samples.map { it.average() }
        assertTrue("$rounds", profile.timed.pacing.calls in 20..30 && rounds.all { it in 40.0..60.0 })
        assertTrue("every text has its turn", profile.samples.flatMap { it.toList() }.toSet().size >= 99)
    }

    @Test
    fun `rounds are never fewer than ten, however slow the model`() {
        val profile = phone.benchmark(quiet.copy(seconds = 0.1)).run()
        assertEquals(10, profile.samples.size)
    }

    @Test
    fun `each length is a text of at most so many tokens`() {
        val profile = phone.benchmark(quiet.copy(seconds = 1.0)).run()
        assertEquals(listOf(4, 8), profile.byBucket.keys.toList())
        assertEquals(4.0, profile.byBucket.getValue(4).p50, 0.0)
        assertEquals(8.0, profile.byBucket.getValue(8).p50, 0.0)
        assertEquals(profile.byBucket.getValue(4).count, profile.byBucket.getValue(8).count)
    }

    @Test
    fun `no text is cut within a character`() {
        val subject = VirtualPhone.SUBJECT.copy(lengths = listOf(3), tokens = { it.length })
        phone.benchmark(quiet.copy(runs = 1), listOf("\uD83D\uDE00\uD83D\uDE00"), subject).run()
        assertEquals(setOf("\uD83D\uDE00\uD83D\uDE00", "\uD83D\uDE00"), phone.seen)
    }

    @Test
    fun `texts are described as they are cut`() {
        val texts = phone.benchmark(quiet.copy(runs = 1)).run().toJson().getValue("texts").toString()
        val expected = """{"source":"three texts","count":3,"tokens_p50":3.0,"tokens_max":6,"truncated":${1 / 3.0}}"""
        assertEquals(expected, texts)
    }

    @Test
    fun `stopping takes one call at most, wherever it is`() {
        for (after in listOf(0, 1, 7, 30, 50, 400, 5_000, 20_000)) {
            val stopped = VirtualPhone()
            val asked = after.toLong()
            assertThrows(CancellationException::class.java) {
                stopped.benchmark(BenchmarkSettings(runs = 100)).run({ stopped.calls >= asked })
            }
            assertTrue("$after, ${stopped.calls}", stopped.calls <= after)
            assertTrue("the sampler and the busy threads are gone", stopped.clock.asleep && stopped.busyThreads == 0)
        }
    }

    @Test
    fun `stopping while every core is busy stops them`() {
        assertThrows(CancellationException::class.java) {
            phone.benchmark(BenchmarkSettings(runs = 1)).run({ phone.busyThreads > 0 })
        }
        assertEquals(0, phone.busyThreads)
    }

    @Test
    fun `heat is asked for within long rounds, too`() {
        phone.benchmark(quiet.copy(runs = 40, warmup = 0), listOf("word ".repeat(300).trim())).run()
        val gaps = phone.polls.zipWithNext { one, two -> two - one }
        assertTrue("$gaps", gaps.size > 10 && gaps.max() < 1_500)
    }

    @Test
    fun `heat is asked for once a second at most, and no number is no headroom`() {
        phone.heat = { ThermalSample(it, 0, if (phone.polls.size > 1) Float.NaN else 0.4f) }
        val profile = phone.benchmark(BenchmarkSettings(seconds = 3.0)).run()
        assertTrue(phone.polls.zipWithNext().all { (one, two) -> two - one >= 1_000 })
        assertTrue("${phone.polls.size}", phone.polls.size > 190)
        assertEquals(0.4f, profile.thermal[0].headroom)
        assertEquals(null, profile.thermal[1].headroom)
    }

    @Test
    fun `progress is told and ends with the total`() {
        val told = ArrayList<Triple<Stage, Int, Int>>()
        phone.benchmark(BenchmarkSettings(runs = 100)).run { stage, done, total -> told += Triple(stage, done, total) }
        assertEquals(Stage.entries, told.map { it.first }.distinct())
        for (stage in Stage.entries) {
            val (_, done, total) = told.last { it.first == stage }
            assertEquals(total, done)
        }
    }

    @Test
    fun `energy is in the profile`() {
        val profile = phone.benchmark(BenchmarkSettings(runs = 20)).run()
        val watts = VirtualPhone.VOLTS * (VirtualPhone.LOAD_A - VirtualPhone.IDLE_A)
        assertEquals(Status.GAUGE, profile.energy.status)
        assertEquals(watts * 11 / 3, profile.energy.mjPerInference ?: 0.0, 0.01 * watts * 11 / 3)
    }

    @Test
    fun `without a gauge, or where nobody asks, there is no figure`() {
        assertEquals("it was not asked for", phone.benchmark(quiet.copy(runs = 1)).run().energy.reason)
    }

    private fun BenchmarkSettings.refused(change: BenchmarkSettings.() -> BenchmarkSettings, said: String) {
        val error = assertThrows(OptionException::class.java) { change() }
        assertTrue(error.message, error.message.orEmpty().contains(said))
    }

    @Test
    fun `settings that cannot be are refused`() {
        quiet.refused({ copy(seconds = 0.0) }, "seconds must be over 0")
        quiet.refused({ copy(seconds = Double.NaN) }, "seconds must be over 0")
        quiet.refused({ copy(seconds = Double.POSITIVE_INFINITY) }, "at most 3600")
        quiet.refused({ copy(runs = 0) }, "runs are 1 to 1000000")
        quiet.refused({ copy(warmup = -1) }, "warm-up is 0 to")
        quiet.refused({ copy(energy = EnergySettings(windows = 4)) }, "4 windows are too few")
        quiet.refused({ copy(energy = EnergySettings(windowS = Double.NaN)) }, "over 0 and at most 600, not NaN")
        assertThrows(OptionException::class.java) { phone.benchmark(quiet, emptyList()) }
    }
}
