package dev.edgekit.classify

import dev.edgekit.bundle.Combination
import dev.edgekit.text.TextSpec

/**
 * Several models of a bundle that answer as one (docs/combining.md).
 *
 * @property members The models, in the order in which they are asked.
 */
abstract class Combined internal constructor(override val members: List<ModelClassifier>) : Classifier {
    override val labels: List<String> get() = members[0].labels

    /** The answers of the members, each asked when it comes to it; ids are computed anew only where they differ. */
    protected fun answers(text: String): Sequence<Prediction> = sequence {
        var ids = IntArray(0)
        for ((index, member) in members.withIndex()) {
            if (index == 0 || !sameIds(members[index - 1].spec, member.spec)) ids = member.encoder.ids(text)
            yield(member.classifyIds(ids))
        }
    }
}

/**
 * Asks the first model, and the next one only where it is not sure: its score lies under the threshold. That is the
 * cascade of Viola and Jones (2001), with the doubt measured as by Hendrycks and Gimpel (2017, arXiv 1610.02136).
 */
class Cascade internal constructor(members: List<ModelClassifier>, private val threshold: Double) : Combined(members) {
    override fun classify(text: String): Prediction {
        var last: Prediction? = null
        for (answer in answers(text)) {
            last = answer
            if (answer.score >= threshold) break // never for NaN
        }
        return checkNotNull(last) { "a cascade has two members or more" }
    }
}

/** Asks all models and answers the mean of their probabilities (Lakshminarayanan et al., 2017, arXiv 1612.01474). */
class Average internal constructor(members: List<ModelClassifier>) : Combined(members) {
    override fun classify(text: String): Prediction {
        val sums = DoubleArray(labels.size)
        for (answer in answers(text)) {
            answer.scores.values.forEachIndexed { index, probability -> sums[index] += probability }
        }
        return Prediction.of(labels, DoubleArray(sums.size) { sums[it] / members.size }, Combination.AVERAGE)
    }
}

/** Whether two models of a bundle give every text the same ids: only their padding may differ. */
internal fun sameIds(one: TextSpec, other: TextSpec): Boolean =
    one.copy(buckets = other.buckets, minLength = other.minLength) == other
