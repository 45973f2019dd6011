package dev.edgekit.engine

import dev.edgekit.BundleIntegrityException
import dev.edgekit.EngineException
import dev.edgekit.bundle.Bundle
import dev.edgekit.bundle.FilePart
import dev.edgekit.bundle.Golden
import dev.edgekit.bundle.Program
import dev.edgekit.bundle.TestFiles
import dev.edgekit.bundle.edited
import dev.edgekit.bundle.refused
import java.io.File
import kotlin.concurrent.thread
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test

/** The app's engine on a real TensorFlow Lite, 2.15 for desktops (org.tensorflow.lite.Interpreter of the tests). */
class LiteRtEngineTest {
    private val folder = TestFiles.folder()
    private val bundle = Bundle.open(TestFiles.probe)
    private val entry = bundle.manifest.answering.single()
    private val program = entry.programs.first { it.engine == "litert" }
    private val golden = Golden.parse(bundle.read(entry.golden), entry.golden)

    private fun load(
        program: Program = this.program,
        part: FilePart = bundle.part(program.file),
        threads: Int = 1,
    ): Engine = LiteRtEngine.load(program, part, folder, threads)

    private fun answer(engine: Engine, ids: IntArray): FloatArray {
        val counted = maxOf(ids.size, entry.text.minLength)
        val length = engine.lengths.orEmpty().first { it >= counted }
        return engine.run(ids.copyOf(length), FloatArray(length) { if (it < counted) 1f else 0f }) // the pad id is 0
    }

    @Test
    fun answersAsTfliteRuntimeDidInPython() {
        for (threads in 1..2) {
            load(threads = threads).use { engine ->
                assertEquals("tensorflow-lite 2.15.0", engine.distribution)
                assertArrayEquals(intArrayOf(8, 16), engine.lengths)
                for (item in golden.texts) {
                    val expected = item.logits.getValue("model.tflite@tflite-runtime").map { it.toFloat() }
                    assertEquals(item.text, expected, answer(engine, item.ids).toList())
                }
            }
        }
    }

    @Test
    fun aProgramThatIsNotAligned() {
        val bundle = Bundle.open(edited(TestFiles.probe, File(folder, "unaligned")))
        val part = bundle.part(program.file)
        assertTrue("${part.offset}", part.offset % 4096 != 0L)
        load(part = part).use { assertEquals(2, answer(it, golden.texts[0].ids).size) }
    }

    @Test
    fun aWrongChecksumIsCaughtBeforeTheEngineSeesAByte() {
        val damaged = TestFiles.probe.readBytes()
        val part = bundle.part(program.file)
        damaged.fill(0, part.offset.toInt(), (part.offset + part.size).toInt())
        val file = File(folder, "damaged").apply { writeBytes(damaged) }
        refused<BundleIntegrityException> { load(part = Bundle.open(file).part(program.file)) }
    }

    @Test
    fun whatIsNoProgram() {
        val junk = edited(TestFiles.probe, File(folder, "junk")) { name, bytes ->
            if (name == program.file) ByteArray(5000) else bytes
        }
        refused<EngineException>("LiteRT cannot load model.tflite: ByteBuffer is not a valid") {
            load(part = Bundle.open(junk).part(program.file))
        }
    }

    @Test
    fun aLengthThatTheProgramDoesNotHave() {
        load().use { engine ->
            for (length in listOf(0, 1, 9, 17)) {
                refused<EngineException>("takes no text of $length tokens: it takes [8, 16]") {
                    engine.run(IntArray(length), FloatArray(length))
                }
            }
        }
    }

    @Test
    fun aManifestThatNamesOtherTensors() {
        refused<EngineException> { load(program.copy(inputs = program.inputs.take(1))) }
        val renamed = program.copy(inputs = program.inputs.map { it.copy(name = "other-${it.name}") })
        load(renamed).use { engine -> refused<EngineException> { answer(engine, golden.texts[0].ids) } }
    }

    @Test
    fun manyThreadsAndThenClosed() {
        val engine = load(threads = 2)
        val expected = golden.texts.map { answer(engine, it.ids).toList() }
        val wrong = ArrayList<String>()
        val threads = List(4) {
            thread {
                repeat(50) { round ->
                    val index = round % golden.texts.size
                    val right = answer(engine, golden.texts[index].ids).toList() == expected[index]
                    if (!right) synchronized(wrong) { wrong += "$index" }
                }
            }
        }
        threads.forEach { it.join() }
        assertEquals(emptyList<String>(), wrong)
        engine.close()
        engine.close()
        refused<EngineException>("closed") { answer(engine, golden.texts[0].ids) }
    }

    private fun IntArray?.orEmpty(): IntArray = this ?: IntArray(0)
}
