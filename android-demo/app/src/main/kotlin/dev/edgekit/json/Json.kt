package dev.edgekit.json

import dev.edgekit.BundleException
import java.nio.ByteBuffer
import java.nio.charset.CharacterCodingException
import kotlinx.serialization.SerializationException
import kotlinx.serialization.json.Json as Parser
import kotlinx.serialization.json.JsonArray
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive

/**
 * A value in a JSON file and where it stands there, which each error names. What is accepted is what Python's `json`
 * accepts, but in UTF-8 alone: of keys that occur twice the last, and NaN and Infinity.
 */
internal class Json private constructor(val value: JsonElement, private val where: String) {
    val isNull: Boolean get() = value is JsonNull

    val isObject: Boolean get() = value is JsonObject

    val isText: Boolean get() = value is JsonPrimitive && value.isString

    /** The value under a key, which must be there; keys that nobody asks for are ignored. */
    operator fun get(key: String): Json =
        find(key) ?: throw BundleException("$where has no '$key'; the file is damaged, or not made by edgekit")

    /** The value under a key; null if there is none. */
    fun find(key: String): Json? = (value as? JsonObject ?: wrong("an object"))[key]?.let { Json(it, "$where.$key") }

    fun text(): String = (value as? JsonPrimitive)?.takeIf { it.isString }?.content ?: wrong("a string")

    fun flag(): Boolean = when (literal()) {
        "true" -> true
        "false" -> false
        else -> wrong("true or false")
    }

    /** A whole number; beyond 64 bits the largest or smallest that these hold. */
    fun whole(): Long {
        val digits = literal()?.takeIf(WHOLE::matches) ?: wrong("a whole number")
        return digits.toLongOrNull() ?: if (digits.startsWith("-")) Long.MIN_VALUE else Long.MAX_VALUE
    }

    fun number(): Double {
        val digits = literal() ?: wrong("a number")
        NOT_FINITE[digits]?.let { return it }
        if (!NUMBER.matches(digits)) wrong("a number")
        val number = digits.toDouble()
        if (number.isInfinite() && WHOLE.matches(digits)) wrong("a number in range")
        return number
    }

    fun list(): List<Json> =
        (value as? JsonArray ?: wrong("a list")).mapIndexed { index, item -> Json(item, "$where[$index]") }

    fun entries(): Map<String, Json> =
        (value as? JsonObject ?: wrong("an object")).mapValues { (key, item) -> Json(item, "$where.$key") }

    private fun literal(): String? = (value as? JsonPrimitive)?.takeIf { !it.isString }?.content

    private fun wrong(wanted: String): Nothing {
        val got = (value as? JsonPrimitive)?.content ?: if (value is JsonArray) "[…]" else "{…}"
        throw BundleException("$where should be $wanted, not ${quoted(got)}; the file is damaged or was edited")
    }

    companion object {
        /** Python's parser gives up near a thousand levels, the library near four hundred. */
        private const val MAX_DEPTH = 300
        private const val MAX_DIGITS = 4300
        private val WHOLE = Regex("-?(?:0|[1-9][0-9]*)")
        private val NUMBER = Regex("-?(?:0|[1-9][0-9]*)(?:\\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
        private val NOT_FINITE = mapOf(
            "NaN" to Double.NaN,
            "Infinity" to Double.POSITIVE_INFINITY,
            "-Infinity" to Double.NEGATIVE_INFINITY,
        )
        private val WORDS = setOf("true", "false", "null") + NOT_FINITE.keys

        /** Reads UTF-8 JSON out of a bundle, or throws a [BundleException] that names the file. */
        fun parse(bytes: ByteArray, where: String): Json {
            val value = tree(bytes, where)
            oddLiteral(value)?.let { throw invalid(where, "${quoted(it)} is no value") }
            return Json(value, where)
        }

        /** As [parse], but the library's own objects; words without quotes are not looked at. */
        fun tree(bytes: ByteArray, where: String): JsonElement = try {
            val text = decodeUtf8(bytes)
            checkText(text)?.let { throw invalid(where, it) }
            Parser.parseToJsonElement(text)
        } catch (error: CharacterCodingException) {
            throw invalid(where, "it is no UTF-8")
        } catch (error: SerializationException) {
            throw invalid(where, error.message.orEmpty().lineSequence().first())
        }

        private fun invalid(where: String, reason: String) =
            BundleException("$where is not valid JSON ($reason); the file is damaged or was edited")

        /** What the library lets pass: control characters in strings, and nesting without a bound. */
        private fun checkText(text: String): String? {
            var depth = 0
            var inside = false
            var escaped = false
            for (char in text) {
                when {
                    escaped -> escaped = false
                    inside && char == '\\' -> escaped = true
                    char == '"' -> inside = !inside
                    inside -> if (char < ' ') return "a string holds a control character"
                    char == '[' || char == '{' -> if (++depth > MAX_DEPTH) return "it is nested too deeply"
                    char == ']' || char == '}' -> depth--
                }
            }
            return null
        }

        /** A literal that is no JSON, anywhere: the library takes any word without quotes for a value. */
        private fun oddLiteral(root: JsonElement): String? {
            val open = ArrayDeque(listOf(root))
            while (open.isNotEmpty()) {
                when (val element = open.removeLast()) {
                    is JsonObject -> open.addAll(element.values)
                    is JsonArray -> open.addAll(element)
                    is JsonPrimitive -> if (!element.isString && isOdd(element.content)) return element.content
                }
            }
            return null
        }

        private fun isOdd(literal: String): Boolean = when {
            literal in WORDS -> false
            WHOLE.matches(literal) -> literal.trimStart('-').length > MAX_DIGITS
            else -> !NUMBER.matches(literal)
        }
    }
}

/** The beginning of a text out of a file, for messages, which are one line. */
internal fun quoted(text: String): String = "'${text.take(40).replace(CONTROL, "?")}'"

private val CONTROL = Regex("\\p{Cntrl}")

/** Text of UTF-8 bytes; throws a [CharacterCodingException] where they are none. */
internal fun decodeUtf8(bytes: ByteArray): String =
    Charsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString()
