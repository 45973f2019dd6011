package dev.edgekit.text

import dev.edgekit.BundleException
import java.util.concurrent.Callable
import java.util.concurrent.Executors
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test

/** What the golden files do not show: refusals, threads and very long texts. */
class TextEncoderTest {
    @Test
    fun textsOfAnyLengthAreCutWithTheirSpecialTokens() {
        val encoder = encoder()
        assertArrayEquals(intArrayOf(2, 4, 5, 3), encoder.ids("A good"))
        assertArrayEquals(intArrayOf(2) + IntArray(14) { 5 } + intArrayOf(3), encoder.ids("good ".repeat(200_000)))
        assertArrayEquals(intArrayOf(2, 1, 3), encoder.ids("x".repeat(1_000_000)))
        assertEquals(2_002, encoder.wholeIds("good ".repeat(2_000)).size)
        assertArrayEquals(intArrayOf(2, 4, 3), encoder.ids("a" + "\u0301\u0334\u0323".repeat(100_000)))
    }

    @Test
    fun idsArePaddedToTheShortestLengthThatHoldsThem() {
        val encoder = encoder(spec.copy(minLength = 5))
        val padded = encoder.pad(intArrayOf(2, 4, 3), intArrayOf(4, 8, 16))
        assertArrayEquals(intArrayOf(2, 4, 3, 0, 0, 0, 0, 0), padded.ids)
        assertArrayEquals(floatArrayOf(1f, 1f, 1f, 1f, 1f, 0f, 0f, 0f), padded.mask, 0f)
        assertEquals(5, encoder.pad(intArrayOf(2, 3), null).ids.size)
        val error = assertThrows(BundleException::class.java) { encoder.pad(IntArray(9), intArrayOf(4, 8)) }
        assertTrue(error.message, "fits none of the lengths 4, 8" in error.message.orEmpty())
    }

    /** The vocabulary has the ids 0 to 5. */
    @Test
    fun idsWithoutARowInTheProgramAreRefused() {
        encoder(spec.copy(vocabSize = 6))
        refused("ids up to 5, and the model's word table 5 rows", json(), spec.copy(vocabSize = 5))
        refused("ids up to 6", json(added = token("b", 6)), spec.copy(vocabSize = 6))
        encoder(spec.copy(vocabSize = 5, dropped = 5)) // which no program sees
        for (id in listOf(-1, 6)) {
            val error = assertThrows(BundleException::class.java) { encoder().pad(intArrayOf(2, id), null) }
            assertTrue(error.message, "none of the 6 that the model has" in error.message.orEmpty())
        }
    }

    @Test
    fun threadsShareAnEncoder() {
        val encoder = encoder()
        val texts = List(300) { "good " + "film $it ".repeat(it % 7) + "goodfilm" }
        val wanted = texts.map { encoder().ids(it).toList() }
        val pool = Executors.newFixedThreadPool(4)
        try {
            val answers = List(4) { pool.submit(Callable { texts.map { encoder.ids(it).toList() } }) }
            answers.forEach { assertEquals(wanted, it.get()) }
        } finally {
            pool.shutdown()
        }
    }

    @Test
    fun aPatternMayNumberSomeHundredCharacters() {
        val encoder = TextEncoder(json(splitter = split(characters(600), "Isolated")), spec)
        assertArrayEquals(intArrayOf(2, 1, 5, 1, 4, 3), encoder.ids("&good a"))
    }

    @Test
    fun whatThisAppDoesNotHaveIsRefused() {
        refused("no UTF-8", byteArrayOf(-1))
        refused("is not valid JSON", "{".toByteArray())
        refused("no object", "[]".toByteArray())
        refused("model 'BPE'", json(model = """{"type": "BPE", "vocab": {"a": 0}, "unk_token": "a"}"""))
        refused("unk_token 'b' is not in", json(model = MODEL.replace("\"[UNK]\", \"cont", "\"b\", \"cont")))
        refused("setting 'dropout'", json(model = MODEL.replace("{\"type\"", "{\"dropout\": 1, \"type\"")))
        refused("id of 'a' is no number", json(model = MODEL.replace("\"a\": 4", "\"a\": -4")))
        refused("normalizer 'NFKC'", json(normalizer = """{"type": "NFKC"}"""))
        refused("normalizer 'Strip'", json(normalizer = """{"type": "Sequence", "normalizers": [{"type": "Strip"}]}"""))
        refused("neither true nor false", json(normalizer = BERT.replace("\"lowercase\": true", "\"lowercase\": 1")))
        refused("setting 'form'", json(normalizer = BERT.replace("}", ", \"form\": 1}")))
        refused("pre_tokenizer 'Metaspace'", json(splitter = """{"type": "Metaspace"}"""))
        refused("no pre_tokenizer", json(splitter = "null"))
        refused("pattern '\\w+'", json(splitter = split("\\\\w+", "Removed")))
        refused("pattern '[\\x{110000}]'", json(splitter = split("[\\\\x{110000}]", "Removed")))
        refused("pattern '[\\x{5}-\\x{3}]'", json(splitter = split("[\\\\x{5}-\\\\x{3}]", "Removed")))
        refused("Split by the pattern", json(splitter = split(characters(20_000), "Isolated")))
        refused("is not valid JSON (it is nested too deeply)", "[".repeat(100_000).toByteArray())
        refused("is not valid JSON (it is nested too deeply)", json(normalizer = nested(1_000)))
        refused("Split that is 'MergedWithNext'", json(splitter = split("[\\\\x{20}]", "MergedWithNext")))
        refused("or inverted", json(splitter = split("[\\\\x{20}]", "Removed").replace("false", "true")))
        refused("post_processor 'ByteLevel'", json(ends = """{"type": "ByteLevel"}"""))
        refused("no ids for '[X]'", json(ends = ENDS.replace(CLS, CLS.replace("CLS", "X"))))
        refused("single_word", json(added = token("a", 4).replace("\"single_word\": false", "\"single_word\": true")))
        refused("has another id in the vocabulary", json(added = token("a", 5)))
        refused("is there twice", json(added = token("a", 4) + "," + token("a", 4)))
        refused("begins or ends with a space", json(added = token(" a", 6)))
        refused("no text cleaning named smileys", json(), spec.copy(clean = listOf("smileys")))
        refused("have no 'pad'", json(), spec.copy(specialIds = emptyMap()))
        encoder()
    }

    private fun refused(reason: String, tokenizer: ByteArray, spec: TextSpec = Companion.spec) {
        val error = assertThrows(reason, BundleException::class.java) { TextEncoder(tokenizer, spec) }
        assertTrue("'${error.message}' does not say '$reason'", reason in error.message.orEmpty())
        assertTrue(error.message, '\n' !in error.message.orEmpty())
    }

    private fun encoder(spec: TextSpec = Companion.spec) = TextEncoder(json(), spec)

    private companion object {
        val spec = TokenizerSpeed.SPEC.copy(maxLength = 16, buckets = listOf(4, 8, 16))
        const val VOCABULARY = """{"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "a": 4, "good": 5}"""
        const val MODEL = """{"type": "WordPiece", "vocab": $VOCABULARY, "unk_token": "[UNK]", """ +
            """"continuing_subword_prefix": "##", "max_input_chars_per_word": 100}"""
        const val BERT = """{"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, """ +
            """"strip_accents": null, "lowercase": true}"""
        const val CLS = """{"SpecialToken": {"id": "[CLS]", "type_id": 0}}"""
        const val ENDS = """{"type": "TemplateProcessing", "pair": [], "single": [$CLS, """ +
            """{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "[SEP]", "type_id": 0}}], """ +
            """"special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [2]}, "[SEP]": {"id": "[SEP]", "ids": [3]}}}"""

        fun json(
            model: String = MODEL,
            normalizer: String = BERT,
            splitter: String = """{"type": "BertPreTokenizer"}""",
            ends: String = ENDS,
            added: String = "",
        ): ByteArray = (
            """{"version": "1.0", "truncation": null, "padding": {"x": 1}, "added_tokens": [$added], """ +
                """"normalizer": $normalizer, "pre_tokenizer": $splitter, "post_processor": $ends, """ +
                """"decoder": null, "model": $model}"""
            ).toByteArray()

        fun nested(depth: Int): String = (1..depth).fold(BERT) { inner, _ ->
            """{"type": "Sequence", "normalizers": [$inner]}"""
        }

        fun split(pattern: String, behavior: String): String =
            """{"type": "Split", "pattern": {"Regex": "$pattern"}, "behavior": "$behavior", "invert": false}"""

        fun characters(count: Int): String =
            (0x4E00 until 0x4E00 + count).joinToString("", "[\\\\x{20}\\\\x{26}", "]") { "\\\\x{%X}".format(it) }

        fun token(content: String, id: Int): String =
            """{"id": $id, "content": "$content", "single_word": false, "lstrip": false, "rstrip": false, """ +
                """"normalized": false, "special": true}"""
    }
}
