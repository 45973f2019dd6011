package dev.edgekit.bundle

import dev.edgekit.BundleException
import dev.edgekit.BundleVersionException
import dev.edgekit.json.Json
import dev.edgekit.text.TextSpec
import kotlinx.serialization.json.JsonElement

/**
 * One input or output of a program.
 *
 * @property name The tensor's name in the program.
 * @property role `ids`, `mask` or `logits`.
 * @property dtype numpy's name of the element type.
 * @property shape Sizes in decimal; `L` stands for the length of the padded text.
 */
data class TensorSpec(val name: String, val role: String, val dtype: String, val shape: List<String>)

/**
 * One lowered form of a model.
 *
 * @property engine Name of the engine that runs it.
 * @property file Its entry in the bundle.
 * @property scheme How weights and activations are stored (`int8`, `int8-per-tensor`, `none`).
 * @property minEngine Oldest distribution known to run it, "NAME VERSION".
 * @property rightOn Python's distributions on which its golden texts are known to come out right.
 */
data class Program(
    val engine: String,
    val file: String,
    val scheme: String,
    val minEngine: String,
    val rightOn: List<String>,
    val inputs: List<TensorSpec>,
    val outputs: List<TensorSpec>,
)

/** One model of the bundle: its role, which no other has, its text, its golden texts and its lowered forms. */
data class ModelEntry(val role: String, val text: TextSpec, val golden: String, val programs: List<Program>)

/** Checksum (lower-case hexadecimal) and size of one entry of the bundle. */
data class FileEntry(val sha256: String, val bytes: Long)

/**
 * What a bundle says of itself (`manifest.json`, docs/bundle.md). [history] is checked and kept as it stands, for
 * profiles; `verify` and `reference`, which nobody here needs, are checked and not kept. Without [combine] the model of
 * role `main` answers, whatever others there are. Without [seal] the programs lie there as they are.
 */
data class Manifest(
    val name: String,
    val labels: List<String>,
    val models: List<ModelEntry>,
    val combine: Combination?,
    val files: Map<String, FileEntry>,
    val history: List<JsonElement>,
    val schemaVersion: Long,
    val seal: Seal? = null,
) {
    /** The models that answer, in the order in which they are asked. */
    val answering: List<ModelEntry>
        get() = (combine?.order ?: listOf(Combination.MAIN)).map { role -> models.first { it.role == role } }

    companion object {
        /** The newest schema that is read. */
        const val SCHEMA_VERSION = 3

        private const val STOP_WORDS = "stop-words"

        /**
         * Reads and checks a manifest.
         *
         * @throws BundleVersionException It was written by a newer edgekit.
         * @throws BundleException It is malformed; the message names the place.
         */
        fun parse(bytes: ByteArray): Manifest {
            val root = Json.parse(bytes, Bundle.MANIFEST)
            val version = if (root.isObject) root.find("schema_version")?.whole() ?: 1 else 1
            if (version > SCHEMA_VERSION) {
                throw BundleVersionException(
                    "the bundle has schema version $version, and this app reads up to $SCHEMA_VERSION: " +
                        "install a newer app",
                )
            }
            require(version >= 1) { "has schema version $version; versions begin at 1" }
            val manifest = Manifest(
                name = root["name"].text(),
                labels = root["labels"].texts(),
                models = root["models"].list().map(::model),
                combine = root.find("combine")?.takeUnless { it.isNull }?.let(Combination::decode),
                files = root.find("files")?.entries().orEmpty()
                    .mapValues { (_, file) -> FileEntry(file["sha256"].text(), file["bytes"].whole()) },
                history = root.find("history")?.list().orEmpty().onEach(::checkStep).map { it.value },
                schemaVersion = version,
                seal = root.find("sealed")?.takeUnless { it.isNull }?.let(Seal::decode),
            )
            root.find("verify")?.list()?.forEach(::checkReport)
            root.find("reference")?.takeUnless { it.isNull }?.let { Reference.check(it, manifest.labels.size) }
            check(manifest)
            return manifest
        }

        private fun model(json: Json) = ModelEntry(
            role = json["role"].text(),
            text = text(json["text"]),
            golden = json["golden"].text(),
            programs = json["programs"].list().map(::program),
        )

        private fun text(json: Json): TextSpec {
            val buckets = json["buckets"].list().map { it.whole() }
            val maxLength = json["max_length"].whole()
            val minLength = json.find("min_length")?.whole() ?: 1
            val specialIds = json["special_ids"].entries().mapValues { it.value.whole() }
            val dropped = json.find("dropped")?.takeUnless { it.isNull }?.whole()
            val vocabSize = json.find("vocab_size")?.takeUnless { it.isNull }?.whole()
            val numbers = specialIds.values + buckets + listOfNotNull(dropped)
            require(buckets.isNotEmpty() && buckets.first() >= 1 && buckets == buckets.toSortedSet().toList()) {
                "has buckets $buckets; they must be positive and ascend"
            }
            require(buckets.last() == maxLength) { "has a largest bucket that is not max_length" }
            require(minLength in 1..maxLength) { "has a min_length that does not lie between 1 and max_length" }
            require("pad" in specialIds) { "has special_ids without 'pad'" }
            require(numbers.all { it in 0..Int.MAX_VALUE }) {
                "has buckets, special_ids or dropped that are no 32-bit integers from 0"
            }
            require(dropped !in specialIds.values) { "drops an id that is one of special_ids" }
            require(vocabSize == null || vocabSize > specialIds.values.max() && vocabSize <= Int.MAX_VALUE) {
                "has a vocab_size that is no 32-bit integer above special_ids"
            }
            val spec = TextSpec(
                kind = json["kind"].text(),
                lowerCase = json["lower_case"].flag(),
                maxLength = maxLength.toInt(),
                buckets = buckets.map(Long::toInt),
                specialIds = specialIds.mapValues { it.value.toInt() },
                clean = json.find("clean")?.texts().orEmpty(),
                stopWords = json.find("stop_words")?.texts().orEmpty(),
                minLength = minLength.toInt(),
                dropped = dropped?.toInt(),
                tokenizer = json["tokenizer"].text(),
                vocabSize = vocabSize?.toInt(),
            )
            require(spec.stopWords.isNotEmpty() == (STOP_WORDS in spec.clean)) {
                "must have both stop_words and the step '$STOP_WORDS' in clean, or neither"
            }
            return spec
        }

        private fun program(json: Json) = Program(
            engine = json["engine"].text(),
            file = json["file"].text(),
            scheme = json["scheme"].text(),
            minEngine = json["min_engine"].text(),
            rightOn = json["right_on"].texts(),
            inputs = json["inputs"].list().map(::tensor),
            outputs = json["outputs"].list().map(::tensor),
        )

        private fun tensor(json: Json) = TensorSpec(
            name = json["name"].text(),
            role = json["role"].text(),
            dtype = json["dtype"].text(),
            shape = json["shape"].list().map { if (it.isText) it.text() else it.whole().toString() },
        )

        private fun checkStep(json: Json) {
            json["stage"].text()
            json.find("settings")?.entries()
            json.find("tools")?.entries()?.values?.forEach { it.text() }
        }

        private fun checkReport(json: Json) {
            for (key in listOf("engine", "role")) json[key].text()
            json["examples"].whole()
            for (key in listOf("agreement", "max_abs_logit_diff", "truncated")) json[key].number()
            for (key in listOf("accuracy", "accuracy_float", "accuracy_original", "f1")) {
                json[key].takeUnless { it.isNull }?.number()
            }
            json.find("distribution")?.text()
        }

        /** Refuses a manifest whose parts do not fit together. */
        private fun check(manifest: Manifest) {
            val labels = manifest.labels
            require(labels.size >= 2 && labels.toSet().size == labels.size) {
                "needs two or more different labels, not $labels"
            }
            val roles = manifest.models.map { it.role }
            require(roles.count { it == Combination.MAIN } == 1) { "needs exactly one model of role 'main'" }
            require(roles.toSet().size == roles.size) {
                "has two models of one role (${roles.joinToString()}); each needs its own"
            }
            manifest.combine?.check(roles, manifest.schemaVersion)
            val programs = manifest.models.flatMap { it.programs }.map { it.file }.toSet()
            manifest.seal?.check(programs, manifest.files, manifest.schemaVersion)
            for (model in manifest.models) {
                for (output in model.programs.flatMap { it.outputs }.filter { it.role == "logits" }) {
                    require(output.shape.lastOrNull() == labels.size.toString()) {
                        "names ${labels.size} labels, and logits of shape ${output.shape}"
                    }
                }
                val named = setOf(model.text.tokenizer, model.golden) + model.programs.map { it.file }
                val missing = named - manifest.files.keys
                require(missing.isEmpty()) { "names ${missing.sorted().joinToString()}, but not under 'files'" }
            }
        }

        private inline fun require(condition: Boolean, wrong: () -> String) {
            if (!condition) throw BundleException("${Bundle.MANIFEST} ${wrong()}; convert the model anew")
        }

        private fun Json.texts(): List<String> = list().map { it.text() }
    }
}
