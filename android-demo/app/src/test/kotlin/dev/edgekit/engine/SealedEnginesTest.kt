package dev.edgekit.engine

import dev.edgekit.BundleSignatureException
import dev.edgekit.EngineException
import dev.edgekit.SealException
import dev.edgekit.bundle.Bundle
import dev.edgekit.bundle.Contents
import dev.edgekit.bundle.Program
import dev.edgekit.bundle.TestFiles
import dev.edgekit.bundle.refused
import dev.edgekit.classify.load
import dev.edgekit.trust.Trust
import dev.edgekit.trust.TrustedFiles
import java.io.File
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assume.assumeTrue
import org.junit.Test

/** Sealed bundles on the real engines: they answer as the open ones do, and nothing in the open is left on the disk. */
class SealedEnginesTest {
    private val cache = TestFiles.folder()
    private val key = TrustedFiles.key("seal.key")
    private val trust = Trust(listOf(TrustedFiles.signer("a")), key)

    private fun answers(file: File, engine: String, trust: Trust): List<Float> =
        load(file, cache, engine, trust = trust).use { classifier ->
            if (trust.signers.isNotEmpty()) assertEquals(emptyList<String>(), cache.list()?.toList())
            TEXTS.map { classifier.classify(it).score.toFloat() }
        }

    @Test
    fun liteRtOpensItInMemoryAlone() {
        val expected = answers(TestFiles.probe, "litert", Trust())
        for (name in listOf("sealed-signed", "sealed-one-segment")) {
            assertEquals(expected, answers(TrustedFiles.bundle(name), "litert", trustFor(name)))
        }
        assertEquals(emptyList<String>(), cache.list()?.toList())
    }

    private fun trustFor(name: String) = if (name == "sealed-signed") trust else Trust(keys = key)

    @Test
    fun execuTorchOpensItThroughAFileThatIsGoneOnceItIsLoaded() {
        val missing = ProcessBuilder(TestFiles.python, "-c", "import edgekit_executorch").start().waitFor() != 0
        assumeTrue("edgekit_executorch is not installed", !missing || System.getenv("CI") == "true")
        val sealed = answers(TrustedFiles.bundle("sealed-signed"), "executorch", trust)
        assertEquals(emptyList<String>(), cache.list()?.toList())
        assertEquals(answers(TestFiles.probe, "executorch", Trust()), sealed)
    }

    @Test
    fun aFileInTheOpenIsRemovedWhereTheLibraryRefusesItOrTheProcessWasKilled() {
        val bundle = Bundle.open(TrustedFiles.bundle("sealed-empty"))
        val program = bundle.manifest.models[0].programs.first { it.engine == "executorch" }
        val contents = bundle.program("model.tflite", key) // no program at all
        refused<EngineException>("ExecuTorch cannot load") { ExecuTorchEngine.load(program, contents, cache, 1).close() }
        assertEquals(emptyList<String>(), cache.list()?.toList())
        val kept = File(cache, "kept.pte").apply { writeText("an open one's") }
        File(cache, "opened-1234").mkdirs()
        File(cache, "opened-1234/program.pte").writeText("left behind")
        ExecuTorchEngine.tidy(cache)
        assertEquals(listOf(kept), cache.listFiles()?.toList())
    }

    @Test
    fun noEngineSeesAByteOfWhatWasTamperedWith() {
        val seen = ArrayList<String>()
        val watching = object : EngineLoader {
            override val name = "litert"

            override fun unavailable(): String? = null

            override fun load(program: Program, contents: Contents, cache: File, threads: Int): Engine {
                contents.buffer()
                seen += program.file
                return LiteRtEngine.load(program, contents, cache, threads)
            }
        }
        for (name in listOf("sealed-bit", "sealed-tag", "sealed-moved", "sealed-cut", "sealed-zeros")) {
            refused<SealException>("model.tflite") {
                load(TrustedFiles.bundle(name), cache, loaders = listOf(watching), trust = Trust(keys = key))
            }
        }
        refused<BundleSignatureException> { load(TestFiles.probe, cache, loaders = listOf(watching), trust = trust) }
        assertFalse("an engine was given $seen", seen.isNotEmpty())
    }

    private companion object {
        val TEXTS = listOf("ok", "what a film", "好看的电影", "")
    }
}
