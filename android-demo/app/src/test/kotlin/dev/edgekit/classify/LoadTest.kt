package dev.edgekit.classify

import dev.edgekit.BundleException
import dev.edgekit.EngineException
import dev.edgekit.EngineUnavailableException
import dev.edgekit.GoldenMismatchException
import dev.edgekit.OptionException
import dev.edgekit.bundle.Bundle
import dev.edgekit.bundle.Contents
import dev.edgekit.bundle.Golden
import dev.edgekit.bundle.Program
import dev.edgekit.bundle.TestFiles
import dev.edgekit.bundle.edited
import dev.edgekit.bundle.refused
import dev.edgekit.engine.Engine
import dev.edgekit.engine.EngineLoader
import dev.edgekit.engine.ExecuTorchEngine
import dev.edgekit.engine.LiteRtEngine
import dev.edgekit.engine.calling
import java.io.File
import org.junit.Assert.assertEquals
import org.junit.Test

class LoadTest {
    private val folder = TestFiles.folder()
    private val probe = TestFiles.probe

    /** LiteRT, with something else in the place of what loads a program. */
    private class Changed(
        private val reason: String? = null,
        private val loading: (() -> Engine) -> Engine = { it() },
    ) : EngineLoader {
        override val name = "litert"
        val loaded = ArrayList<Engine>()

        override fun unavailable(): String? = reason

        override fun load(program: Program, contents: Contents, cache: File, threads: Int): Engine =
            loading { LiteRtEngine.load(program, contents, cache, threads) }.also { loaded += it }
    }

    @Test
    fun theFirstEngineAnswersAsPythonDid() {
        val bundle = Bundle.open(probe)
        val golden = Golden.parse(bundle.read("golden.json"), "golden.json")
        load(probe, folder).use { classifier ->
            assertEquals("litert", classifier.engineNames)
            assertEquals("tensorflow-lite 2.15.0", classifier.distributions)
            assertEquals("int8-per-tensor", classifier.schemes)
            for (item in golden.texts) {
                val logits = item.logits.getValue("model.tflite@tflite-runtime").map { it.toFloat() }.toFloatArray()
                val scores = classifier.labels.zip(softmax(logits).asList()).toMap()
                val best = scores.entries.maxByOrNull { it.value }?.key.orEmpty()
                assertEquals(Prediction(best, scores.getValue(best), scores, "main"), classifier.classify(item.text.orEmpty()))
            }
        }
    }

    @Test
    fun theOtherEngineIsTakenWhereItIsAskedForOrTheFirstIsNotInTheApp() {
        load(probe, folder, engine = "executorch").use { assertEquals("executorch", it.engineNames) }
        val loaders = listOf(Changed(reason = "LiteRT is not in this app"), ExecuTorchEngine)
        load(probe, folder, loaders = loaders).use { assertEquals("int8", it.schemes) }
        refused<EngineUnavailableException>("LiteRT is not in this app") {
            load(probe, folder, engine = "litert", loaders = loaders)
        }
        refused<EngineUnavailableException>("nothing here runs", "LiteRT is not in this app") {
            load(probe, folder, loaders = loaders.take(1))
        }
    }

    @Test
    fun anEngineThatIsNotKnown() {
        refused<EngineUnavailableException>("no engine 'onnx'; it has litert, executorch") {
            load(probe, folder, engine = "onnx")
        }
    }

    @Test
    fun aBundleWithoutAProgramForTheEngine() {
        val file = edited(probe, File(folder, "one"), manifest = { it.replace("\"executorch\"", "\"other\"") })
        refused<EngineUnavailableException>("no program for executorch, only for litert, other, onnx: convert") {
            load(file, folder, engine = "executorch")
        }
    }

    @Test
    fun aGoldenLogitThatDiffers() {
        val file = edited(probe, File(folder, "golden")) { name, bytes ->
            val other = Regex("-1\\.1025333404541016|-1\\.0961322784423828") // on both generations of LiteRT
            if (name == "golden.json") bytes.decodeToString().replace(other, "-1.3").toByteArray() else bytes
        }
        val loader = Changed()
        refused<GoldenMismatchException>("tensorflow-lite 2.15.0 answers [-1.10", "model.tflite wrongly on this") {
            load(file, folder, loaders = listOf(loader))
        }
        refused<EngineException>("closed") { loader.loaded.single().run(IntArray(8), FloatArray(8)) }
        load(file, folder, verify = false).close()
    }

    /**
     * TensorFlow Lite 2.15 answers by scales per channel wrongly, as tflite-runtime 2.14 does (docs/tflite-runtime.md).
     * The bundle is what `convert_probe(out, ("litert",), "int8")` of edgekit_converters.probe writes.
     */
    @Test
    fun int8PerChannelIsAnsweredWronglyHereAndSoRefused() {
        val file = File(TestFiles.root, "android-demo/app/src/test/resources/per-channel.edgekit")
        refused<GoldenMismatchException>("tensorflow-lite 2.15.0 answers", "another --quantize scheme") {
            load(file, folder)
        }
    }

    @Test
    fun aLibraryThatDoesNotLoad() {
        val loader = Changed { load ->
            calling("LiteRT", "load model.tflite") {
                System.loadLibrary("of-another-processor")
                load()
            }
        }
        refused<EngineUnavailableException>("the native library of LiteRT does not load", "of-another-processor") {
            load(probe, folder, loaders = listOf(loader))
        }
    }

    private object Initialised {
        init {
            check(LoadTest::class.simpleName == "of another app") { "this processor\nlacks an instruction" }
        }

        fun load(): Engine = error("it was initialised")
    }

    @Test
    fun aLibraryThatFailsTwice() {
        val loaders = listOf(Changed { calling("LiteRT", "load model.tflite") { Initialised.load() } })
        refused<EngineUnavailableException>("does not load", "this processor lacks an instruction") {
            load(probe, folder, loaders = loaders)
        }
        refused<EngineUnavailableException>("does not load", "Initialised", "choose another engine") {
            load(probe, folder, loaders = loaders)
        }
    }

    @Test
    fun outOfMemory() {
        val loader = Changed { load ->
            calling("LiteRT", "load model.tflite") {
                check(LongArray(Int.MAX_VALUE).isEmpty())
                load()
            }
        }
        refused<EngineException>("not enough memory for LiteRT to load model.tflite; close other apps") {
            load(probe, folder, loaders = listOf(loader))
        }
    }

    @Test
    fun threadsBeginAtOne() {
        refused<OptionException>("1 or more, not 0") { load(probe, folder, threads = 0) }
    }

    @Test
    fun aDamagedTokenizerIsNoBundle() {
        val file = edited(probe, File(folder, "tokenizer")) { name, bytes ->
            if (name == "tokenizer.json") "{".toByteArray() else bytes
        }
        refused<BundleException> { load(file, folder) }
    }
}
