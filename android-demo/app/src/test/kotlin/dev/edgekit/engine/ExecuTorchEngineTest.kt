package dev.edgekit.engine

import dev.edgekit.BundleIntegrityException
import dev.edgekit.EngineException
import dev.edgekit.EngineUnavailableException
import dev.edgekit.bundle.Bundle
import dev.edgekit.bundle.FilePart
import dev.edgekit.bundle.Golden
import dev.edgekit.bundle.TestFiles
import dev.edgekit.bundle.edited
import dev.edgekit.bundle.refused
import java.io.File
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Assume.assumeTrue
import org.junit.Before
import org.junit.Test

/** The app's engine on a real ExecuTorch, that of Python (org.pytorch.executorch.Module of the tests). */
class ExecuTorchEngineTest {
    private val cache = TestFiles.folder()
    private val bundle = Bundle.open(TestFiles.probe)
    private val entry = bundle.manifest.answering.single()
    private val program = entry.programs.first { it.engine == "executorch" }
    private val golden = Golden.parse(bundle.read(entry.golden), entry.golden)

    private fun load(part: FilePart = bundle.part(program.file)): Engine =
        ExecuTorchEngine.load(program, part, cache, 1)

    private fun run(engine: Engine, ids: IntArray): FloatArray = engine.run(ids, FloatArray(ids.size) { 1f })

    @Before
    fun findExecuTorch() {
        try {
            load().close()
        } catch (error: EngineUnavailableException) {
            assumeTrue("${error.message}", System.getenv("CI") == "true")
            throw error
        }
    }

    @Test
    fun answersAsInPython() {
        load().use { engine ->
            for (item in golden.texts) {
                val ids = item.ids.copyOf(maxOf(item.ids.size, entry.text.minLength))
                val expected = item.logits.getValue(program.file).map { it.toFloat() }.toFloatArray()
                assertArrayEquals(item.text, expected, run(engine, ids), 1e-4f)
            }
        }
    }

    @Test
    fun thePrivateCopyIsMadeOnceAndAnewWhenItIsDamaged() {
        val copy = File(cache, "${bundle.part(program.file).sha256}.pte")
        assertEquals(listOf(copy), cache.listFiles()?.toList())
        copy.setLastModified(1_000_000_000_000)
        load().close()
        assertEquals(1_000_000_000_000, copy.lastModified())
        val right = copy.readBytes()
        copy.writeBytes(right.copyOf().also { it[100] = (it[100] + 1).toByte() })
        load().close()
        assertArrayEquals(right, copy.readBytes())
        copy.writeBytes(right + 0)
        load().close()
        assertArrayEquals(right, copy.readBytes())
    }

    @Test
    fun aWrongChecksumIsCaughtBeforeTheEngineSeesAByte() {
        cache.listFiles()?.forEach { it.delete() }
        val part = bundle.part(program.file).copy(sha256 = "0".repeat(64))
        refused<BundleIntegrityException> { load(part) }
        assertEquals(0, cache.listFiles()?.size)
    }

    @Test
    fun whatWouldEndTheProcessIsRefused() {
        load().use { engine ->
            refused<EngineException> { run(engine, intArrayOf()) }
            refused<EngineException> { run(engine, intArrayOf(2, -1, 3)) }
            refused<EngineException> { engine.run(intArrayOf(2, 3), floatArrayOf(1f, 0f)) }
            assertEquals(2, run(engine, golden.texts.last().ids).size)
        }
    }

    @Test
    fun whatItCannotRunAndWhatIsNoProgram() {
        load().use { engine ->
            refused<EngineException>("ExecuTorch cannot run model.pte at length 1000") { run(engine, IntArray(1000)) }
        }
        val junk = edited(TestFiles.probe, File(cache, "junk")) { name, bytes ->
            if (name == program.file) ByteArray(5000) else bytes
        }
        refused<EngineException>("ExecuTorch cannot load model.pte") { load(Bundle.open(junk).part(program.file)) }
    }

    @Test
    fun closedTwiceAndUsedAgain() {
        val engine = load()
        engine.close()
        engine.close()
        refused<EngineException>("closed") { run(engine, intArrayOf(2, 3)) }
    }
}
