package dev.edgekit.demo

import dev.edgekit.bundle.TestFiles
import dev.edgekit.bundle.edited
import java.io.ByteArrayInputStream
import java.io.File
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNull
import org.junit.Assert.assertTrue
import org.junit.Test

/** The launcher's screen from onCreate to the answer, on the real engine, tokenizer and bundle. */
class ClassifyActivityTest {
    private class Shown(private val bench: Bench) : ClassifyActivity() {
        val screen = FakeScreen()

        override fun session() = bench.session

        override fun screen() = screen

        fun begin() = apply {
            onCreate(null)
            onStart()
        }

        fun end() = onStop()
    }

    private fun FakeScreen.failure() = texts[R.id.failure]

    private fun pick(bench: Bench, contents: ByteArray, size: Long? = contents.size.toLong()) {
        bench.session.pick { Picked(ByteArrayInputStream(contents), size) }
        bench.until("the picked file") { it.model != Model.Opening }
    }

    @Test
    fun typedTextIsAnswered() = Bench().use { bench ->
        val screen = Shown(bench).begin().screen
        assertEquals(R.layout.classify, screen.layout)
        assertEquals(false, screen.enabled[R.id.classify])
        bench.until("the bundle") { it.model is Model.Ready }
        assertEquals(listOf("LiteRT"), screen.lists[R.id.engine])
        assertEquals(Runtime.getRuntime().availableProcessors(), screen.lists[R.id.threads]?.size)
        assertEquals(false, screen.visible[R.id.built_in])

        screen.typed[R.id.text] = "what a film"
        screen.click(R.id.classify)
        assertEquals(false, screen.enabled[R.id.classify])
        bench.until("an answer") { it.answer != null }
        val labels = (bench.session.state.model as Model.Ready).let { bench.session.state.answer!!.prediction.scores.keys }
        assertTrue(screen.texts[R.id.answer]!!, labels.any { screen.texts[R.id.answer]!!.startsWith(it) })
        assertTrue(screen.texts[R.id.detail]!!, Regex("""[\d.]+ ms, [1-9]\d* tokens.*""").matches(screen.texts[R.id.detail]!!))
        assertNull(screen.failure())
        assertEquals(true, screen.enabled[R.id.classify])
    }

    @Test
    fun anotherNumberOfThreadsLoadsAnew() = Bench().opened().use { bench ->
        val screen = Shown(bench).begin().screen
        val other = if (screen.selected[R.id.threads] == 0) 1 else 0
        if (other >= screen.lists[R.id.threads]!!.size) return@use
        screen.chosen.getValue(R.id.threads)(other)
        bench.until("the other number") { (it.model as? Model.Ready)?.threads == other + 1 }
        assertEquals(other, screen.selected[R.id.threads])
    }

    @Test
    fun anAppWithoutABundleSaysSo() = Bench(asset = null).use { bench ->
        val screen = Shown(bench).begin().screen
        bench.until("the look") { it.model == Model.None }
        assertEquals(strings("values")["no_bundle"], screen.texts[R.id.about])
        assertEquals(false, screen.enabled[R.id.classify])
        assertEquals(true, screen.enabled[R.id.pick])
        screen.click(R.id.built_in)
        bench.until("the refusal") { it.failure != null }
        assertEquals(strings("values")["error_file"], screen.failure())
    }

    @Test
    fun aDamagedBundleIsRefusedAndTheOneBeforeStays() = Bench().opened().use { bench ->
        val screen = Shown(bench).begin().screen
        val contents = TestFiles.probe.readBytes()
        contents[contents.size / 2] = (contents[contents.size / 2] + 1).toByte()
        pick(bench, contents)
        assertEquals(strings("values")["error_damaged"], screen.failure())
        assertTrue(screen.texts[R.id.failure_message]!!.contains("checksum"))
        screen.click(R.id.classify)
        bench.until("an answer") { it.answer != null }
        assertNull(screen.failure())
        val left = File(bench.folder, "bundles").list()!!.filterNot { it.startsWith("demo-") }
        assertEquals(emptyList<String>(), left)
    }

    @Test
    fun aNewerBundleIsRefused() = Bench().opened().use { bench ->
        val screen = Shown(bench).begin().screen
        val newer = edited(TestFiles.probe, File(bench.folder, "newer.edgekit"), manifest = {
            it.replace(Regex("(\"schema_version\":\\s*)\\d+"), "$199")
        })
        pick(bench, newer.readBytes())
        assertEquals(strings("values")["error_newer"], screen.failure())
    }

    @Test
    fun whatIsNoBundleIsRefused() = Bench().opened().use { bench ->
        val screen = Shown(bench).begin().screen
        pick(bench, "no bundle at all".toByteArray())
        assertEquals(strings("values")["error_bundle"], screen.failure())
    }

    @Test
    fun aBundleTooLargeForTheDiskIsRefused() = Bench(free = 16_300_000).opened().use { bench ->
        val screen = Shown(bench).begin().screen
        for (told in listOf(400_000L, null)) { // where the provider tells no size, it is the copying that stops
            pick(bench, ByteArray(400_000), told)
            assertEquals(strings("values")["error_file"], screen.failure())
            assertTrue(screen.texts[R.id.failure_message]!!, screen.texts[R.id.failure_message]!!.contains("too large"))
        }
    }

    @Test
    fun aPickedBundleIsOpenedAgainAndCanBeForgotten() = Bench().opened().use { bench ->
        val screen = Shown(bench).begin().screen
        pick(bench, TestFiles.probe.readBytes())
        assertEquals(false, (bench.session.state.model as Model.Ready).builtIn)
        assertEquals(true, screen.visible[R.id.built_in])
        assertTrue(File(bench.folder, "bundles/picked.edgekit").isFile)
        screen.click(R.id.built_in)
        bench.until("the built-in bundle") { (it.model as? Model.Ready)?.builtIn == true }
        assertFalse(File(bench.folder, "bundles/picked.edgekit").exists())
    }

    @Test
    fun errorsOfEnginesAreToldInWords() {
        val headlines = mapOf(
            "error_unavailable" to Broken(missing = "LiteRT is not in this app"),
            "error_library" to Broken(onLoad = { throw UnsatisfiedLinkError("dlopen failed: libtensorflowlite_jni.so") }),
            "error_memory" to Broken(onLoad = { throw OutOfMemoryError("Failed to allocate 4 MB") }),
            "error_other" to Broken(onLoad = { throw IllegalStateException("odd") }),
        )
        for ((headline, broken) in headlines) {
            Bench(listOf(broken)).use { bench ->
                val screen = Shown(bench).begin().screen
                bench.until(headline) { it.failure != null }
                assertEquals(strings("values")[headline], screen.failure())
                assertEquals(Model.None, bench.session.state.model)
            }
        }
    }

    @Test
    fun memoryThatEndsWhileClassifyingIsTold() {
        var full = false
        Bench(listOf(Broken(onRun = { if (full) throw OutOfMemoryError("Failed to allocate 4 MB") }))).opened().use { bench ->
            val screen = Shown(bench).begin().screen
            full = true
            screen.click(R.id.classify)
            bench.until("the failure") { it.failure != null }
            assertEquals(strings("values")["error_memory"], screen.failure())
            full = false
            screen.click(R.id.classify)
            bench.until("an answer") { it.answer != null }
        }
    }

    @Test
    fun aRotatedScreenShowsTheAnswerAndTheOldOneHearsNoMore() = Bench().opened().use { bench ->
        val first = Shown(bench).begin()
        first.screen.click(R.id.classify)
        first.end()
        val second = Shown(bench).begin()
        bench.until("an answer") { it.answer != null }
        assertNull(first.screen.texts[R.id.answer])
        assertTrue(second.screen.texts[R.id.answer] != null)
    }

    @Test
    fun aBundleThatFailsToLoadDoesNotReplaceTheOneThatWasPickedBefore() {
        var broken = false
        Bench(listOf(Broken(onLoad = { if (broken) error("odd") }))).opened().use { bench ->
            val screen = Shown(bench).begin().screen
            pick(bench, TestFiles.probe.readBytes())
            val other = edited(TestFiles.probe, File(bench.folder, "other.edgekit"), manifest = { "$it " }).readBytes()
            broken = true
            pick(bench, other)
            assertEquals(strings("values")["error_other"], screen.failure())
            val kept = File(bench.folder, "bundles/picked.edgekit")
            assertEquals(TestFiles.probe.length(), kept.length())
            assertFalse(File(bench.folder, "bundles/incoming.edgekit").exists())
            broken = false
            screen.click(R.id.classify)
            bench.until("an answer") { it.answer != null }
        }
    }

    @Test
    fun aPickThatFailsWhileTheFirstBundleOpensLeavesThatOne() = Bench().use { bench ->
        Shown(bench).begin() // made anew under the file picker: its result comes at once
        bench.session.pick { Picked(ByteArrayInputStream("no bundle".toByteArray()), null) }
        bench.until("the refusal") { it.failure != null }
        assertTrue("${bench.session.state.model}", bench.session.state.model is Model.Ready)
    }

    @Test
    fun aBuiltInBundleThatFailsToLoadDoesNotForgetThePickedOne() {
        var broken = false
        Bench(listOf(Broken(onLoad = { if (broken) error("odd") }))).opened().use { bench ->
            pick(bench, TestFiles.probe.readBytes())
            broken = true
            bench.session.openBuiltIn()
            bench.until("the refusal") { it.failure != null }
            broken = false
            bench.session.classify("what a film")
            bench.until("an answer") { it.answer != null }
        }
    }
}
