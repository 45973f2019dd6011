package dev.edgekit.demo

import dev.edgekit.FileException
import dev.edgekit.OptionException
import dev.edgekit.classify.defaultThreads
import dev.edgekit.engine.Engines
import dev.edgekit.trust.RawSealingKey
import kotlinx.serialization.SerializationException
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonPrimitive
import java.io.File
import java.io.RandomAccessFile

/**
 * What an intent's extras ask for. Any app may send them, so every file is a plain name in a folder of this app, every
 * number is bounded, and what is not known is refused.
 *
 * @property folder The run's own folder, `bench/ID`.
 * @property out The file that takes the answer.
 */
class HeadlessRequest private constructor(
    val id: String,
    val folder: File,
    val out: File,
    private val extras: Map<String, String>,
) {
    /**
     * The benchmark that is asked for.
     *
     * @throws dev.edgekit.EdgekitException An extra is unknown, out of its bounds or no number, or a file is not there.
     */
    fun order(listener: BenchmarkOrder.Listener): BenchmarkOrder {
        val key = extras["key"]?.let { key(PlainName.existing(it, folder)) } // first: it is wiped even where the rest is refused
        val unknown = extras.keys - KNOWN
        if (unknown.isNotEmpty()) {
            throw OptionException("unknown extras ${unknown.sorted().joinToString()}: known are ${KNOWN.joinToString()}")
        }
        val named = extras["out"]
        if (named != null && named != out.name) {
            throw OptionException("out is \"${named.take(80)}\": give a plain name that ends in .json")
        }
        val engine = extras["engine"]
        if (engine != null && engine !in ENGINES) {
            throw OptionException("unknown engine \"${engine.take(40)}\": give one of ${ENGINES.joinToString()}")
        }
        val cores = Runtime.getRuntime().availableProcessors()
        return BenchmarkOrder(
            file = extras["bundle"]?.let { PlainName.existing(it, folder) },
            engine = engine,
            threads = BenchmarkOrder.whole("threads", extras["threads"], 1, cores) ?: minOf(defaultThreads(), cores),
            settings = BenchmarkOrder.settings(extras["runs"], extras["seconds"], extras["warmup"], energy()),
            texts = extras["texts"]?.let { texts(PlainName.existing(it, folder)) },
            out = out,
            listener = listener,
            key = key,
        )
    }

    /** The key of this run alone: its file is wiped and removed before anything else is done with it. */
    private fun key(file: File): RawSealingKey {
        try {
            if (file.length() > RawSealingKey.MAX_FILE_BYTES) throw FileException("${file.name} is no key file: give one")
            val master = RawSealingKey.bytesOf(file.readBytes())
            return RawSealingKey(master).also { master.fill(0) }
        } finally {
            wipe(file)
        }
    }

    private fun wipe(file: File) {
        try {
            RandomAccessFile(file, "rws").use { it.write(ByteArray(it.length().toInt())) }
        } finally {
            file.delete()
        }
    }

    private fun energy() = when (val text = extras["energy"]) {
        null, "false" -> false
        "true" -> true
        else -> throw OptionException("energy is \"${text.take(40)}\": give true or false")
    }

    companion object {
        private val ID = Regex("[a-z0-9]{8,32}")
        private val KNOWN = listOf("id", "bundle", "texts", "out", "engine", "threads", "runs", "seconds", "warmup", "energy", "key")
        private val ENGINES = Engines.ALL.map { it.name }
        private const val MOST_TEXTS = 10_000
        private const val MOST_TEXT_BYTES = 4_000_000L

        /**
         * Where the answer to [extras] goes; the rest of them is read by [order].
         *
         * @param bench The folder of all runs.
         * @throws dev.edgekit.EdgekitException There is no place for an answer.
         */
        fun of(extras: Map<String, String>, bench: File): HeadlessRequest {
            val id = extras["id"]
                ?: throw OptionException("the extra id is missing: give 8 to 32 letters a-z and digits")
            if (!ID.matches(id)) throw OptionException("id is \"${id.take(40)}\": give 8 to 32 letters a-z and digits")
            val folder = PlainName.of(id, PlainName.of(bench.name, bench.absoluteFile.parentFile ?: bench))
            if (!folder.isDirectory) {
                throw FileException("the folder bench/$id is not there: make it first, as the app's own")
            }
            val wanted = try {
                extras["out"]?.takeIf { it.endsWith(".json") }?.let { PlainName.of(it, folder) }
            } catch (_: FileException) {
                null // order() tells it; the answer goes to the usual file
            }
            return HeadlessRequest(id, folder, wanted ?: PlainName.of("result.json", folder), extras)
        }

        private fun texts(file: File): List<String> {
            if (file.length() > MOST_TEXT_BYTES) throw FileException("${file.name} has over 4 MB: give fewer texts")
            val lines = file.readLines().filter { it.isNotBlank() }
            if (lines.isEmpty() || lines.size > MOST_TEXTS) {
                throw FileException("${file.name} has ${lines.size} texts: give 1 to $MOST_TEXTS, a JSON string a line")
            }
            return lines.mapIndexed { index, line ->
                val value = try {
                    Json.parseToJsonElement(line) as? JsonPrimitive
                } catch (error: SerializationException) {
                    throw FileException("line ${index + 1} of ${file.name} is no JSON: give a JSON string a line", error)
                }
                value?.takeIf { it.isString }?.content
                    ?: throw FileException("line ${index + 1} of ${file.name} is no JSON string: give a JSON string a line")
            }
        }
    }
}
