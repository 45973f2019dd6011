package dev.edgekit.classify

import dev.edgekit.EngineException
import dev.edgekit.bundle.Program
import dev.edgekit.engine.Engine
import dev.edgekit.text.TextEncoder
import dev.edgekit.text.TextSpec
import java.io.Closeable

/** Classifies text with a bundle. Build it with [load]. Safe to share between threads; [close] frees the engines. */
interface Classifier : Closeable {
    /** Names of the classes, in the order of the logits. */
    val labels: List<String>

    /** The models that answer, each by itself, in the order in which they are asked. */
    val members: List<ModelClassifier>

    /** Name of the engine; of several models on different ones, each. */
    val engineNames: String get() = members.map { it.engine.name }.distinct().joinToString()

    /** What brings the engine, and its version; of several, each. */
    val distributions: String get() = members.map { it.engine.distribution }.distinct().joinToString()

    /** Precision of the program; of several models in different ones, each. */
    val schemes: String get() = members.map { it.program.scheme }.distinct().joinToString()

    /**
     * Classifies one text of any length; it is cut at the bundle's `max_length` tokens.
     *
     * @throws EngineException The engine failed, or was closed.
     */
    fun classify(text: String): Prediction

    override fun close() = members.forEach { it.engine.close() }
}

/**
 * One model of a bundle on one engine.
 *
 * @property role Role of the model in the bundle.
 * @property program What the engine runs, as the manifest describes it.
 * @property encoder What turns text into ids. Its ids alone are run, which lie within the vocabulary: at any other
 *   ExecuTorch may end the process.
 */
class ModelClassifier(
    override val labels: List<String>,
    val role: String,
    val program: Program,
    val engine: Engine,
    val encoder: TextEncoder,
) : Classifier {
    /** How text becomes ids. */
    val spec: TextSpec get() = encoder.spec

    override val members: List<ModelClassifier> get() = listOf(this)

    override fun classify(text: String): Prediction = classifyIds(encoder.ids(text))

    /** Classifies a text that is token ids already, at most `max_length` of them. */
    internal fun classifyIds(ids: IntArray): Prediction = Prediction.of(labels, softmax(logits(ids)), role)

    /** The program's raw answer to token ids, at most `max_length` of them: one logit a class. */
    internal fun logits(ids: IntArray): FloatArray {
        if (ids.size > spec.maxLength) {
            throw EngineException("the program takes ${spec.maxLength} tokens at most, not ${ids.size}; cut the text")
        }
        val padded = encoder.pad(ids, engine.lengths)
        val logits = engine.run(padded.ids, padded.mask)
        if (logits.size != labels.size) {
            val given = "${logits.size} logits for ${labels.size} labels"
            throw EngineException("the program gives $given; convert the model anew")
        }
        return logits
    }
}
