package dev.edgekit.demo

import dev.edgekit.profile.PowerSample
import java.io.File
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNotNull
import org.junit.Assert.assertTrue
import org.junit.Test

class BenchmarkActivityTest {
    private class Shown(private val bench: Bench) : BenchmarkActivity() {
        val screen = FakeScreen()
        var rotating = false

        override fun session() = bench.session

        override fun screen() = screen

        override fun exports() = File(bench.folder, "export")

        override fun isChangingConfigurations() = rotating

        fun begin() = apply {
            onCreate(null)
            onStart()
        }

        fun end(rotating: Boolean) {
            this.rotating = rotating
            onStop()
            onDestroy()
        }

        fun start(runs: Int) = apply {
            screen.typed += mapOf(R.id.runs to "$runs", R.id.warmup to "2")
            screen.click(R.id.start)
        }
    }

    private fun running(state: State) = (state.benchmark as? BenchmarkState.Running)?.let { it.done > 0 } == true

    @Test
    fun figuresPlotAndExport() = Bench().opened().use { bench ->
        val screen = Shown(bench).begin().start(runs = 40).screen
        assertTrue(screen.lit)
        assertEquals(false, screen.enabled[R.id.start])
        bench.until("the end") { it.benchmark is BenchmarkState.Done }
        assertFalse(screen.lit)
        assertEquals(40, screen.plot?.samplesMs?.size)
        assertTrue(Regex("""[\d.]+ ms""").matches(screen.texts[R.id.p95]!!))
        assertTrue(screen.texts[R.id.energy_result]!!, screen.texts[R.id.energy_result]!!.startsWith("No figure: "))
        assertTrue(screen.texts[R.id.power]!!, screen.texts[R.id.power]!!.contains("-250000"))
        assertTrue(screen.texts[R.id.heat]!!, screen.texts[R.id.heat]!!.contains("light"))
        val export = File(bench.folder, "export").listFiles()!!.single()
        val profile = Json.parseToJsonElement(export.readText()).jsonObject
        assertEquals("litert", profile.getValue("engine").jsonPrimitive.content)
        assertNotNull(profile["latency_ms"])
        assertTrue(profile.getValue("history").toString(), profile.getValue("history").toString().contains("lower"))
    }

    @Test
    fun rotationInTheMiddleGoesOn() {
        var loads = 0
        Bench(listOf(Broken(onLoad = { loads++ }, onRun = { Thread.sleep(1) }))).opened().use { bench ->
            val first = Shown(bench).begin().start(runs = 500)
            bench.until("the middle", ::running)
            val before = loads
            first.end(rotating = true)
            first.screen.texts.clear()
            val second = Shown(bench).begin()
            assertTrue(second.screen.lit)
            assertEquals(false, second.screen.enabled[R.id.start])
            bench.until("the end") { it.benchmark is BenchmarkState.Done }
            assertEquals(500, second.screen.plot?.samplesMs?.size)
            assertEquals("one worker, one load", before, loads)
            assertTrue("the old screen hears no more", first.screen.texts.isEmpty())
        }
    }

    @Test
    fun leavingAndCancellingStop() = Bench().opened().use { bench ->
        for (leave in listOf(true, false)) {
            val shown = Shown(bench).begin().start(runs = 100_000)
            bench.until("the middle", ::running)
            if (leave) shown.end(rotating = false) else shown.screen.click(R.id.cancel)
            bench.until("the stop") { it.benchmark is BenchmarkState.Failed }
            assertEquals(Failure.STOPPED, (bench.session.state.benchmark as BenchmarkState.Failed).failure)
            if (!leave) assertEquals(strings("values")["error_stopped"], shown.screen.texts[R.id.failure])
        }
        assertFalse("no half profile", File(bench.folder, "export").list().orEmpty().any())
    }

    @Test
    fun aNumberOutOfBoundsIsRefusedBeforeWorkStarts() = Bench().opened().use { bench ->
        val screen = Shown(bench).begin().screen
        for ((id, text) in listOf(R.id.runs to "0", R.id.runs to "100001", R.id.seconds to "0.5", R.id.warmup to "-1", R.id.runs to "x")) {
            screen.typed.clear()
            screen.typed[id] = text
            screen.click(R.id.start)
            assertEquals(strings("values")["error_option"], screen.texts[R.id.failure])
            assertEquals(BenchmarkState.Idle, bench.session.state.benchmark)
        }
    }

    @Test
    fun numbersMayBeTypedAsThePhonesLanguageWritesThem() = Bench().opened().use { bench ->
        val screen = Shown(bench).begin().screen
        for ((seconds, runs) in listOf("1,5" to "20", "١٫٥" to "٢٠")) {
            screen.typed += mapOf(R.id.seconds to seconds, R.id.runs to runs)
            screen.click(R.id.start)
            val settings = bench.session.running!!.settings
            assertEquals(1.5, settings.seconds!!, 0.0)
            assertEquals(20, settings.runs)
            bench.until("the end") { it.benchmark is BenchmarkState.Done }
        }
    }

    @Test
    fun aCurrentThatThePhoneDoesNotTellIsNotShown() {
        for (untold in listOf(null, Long.MIN_VALUE, Int.MIN_VALUE.toLong())) {
            val shown = FakeScreen().power(PowerSample(0, untold, null, null, 0, 3))
            assertEquals(strings("values")["battery_discharging"], shown)
        }
    }
}
