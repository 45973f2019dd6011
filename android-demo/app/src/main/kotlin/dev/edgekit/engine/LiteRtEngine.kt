package dev.edgekit.engine

import dev.edgekit.EngineException
import dev.edgekit.bundle.Contents
import dev.edgekit.bundle.Program
import java.io.File
import org.tensorflow.lite.Interpreter
import org.tensorflow.lite.TensorFlowLite

/**
 * Runs a .tflite program by TensorFlow Lite, or the LiteRT library that has the same classes. The program has one
 * signature a length bucket, named `length_N`, and is mapped where it lies in the bundle, or opened in memory alone.
 */
class LiteRtEngine private constructor(
    private val interpreter: Interpreter,
    private val program: Program,
    override val lengths: IntArray,
    override val distribution: String,
) : Engine {
    override val name: String get() = NAME

    private val idsName = program.inputs.first { it.role == "ids" }.name
    private val maskName = program.inputs.first { it.role == "mask" }.name
    private val logits = program.outputs.first { it.role == "logits" }
    private val classes = logits.shape.last().toInt()
    private var closed = false

    @Synchronized
    override fun run(ids: IntArray, mask: FloatArray): FloatArray {
        if (closed) throw EngineException("the engine was closed; load the bundle again")
        if (ids.size !in lengths || mask.size != ids.size) {
            val offered = "it takes ${lengths.toList()}; convert the model anew"
            throw EngineException("the program takes no text of ${ids.size} tokens: $offered")
        }
        val output = arrayOf(FloatArray(classes))
        calling(LIBRARY, "run ${program.file} at length ${ids.size}") {
            val inputs = mapOf<String, Any>(idsName to arrayOf(ids), maskName to arrayOf(mask))
            interpreter.runSignature(inputs, mapOf<String, Any>(logits.name to output), "$SIGNATURE_PREFIX${ids.size}")
        }
        return output[0]
    }

    @Synchronized
    override fun close() {
        if (!closed) interpreter.close()
        closed = true
    }

    companion object : EngineLoader {
        private const val NAME = "litert"
        private const val LIBRARY = "LiteRT"
        private const val SIGNATURE_PREFIX = "length_"

        override val name: String get() = NAME

        override fun unavailable(): String? = absent("org.tensorflow.lite.Interpreter", LIBRARY)

        override fun load(program: Program, contents: Contents, cache: File, threads: Int): Engine {
            val missing = listOf("ids", "mask") - program.inputs.map { it.role }.toSet() +
                (listOf("logits") - program.outputs.map { it.role }.toSet())
            if (missing.isNotEmpty()) {
                throw EngineException("the manifest names no $missing of ${program.file}; convert the model anew")
            }
            return calling(LIBRARY, "load ${program.file}") {
                val interpreter = Interpreter(contents.buffer(), Interpreter.Options().setNumThreads(threads))
                try {
                    val keys = interpreter.signatureKeys.filter { it.startsWith(SIGNATURE_PREFIX) }
                    val lengths = keys.mapNotNull { it.removePrefix(SIGNATURE_PREFIX).toIntOrNull() }.sorted()
                    if (lengths.isEmpty()) {
                        throw EngineException("${program.file} has no signature length_N; convert the model anew")
                    }
                    val brought = Engines.distributions[NAME] ?: "tensorflow-lite ${TensorFlowLite.runtimeVersion()}"
                    LiteRtEngine(interpreter, program, lengths.toIntArray(), brought)
                } catch (error: Throwable) {
                    interpreter.close()
                    throw error
                }
            }
        }
    }
}
