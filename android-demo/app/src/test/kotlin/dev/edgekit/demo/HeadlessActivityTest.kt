package dev.edgekit.demo

import android.os.Bundle
import java.io.File
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Test

/** The screen of a run that came over adb, made anew by the system while the run goes on. */
class HeadlessActivityTest {
    private class Shown(private val bench: Bench, private val headless: Headless) : HeadlessActivity() {
        var finished = false

        override fun session() = bench.session

        override fun headless() = headless

        override fun screen() = FakeScreen()

        override fun finish() {
            finished = true
        }

        public override fun onStart() = super.onStart()

        public override fun onResume() = super.onResume()

        public override fun onStop() = super.onStop()

        fun begin() = apply {
            onCreate(Bundle())
            onStart()
            onResume()
        }
    }

    private fun running(block: (Bench, Headless) -> Unit) = Bench().opened().use { bench ->
        File(bench.folder, "bench/$ID").mkdirs()
        val headless = Headless(File(bench.folder, "bench"), bench.session) {}
        assertTrue(headless.start(mapOf("id" to ID, "runs" to "100000")))
        bench.until("the middle") { (it.benchmark as? BenchmarkState.Running)?.done ?: 0 > 0 }
        block(bench, headless)
    }

    private fun Bench.stopped() = until("the stop") { it.benchmark is BenchmarkState.Failed }

    @Test
    fun aScreenThatNobodySawYetEndsNoRunAndOneThatWasSeenDoes() = running { bench, headless ->
        val shown = Shown(bench, headless).begin()
        shown.onStop()
        assertFalse("it turns on the phone's screen", bench.session.running!!.stop.get())
        shown.onStart()
        shown.onResume()
        shown.onWindowFocusChanged(true)
        shown.onStop()
        bench.stopped()
        assertFalse(headless.atWork)
    }

    @Test
    fun aScreenThatComesBackWaitsForItsIntentBeforeItCloses() = running { bench, headless ->
        val shown = Shown(bench, headless).begin()
        shown.onWindowFocusChanged(true)
        shown.onStop()
        bench.stopped()
        shown.onStart()
        assertFalse("onNewIntent is still to come", shown.finished)
        shown.onResume()
        assertTrue(shown.finished)
    }

    @Test
    fun theBenchmarkScreenThatItHidesDoesNotEndItsRun() = running { bench, _ ->
        val hidden = object : BenchmarkActivity() {
            override fun session() = bench.session

            override fun screen() = FakeScreen()

            fun hide() {
                onCreate(null)
                onStart()
                onStop()
            }
        }
        hidden.hide()
        assertFalse(bench.session.running!!.stop.get())
        bench.session.cancel()
        bench.stopped()
        assertEquals(null, bench.session.running)
    }

    private companion object {
        const val ID = "run12345"
    }
}
