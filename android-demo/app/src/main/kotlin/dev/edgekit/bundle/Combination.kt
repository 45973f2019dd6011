package dev.edgekit.bundle

import dev.edgekit.BundleException
import dev.edgekit.json.Json

/**
 * How several models give one answer: the manifest's key `combine` (docs/combining.md).
 *
 * @property kind [CASCADE]: the models are asked in turn until one is sure; [AVERAGE]: all are asked, and the mean of
 *   their probabilities answers.
 * @property order The role of each model of the bundle, in the order in which they are asked; `main` ends a cascade.
 * @property threshold Of a cascade, the score from which on a model before the last one answers; null in an average.
 */
data class Combination(val kind: String, val order: List<String>, val threshold: Double?) {
    /**
     * Refuses what makes no sense for models of these [roles] in a manifest of this [schemaVersion].
     *
     * @throws BundleException It is of an unknown kind, over other models, needs a newer schema, or has a threshold
     *   that is missing, extra or no probability.
     */
    fun check(roles: List<String>, schemaVersion: Long) {
        val needed = SCHEMA_VERSIONS[kind]
            ?: refuse("combines its models by '$kind', not one of ${SCHEMA_VERSIONS.keys}", "install a newer app")
        if (order.size < 2 || order.sorted() != roles.sorted()) {
            refuse("must combine all of its models, two or more, each once: it has $roles, and the order is $order")
        }
        if (kind == AVERAGE) {
            if (threshold != null) refuse("has an average with a threshold, which only a cascade has")
        } else {
            if (order.last() != MAIN) refuse("has a cascade that ends with '${order.last()}'; it must end with 'main'")
            if (threshold == null || !(threshold > 0 && threshold <= 1)) { // so that NaN fails
                refuse("has a cascade whose threshold is $threshold; it must lie above 0 and not above 1")
            }
        }
        if (schemaVersion < needed) refuse("has an $kind, which needs schema version $needed, not $schemaVersion")
    }

    private fun refuse(wrong: String, next: String = "combine the models anew"): Nothing =
        throw BundleException("${Bundle.MANIFEST} $wrong; $next")

    companion object {
        /** The role of the model that answers where nothing is said of combining. */
        const val MAIN = "main"
        const val CASCADE = "cascade"
        const val AVERAGE = "average"

        /** Kind to the oldest schema in which it may stand. */
        private val SCHEMA_VERSIONS = mapOf(CASCADE to 1, AVERAGE to 2)

        internal fun decode(json: Json) = Combination(
            kind = json["kind"].text(),
            order = json["order"].list().map { it.text() },
            threshold = json.find("threshold")?.takeUnless { it.isNull }?.number(),
        )
    }
}
