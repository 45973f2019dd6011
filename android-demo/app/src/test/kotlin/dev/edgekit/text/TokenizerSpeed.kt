package dev.edgekit.text

import java.io.File
import java.util.Locale
import kotlin.random.Random
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonPrimitive
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive

/**
 * How many short texts of 20 words each become ids in a second, on one thread, when warm; and what reading a vocabulary
 * of 30,522 pieces takes. The words are those of tests/golden's vocabulary, by Zipf's law, some capitalised or unknown.
 */
object TokenizerSpeed {
    /** Texts a second and milliseconds to read a tokenizer, the best of several rounds each. */
    data class Figures(val textsPerSecond: Double, val loadMs: Double, val vocabulary: Int)

    fun measure(rounds: Int, texts: Int): Figures {
        val json = tokenizer(30_522)
        val loads = List(rounds) { seconds { TextEncoder(json, SPEC) } }
        val encoder = TextEncoder(json, SPEC)
        val made = texts(texts)
        val runs = List(rounds) { seconds { for (text in made) check(encoder.ids(text).size > 2) } }
        return Figures(texts / runs.min(), 1e3 * loads.min(), 30_522)
    }

    @JvmStatic
    fun main(arguments: Array<String>) {
        val found = measure(rounds = 8, texts = 20_000)
        println("%.0f texts a second".format(Locale.ROOT, found.textsPerSecond))
        println("%.0f ms to read %d pieces".format(Locale.ROOT, found.loadMs, found.vocabulary))
    }

    /** BERT's, as a bundle has it. */
    internal val SPEC = TextSpec(
        kind = "wordpiece",
        lowerCase = true,
        maxLength = 128,
        buckets = listOf(16, 32, 64, 128),
        specialIds = mapOf("pad" to 0, "unk" to 1, "cls" to 2, "sep" to 3),
        clean = emptyList(),
        stopWords = emptyList(),
        minLength = 1,
        dropped = null,
        tokenizer = "tokenizer.json",
    )

    private val golden = Json.parseToJsonElement(
        File(System.getProperty("edgekit.root"), "tests/golden/wordpiece.json").readText(),
    ).jsonObject.getValue("tokenizers").jsonObject.getValue("uncased").jsonObject
    private val pieces = golden.getValue("model").jsonObject.getValue("vocab").jsonObject.keys.toList()

    /** The golden tokenizer with pieces added up to a size. */
    private fun tokenizer(size: Int): ByteArray {
        val model = golden.getValue("model").jsonObject
        val vocabulary = pieces + List(size - pieces.size) { "piece$it" }
        val numbered = vocabulary.withIndex().joinToString(",", "{", "}") { "${JsonPrimitive(it.value)}:${it.index}" }
        val changed = (model - "vocab").entries.joinToString(",") { "\"${it.key}\":${it.value}" }
        val rest = (golden - "model").entries.joinToString(",") { "\"${it.key}\":${it.value}" }
        return "{$rest,\"model\":{$changed,\"vocab\":$numbered}}".toByteArray()
    }

    private fun texts(count: Int): List<String> {
        val random = Random(7)
        val words = pieces.filter { piece -> piece.length > 1 && piece.all { it in 'a'..'z' } }
        return List(count) {
            List(20) {
                val word = words[(words.size.toDouble().pow(random.nextDouble())).toInt().coerceAtMost(words.size - 1)]
                when (random.nextInt(20)) {
                    0 -> word.replaceFirstChar(Char::uppercaseChar)
                    1 -> "$word,"
                    2 -> "$word${random.nextInt(1000)}"
                    else -> word
                }
            }.joinToString(" ", postfix = ".")
        }
    }

    private fun Double.pow(exponent: Double): Double = Math.pow(this, exponent)

    private inline fun seconds(work: () -> Unit): Double {
        val start = System.nanoTime()
        work()
        return (System.nanoTime() - start) / 1e9
    }
}
