package dev.edgekit.bundle

import dev.edgekit.BundleException
import dev.edgekit.json.Json

/**
 * What a manifest says of how answers were spread at conversion. It is for monitors, which this reader has none of, so it
 * is checked as Python does and not kept.
 */
internal object Reference {
    private const val MOST_TEXTS = 1L shl 53
    private const val MOST_EDGES = 1000

    /** Refuses what cannot be such counts of the answers of so many [classes]. */
    fun check(json: Json, classes: Int) {
        val texts = json["texts"].whole()
        val labels = json["labels"].counts()
        val spreads = listOfNotNull(
            json["confidence"],
            json["tokens"],
            json["unknown"].takeUnless { it.isNull },
        ).map { spread -> Pair(spread["edges"].list().map { it.number() }, spread["counts"].counts()) }
        val counted = listOf(labels) + spreads.map { it.second }
        val sound = texts in 1..MOST_TEXTS && labels.size == classes && counted.all { addsUp(it, texts) } &&
            spreads.all { (edges, counts) -> ascends(edges) && counts.size == edges.size + 1 }
        if (!sound) {
            throw BundleException(
                "${Bundle.MANIFEST}.reference should count the same texts by label, confidence, tokens and unknown " +
                    "pieces, and does not; the file is damaged or was edited",
            )
        }
    }

    private fun Json.counts(): List<Long> = list().map { it.whole() }

    private fun addsUp(counts: List<Long>, texts: Long): Boolean {
        var left = texts
        for (count in counts) {
            if (count !in 0..left) return false
            left -= count
        }
        return left == 0L
    }

    private fun ascends(edges: List<Double>): Boolean =
        edges.size in 1..MOST_EDGES && edges.all { it.isFinite() } && edges.zipWithNext().all { (one, other) -> one < other }
}
