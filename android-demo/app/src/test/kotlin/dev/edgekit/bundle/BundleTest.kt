package dev.edgekit.bundle

import dev.edgekit.BundleException
import dev.edgekit.BundleIntegrityException
import dev.edgekit.BundleVersionException
import dev.edgekit.FileException
import java.io.File
import java.io.RandomAccessFile
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test

class BundleTest {
    private val folder = TestFiles.folder()
    private val copy = TestFiles.probe.copyTo(File(folder, "probe.edgekit"))

    @Test
    fun whatTheManifestSays() {
        val manifest = Bundle.open(copy).manifest
        assertEquals(listOf("negative", "positive"), manifest.labels)
        val model = manifest.answering.single()
        assertEquals(listOf("litert", "executorch", "onnx"), model.programs.map { it.engine })
        assertEquals(listOf(8, 16), model.text.buckets)
        assertEquals(listOf("1", "L"), model.programs[0].inputs[0].shape)
    }

    @Test
    fun programsAreMappedWhereTheyLie() {
        val part = Bundle.open(copy).part("model.tflite")
        assertEquals(0L, part.offset % Bundle.ALIGNMENT)
        val mapped = part.map()
        assertTrue(mapped.isDirect)
        assertArrayEquals(part.read(), ByteArray(mapped.remaining()).also { mapped.get(it) })
    }

    @Test
    fun oneByteChangedInAProgram() {
        val part = Bundle.open(copy).part("model.tflite")
        RandomAccessFile(copy, "rw").use { file ->
            file.seek(part.offset + part.size - 1)
            val last = file.read()
            file.seek(part.offset + part.size - 1)
            file.write(last xor 1)
        }
        val target = File(folder, "copy.tflite")
        for (reading in listOf<() -> Any>(part::read, part::check, part::map, { part.copyTo(target) })) {
            refused<BundleIntegrityException>("model.tflite", "differs from its checksum") { reading() }
        }
        assertEquals(listOf(copy), folder.listFiles()?.toList())
    }

    @Test
    fun aFileThatIsCutShortOrGoneAfterOpening() {
        val part = Bundle.open(copy).part("model.pte")
        RandomAccessFile(copy, "rw").use { it.setLength(part.offset + 10) }
        refused<BundleIntegrityException> { part.read() }
        refused<BundleIntegrityException> { part.map() }
        copy.delete()
        refused<FileException> { part.check() }
    }

    @Test
    fun aCopyIsTheWholeOfIt() {
        val part = Bundle.open(copy).part("model.pte")
        val target = File(folder, "new/copy.pte")
        part.copyTo(target)
        assertArrayEquals(part.read(), target.readBytes())
        assertEquals(listOf(target), target.parentFile?.listFiles()?.toList())
    }

    @Test
    fun aCopyToWhereNothingCanBeWritten() {
        val part = Bundle.open(copy).part("model.pte")
        refused<FileException>("cannot write") { part.copyTo(File(copy, "x/copy.pte")) }
    }

    @Test
    fun noFileAFolderAndNoBundle() {
        refused<FileException> { Bundle.open(File(folder, "none")) }
        refused<FileException> { Bundle.open(folder) }
        val junk = File(folder, "junk").apply { writeText("no zip at all, but longer than an end record") }
        refused<BundleException> { Bundle.open(junk) }
    }

    @Test
    fun aNewerSchemaIsToldBeforeAnythingElse() {
        val newer = edited(copy, File(folder, "newer"), manifest = { "{\"schema_version\": 4}" })
        refused<BundleVersionException>("version 4", "newer app") { Bundle.open(newer) }
    }

    @Test
    fun anEntryThatIsNotThere() {
        refused<BundleException>("it has tokenizer.json") { Bundle.open(copy).read("model.bin") }
    }
}
