package dev.edgekit.bundle

import dev.edgekit.BundleException
import dev.edgekit.GoldenMismatchException
import dev.edgekit.json.Json
import dev.edgekit.json.quoted
import kotlin.math.abs

/**
 * One text with its token ids and, for each program file, its logits; see [Golden.goldenKey] for older runtimes.
 *
 * @property text Null where it was taken out of the bundle, so that only its ids and logits can be compared.
 */
class GoldenText(val text: String?, val ids: IntArray, val logits: Map<String, DoubleArray>)

/** The golden texts of one model: what a bundle's programs must answer, wherever they run. */
class Golden(val texts: List<GoldenText>) {
    /**
     * Runs the golden texts through a tokenizer and an engine.
     *
     * @param file The program's entry in the bundle.
     * @param distribution Name and version of what runs it.
     * @param encode Text to token ids.
     * @param logits Token ids to logits, as many as there are classes.
     * @throws GoldenMismatchException Ids differ, a logit is off by more than [MAX_LOGIT_DIFFERENCE] (on an older
     *   runtime by more than that and what it was off at conversion), or a clear label changed.
     * @throws BundleException The golden texts have no logits for the program.
     */
    fun check(file: String, distribution: String, encode: (String) -> IntArray, logits: (IntArray) -> FloatArray) {
        val older = goldenKey(file, distribution)
        val most = MAX_LOGIT_DIFFERENCE + spread(file, older)
        for ((index, item) in texts.withIndex()) {
            val shown = "the golden text ${item.text?.let(::quoted) ?: "${index + 1}, whose words were taken out,"}"
            if (item.text != null && !encode(item.text).contentEquals(item.ids)) {
                throw GoldenMismatchException(
                    "the tokenizer here splits $shown otherwise than at conversion; convert the model anew",
                )
            }
            val expected = (item.logits[older] ?: item.logits[file] ?: DoubleArray(0))
                .let { wanted -> FloatArray(wanted.size) { wanted[it].toFloat() } }
            if (expected.size < 2) throw BundleException("$shown has no logits for $file; convert the model anew")
            val found = logits(item.ids)
            val near = found.size == expected.size &&
                found.indices.all { abs(found[it] - expected[it]) <= most } // so that NaN fails
            val highest = expected.sortedDescending()
            val clear = highest[0] - highest[1] > CLEAR_MARGIN
            if (!near || (clear && found.best() != expected.best())) {
                throw GoldenMismatchException(
                    "$distribution answers ${found.toList()} to $shown, where the conversion had " +
                        "${expected.toList()}: it runs $file wrongly on this device; try another engine, or another " +
                        "--quantize scheme",
                )
            }
        }
    }

    /** How far a program's logits were apart on two runtimes that are both right; 0 where only one was asked. */
    private fun spread(file: String, older: String): Double = texts.maxOf { item ->
        val one = item.logits[file]
        val other = item.logits[older]
        if (one == null || other == null || one.size != other.size) {
            0.0
        } else {
            one.indices.maxOfOrNull { abs(one[it] - other[it]) } ?: 0.0
        }
    }

    companion object {
        /** Engines on other processors round otherwise; a larger difference is a wrong answer. */
        const val MAX_LOGIT_DIFFERENCE = 0.05

        /** Labels must agree wherever the two highest golden logits lie further apart than this. */
        const val CLEAR_MARGIN = 0.1

        /** Android's distribution to the Python package of the same code, under whose name the golden logits stand. */
        private val SAME_CODE = mapOf("tensorflow-lite" to "tflite-runtime")

        /** Under which name a golden text has a program's logits on an older runtime that it was verified on, too. */
        fun goldenKey(file: String, distribution: String): String {
            val name = distribution.substringBefore(' ')
            return "$file@${SAME_CODE[name] ?: name}"
        }

        /**
         * Reads a golden file; [name] is its entry in the bundle, for messages.
         *
         * @throws BundleException It is malformed; the message names the place.
         */
        fun parse(bytes: ByteArray, name: String): Golden {
            val texts = Json.parse(bytes, name)["texts"].list().map { item ->
                GoldenText(
                    item["text"].takeUnless { it.isNull }?.text(),
                    item["ids"].list().map { it.id() }.toIntArray(),
                    item["logits"].entries().mapValues { (_, row) -> row.list().map { it.number() }.toDoubleArray() },
                )
            }
            if (texts.isEmpty()) throw BundleException("$name holds no golden texts; the file is damaged or was edited")
            return Golden(texts)
        }

        /** An id; one that no tokenizer gives is as wrong as any. */
        private fun Json.id(): Int = whole().let { if (it in 0..Int.MAX_VALUE) it.toInt() else -1 }

        private fun FloatArray.best(): Int =
            indices.fold(0) { best, each -> if (this[each] > this[best]) each else best }
    }
}
