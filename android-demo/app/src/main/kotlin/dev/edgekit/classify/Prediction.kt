package dev.edgekit.classify

import kotlin.math.exp

/**
 * The answer to one text.
 *
 * @property label The most probable label.
 * @property score Its probability.
 * @property scores The probability of every label, in the model's order.
 * @property model Who answered: the role of a model of the bundle, `main` where there is one; `average` if all did.
 */
data class Prediction(val label: String, val score: Double, val scores: Map<String, Double>, val model: String) {
    companion object {
        /** The answer that probabilities give; of equal ones the first. */
        fun of(labels: List<String>, probabilities: DoubleArray, model: String): Prediction {
            var best = 0
            for (index in probabilities.indices) if (probabilities[index] > probabilities[best]) best = index
            return Prediction(labels[best], probabilities[best], labels.zip(probabilities.asList()).toMap(), model)
        }
    }
}

/** Probabilities of logits, in 64-bit floating point; if one is no number, none is. */
fun softmax(logits: FloatArray): DoubleArray {
    val highest = logits.fold(logits[0]) { highest, each -> if (each > highest) each else highest }.toDouble()
    val weights = DoubleArray(logits.size) { exp(logits[it].toDouble() - highest) }
    val total = weights.sum()
    return DoubleArray(weights.size) { weights[it] / total }
}
