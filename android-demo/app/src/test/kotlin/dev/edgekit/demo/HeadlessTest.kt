package dev.edgekit.demo

import dev.edgekit.bundle.TestFiles
import java.io.File
import java.nio.file.Files
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive
import kotlinx.serialization.json.contentOrNull
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Test

/** What `edgekit android bench` sends, and what others might. */
class HeadlessTest {
    private val log = ArrayList<JsonObject>()

    private fun <T> bench(block: Bench.(Headless) -> T): T = Bench().use { bench ->
        File(bench.folder, "bench/$ID").mkdirs()
        bench.block(Headless(File(bench.folder, "bench"), bench.session) { log += Json.parseToJsonElement(it).jsonObject })
    }

    private fun Bench.file(name: String) = File(folder, "bench/$ID/$name")

    private fun Bench.answer(name: String = "result.json"): JsonObject = Json.parseToJsonElement(file(name).readText()).jsonObject

    private fun JsonObject.text(key: String): String? = getValue(key).jsonPrimitive.contentOrNull

    private fun Bench.end() = until("the end") { it.benchmark is BenchmarkState.Done || it.benchmark is BenchmarkState.Failed }

    private fun extras(vararg more: Pair<String, String>) = mapOf("id" to ID, "runs" to "30") + more

    @Test
    fun aRunLeavesItsProfile() = bench { headless ->
        TestFiles.probe.copyTo(file("bundle.edgekit"))
        file("texts.txt").writeText("\"what a film\"\n\"two\\nlines\"\n")
        file("result.json").writeText("an older one")
        assertTrue(headless.start(extras("bundle" to "bundle.edgekit", "texts" to "texts.txt", "threads" to "1", "engine" to "litert")))
        end()
        val profile = answer()
        assertEquals("bundle.edgekit", profile.text("bundle"))
        assertEquals(JsonPrimitive(2), profile.getValue("texts").jsonObject["count"])
        assertEquals(JsonPrimitive(30), profile.getValue("latency_ms").jsonObject["count"])
        assertEquals(listOf("done"), log.map { it.text("status") })
        assertEquals(ID, log.single().text("id"))
        val progress = answer("progress.json")
        assertTrue(progress.toString(), progress.text("stage") in listOf("latency", "lengths"))
        assertEquals(setOf("bundle.edgekit", "texts.txt", "result.json", "progress.json"), file("").list()!!.toSet())
        assertFalse(headless.atWork)
    }

    @Test
    fun withoutABundleTheBuiltInOneIsRun() = bench { headless ->
        assertTrue(headless.start(extras("out" to "mine.json")))
        end()
        assertTrue(answer("mine.json").text("bundle")!!.startsWith("demo-"))
    }

    @Test
    fun pathsAndLinksThatLeaveTheFolderAreRefused() = bench { headless ->
        val outside = File(folder, "outside.edgekit")
        TestFiles.probe.copyTo(outside)
        Files.createSymbolicLink(file("link.edgekit").toPath(), outside.toPath())
        val names = listOf(
            "../outside.edgekit", "..", ".", "", ".hidden", outside.path, "file://${outside.path}", "content://some/bundle",
            "a/b.edgekit", "a\\b.edgekit", "a\u0000b", "名.edgekit", "link.edgekit", "missing.edgekit",
        )
        for (name in names) {
            for (extra in listOf("bundle", "texts")) {
                assertFalse("$extra=$name", headless.start(extras(extra to name)))
                assertEquals("$extra=$name", "FileException", answer().text("kind"))
            }
        }
        for (name in listOf("../evil.json", "/tmp/evil.json", "evil.txt", "link.edgekit")) {
            assertFalse(headless.start(extras("out" to name)))
            assertEquals("OptionException", answer().text("kind"))
        }
        assertFalse(File(folder, "bench/evil.json").exists())
        assertEquals(TestFiles.probe.length(), outside.length())
    }

    @Test
    fun anIdThatIsNoneHasNoAnswerButTheLogLine() = bench { headless ->
        val elsewhere = File(folder, "elsewhere").apply { mkdirs() }
        Files.createSymbolicLink(File(folder, "bench/linked00").toPath(), elsewhere.toPath())
        for (id in listOf("../elsewhere", "short", "UPPERCASE", "nosuchfolder", "linked00", "")) {
            assertFalse(headless.start(mapOf("id" to id)))
        }
        assertFalse(headless.start(emptyMap()))
        assertEquals(7, log.size)
        assertTrue(log.all { it.text("id") == null && it.text("status") == "error" })
        assertEquals(0, elsewhere.list()!!.size)
    }

    @Test
    fun numbersAndWordsAreBounded() = bench { headless ->
        val bad = listOf(
            "runs" to "0", "runs" to "100001", "runs" to "1e3", "runs" to "99999999999", "seconds" to "NaN", "seconds" to "Infinity",
            "seconds" to "0", "seconds" to "3601", "threads" to "0", "threads" to "4096", "warmup" to "-1", "energy" to "yes",
            "engine" to "onnx", "surprise" to "1",
        )
        for (extra in bad) {
            assertFalse("$extra", headless.start(extras(extra)))
            assertEquals("$extra", "OptionException", answer().text("kind"))
            assertFalse(answer().text("error")!!.contains('\n'))
        }
        for (texts in listOf("", "no json", "[1]", "3")) {
            file("texts.txt").writeText(texts)
            assertFalse(headless.start(extras("texts" to "texts.txt")))
            assertEquals(texts, "FileException", answer().text("kind"))
        }
        assertEquals(BenchmarkState.Idle, session.state.benchmark)
    }

    @Test
    fun aBundleThatFailsIsToldByItsKind() = bench { headless ->
        file("bundle.edgekit").writeBytes(TestFiles.probe.readBytes().also { it[it.size / 2]++ })
        assertTrue(headless.start(extras("bundle" to "bundle.edgekit")))
        end()
        assertEquals("BundleIntegrityException", answer().text("kind"))
        assertEquals("BundleIntegrityException", log.single().text("kind"))
        assertTrue(headless.start(extras("engine" to "executorch")))
        until("the second end") { log.size == 2 && it.benchmark is BenchmarkState.Failed }
        assertEquals("EngineUnavailableException", answer().text("kind"))
    }

    @Test
    fun aSecondRunIsRefusedAndTheFirstGoesOn() = bench { headless ->
        File(folder, "bench/second00").mkdirs()
        assertTrue(headless.start(extras("runs" to "100000")))
        until("the middle") { (it.benchmark as? BenchmarkState.Running)?.done ?: 0 > 0 }
        assertFalse(headless.start(extras()))
        assertFalse("the files are the first one's", file("result.json").exists())
        assertFalse(headless.start(mapOf("id" to "second00")))
        val refused = Json.parseToJsonElement(File(folder, "bench/second00/result.json").readText()).jsonObject
        assertEquals("Busy", refused.text("kind"))
        assertTrue(session.state.benchmark is BenchmarkState.Running)
        session.cancel()
        end()
        assertEquals("Stopped", answer().text("kind"))
        assertEquals(listOf("Busy", "Busy", "Stopped"), log.map { it.text("kind") })
    }

    private companion object {
        const val ID = "run12345"
    }
}
