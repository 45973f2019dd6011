package dev.edgekit.profile

import dev.edgekit.energy.Energy
import dev.edgekit.energy.Measured
import kotlinx.serialization.json.JsonArray
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive

/** What is measured: the bundle that the classifier came from, and what its loading took. */
data class Subject(
    val bundle: String,
    val name: String,
    val bytes: Long,
    val labels: List<String>,
    val engine: String,
    val distribution: String,
    val scheme: String,
    val threads: Int,
    /** Opening, checksums, the engine's loading and the golden texts, as measured when the app loaded it. */
    val loadMs: Double,
    /** The first text after that. */
    val firstMs: Double,
    /** The manifest's, as it is. */
    val history: JsonArray,
    /** Lengths that the engine has, or the bundle's buckets; rising. */
    val lengths: List<Int>,
    val maxLength: Int,
    /** How many tokens a text has, uncut. */
    val tokens: (String) -> Int,
    /** The app's version of edgekit. */
    val edgekit: String,
)

/** Everything that a bundle costs on this phone, under stated conditions. */
class Profile(
    val subject: Subject,
    val phone: Phone,
    val settings: BenchmarkSettings,
    val date: String,
    val latency: Latency,
    val byBucket: Map<Int, Latency>,
    val measured: Measured?,
    internal val timed: Timed,
    internal val thermal: List<ThermalSample>,
    private val texts: JsonObject,
    private val device: JsonObject,
    private val conditions: List<JsonObject>,
    private val memory: JsonObject,
) {
    /** Every timed call in milliseconds, a row a round. */
    val samples: List<DoubleArray> get() = timed.rounds.map { it.milliseconds }

    val energy: Energy get() =
        measured?.judgement?.energy ?: Energy.unavailable(if (settings.energy == null) NOT_ASKED else NO_GAUGE)

    /** The keys of `edgekit profile --json`, and `android`. What a phone cannot tell is null or empty. */
    fun toJson(): JsonObject = json(
        "bundle" to subject.bundle,
        "name" to subject.name,
        "bytes" to subject.bytes,
        "labels" to subject.labels,
        "date" to date,
        "edgekit" to subject.edgekit,
        "device" to device,
        "conditions" to conditions,
        "engine" to subject.engine,
        "distribution" to subject.distribution,
        "scheme" to subject.scheme,
        "threads" to subject.threads,
        "texts" to texts,
        "pacing" to timed.pacing.run {
            json("warmup" to warmup, "rounds" to rounds, "calls" to calls, "pause_ms" to 0.0)
        },
        "load_ms" to subject.loadMs,
        "first_ms" to subject.firstMs,
        "startup" to json(
            *arrayOf("runs" to 1, "evicted" to false, "python" to null, "imports" to null),
            *arrayOf("load" to subject.loadMs, "check" to null, "first" to subject.firstMs, "total" to null),
        ),
        "latency_ms" to json(latency),
        "samples_ms" to timed.rounds.map { it.shown() },
        "by_bucket" to byBucket.map { (tokens, each) -> json("tokens" to tokens, "latency_ms" to json(each)) },
        "by_threads" to emptyList<Any>(),
        "by_batch" to emptyList<Any>(),
        "throughput_per_s" to 1000 / latency.mean,
        "by_workers" to emptyList<Any>(),
        "stages_ms" to emptyMap<String, Any>(),
        "operators" to emptyList<Any>(),
        "operators_missing" to NO_OPERATORS,
        "memory_mib" to memory,
        "energy" to json(energy),
        "history" to subject.history,
        "android" to android(this),
    )

    private companion object {
        const val NOT_ASKED = "it was not asked for"
        const val NO_GAUGE = "this device has no battery's gauge that an app may read"
        const val NO_OPERATORS = "the engines for Android do not tell it: profile the same bundle with edgekit profile"
    }
}

private fun json(latency: Latency): JsonObject = latency.run {
    json(
        *arrayOf("count" to count, "mean" to mean, "p50" to p50, "p90" to p90, "p95" to p95, "p99" to p99),
        "max" to max,
        "ci95" to ci95.mapValues { (_, ends) -> listOf(ends.low, ends.high) },
        "by_model" to byModel.mapValues { (_, each) -> json(each) },
    )
}

private fun json(energy: Energy): JsonObject = energy.run {
    json(
        "status" to status.key,
        "source" to source,
        "mj_per_inference" to mjPerInference,
        "ci95" to ci95?.let { listOf(it.low, it.high) },
        "reason" to reason,
        "windows" to windows.map {
            val watts = arrayOf("idle_w" to it.idleW, "load_w" to it.loadW)
            json(*watts, "idle_s" to it.idleS, "load_s" to it.loadS, "inferences" to it.inferences)
        },
    )
}

/** An object; its values become JSON as they are: null, texts, numbers, lists and maps of them. */
internal fun json(vararg pairs: Pair<String, Any?>): JsonObject =
    JsonObject(pairs.associate { it.first to element(it.second) })

private fun element(value: Any?): JsonElement = when (value) {
    null -> JsonNull
    is JsonElement -> value
    is String -> JsonPrimitive(value)
    // JSON has no word for what is no number; a phone's driver may tell such.
    is Number -> if (value.toDouble().isFinite()) JsonPrimitive(value) else JsonNull
    is Boolean -> JsonPrimitive(value)
    is Map<*, *> -> JsonObject(value.entries.associate { it.key.toString() to element(it.value) })
    is Iterable<*> -> JsonArray(value.map(::element))
    else -> error("$value is no JSON")
}
