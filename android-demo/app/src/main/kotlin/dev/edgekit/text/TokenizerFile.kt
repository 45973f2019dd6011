package dev.edgekit.text

import dev.edgekit.BundleException
import dev.edgekit.json.Json
import java.util.regex.Pattern
import java.util.regex.PatternSyntaxException
import kotlinx.serialization.json.JsonArray
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive

/**
 * A tokenizer.json as parts that do its work. What it asks for and these parts do not have is refused; padding,
 * truncation and decoder are set aside, as in Python.
 *
 * @property tokens Tokens to be found in the raw text.
 * @property normalizedTokens Tokens to be found in the normalised text.
 * @property first Ids before every text.
 * @property last Ids behind every text.
 * @property largestId The largest id that it gives; the one that is [dropped] is not given.
 */
internal class TokenizerFile private constructor(content: JsonObject, dropped: Int?) {
    val normalizer: Normalizer
    val splitter: Splitter
    val vocabulary: Vocabulary
    val tokens: AddedTokens
    val normalizedTokens: AddedTokens
    val first: IntArray
    val last: IntArray
    val largestId: Int

    init {
        content.only("the file", WORKING + SET_ASIDE)
        val model = content.part("model") ?: refuse("it has no model")
        val pieces = model.item("vocab").asObject("vocab").mapValues { (piece, id) -> id.asInt("the id of '$piece'") }
        val unknownPiece = model.item("unk_token").asText("unk_token")
        val unknown = pieces[unknownPiece] ?: refuse("its unk_token '$unknownPiece' is not in its vocabulary")
        vocabulary = when (val type = model.item("type").asText("model.type")) {
            "WordPiece" -> wordPiece(model, pieces, unknown)
            "WordLevel" -> WordLevel(pieces, unknown).also { model.only("WordLevel", setOf("vocab", "unk_token")) }
            else -> refuse("it has a model '$type'")
        }
        normalizer = normalizerOf(content.part("normalizer"))
        splitter = splitterOf(content.part("pre_tokenizer") ?: refuse("it has no pre_tokenizer"))
        val added = addedTokens(content["added_tokens"] ?: JsonArray(emptyList()), pieces)
        tokens = AddedTokens(added.filter { !it.normalized })
        val normalized = added.filter { it.normalized }.map { it.copy(content = normalizer.normalize(it.content)) }
        normalizedTokens = AddedTokens(normalized.also(::checkTokens))
        val ends = endsOf(content.part("post_processor"))
        first = ends.first.toIntArray()
        last = ends.second.toIntArray()
        val given = pieces.values.asSequence() + added.asSequence().map { it.id } + ends.first + ends.second
        largestId = given.filter { it != dropped }.maxOrNull() ?: -1
    }

    private fun wordPiece(model: JsonObject, pieces: Map<String, Int>, unknown: Int): WordPiece {
        model.only("WordPiece", setOf("vocab", "unk_token", "continuing_subword_prefix", "max_input_chars_per_word"))
        val prefix = model.item("continuing_subword_prefix").asText("continuing_subword_prefix")
        val longest = model.item("max_input_chars_per_word").asInt("max_input_chars_per_word")
        return WordPiece(pieces, unknown, prefix, longest)
    }

    private fun normalizerOf(part: JsonObject?): Normalizer {
        if (part == null) return Normalizer { it }
        return when (val type = part.item("type").asText("normalizer.type")) {
            "BertNormalizer" -> bertNormalizer(part)
            "Lowercase" -> Lowercase.also { part.only(type, emptySet()) }
            "NFD" -> Decompose.also { part.only(type, emptySet()) }
            "Sequence" -> {
                part.only(type, setOf("normalizers"))
                val steps = part.objects("normalizers").map(::normalizerOf)
                Normalizer { text -> steps.fold(text) { done, step -> step.normalize(done) } }
            }
            else -> refuse("it has a normalizer '$type'")
        }
    }

    private fun bertNormalizer(part: JsonObject): Normalizer {
        part.only("BertNormalizer", setOf("clean_text", "handle_chinese_chars", "strip_accents", "lowercase"))
        val lowerCase = part.flag("lowercase")
        return BertNormalizer(
            cleanText = part.flag("clean_text"),
            splitChinese = part.flag("handle_chinese_chars"),
            stripAccents = if (part.item("strip_accents") is JsonNull) lowerCase else part.flag("strip_accents"),
            lowerCase = lowerCase,
        )
    }

    private fun splitterOf(part: JsonObject): Splitter = when (val type = part.item("type").asText("type")) {
        "BertPreTokenizer" -> SpaceSplitter(marks = true).also { part.only(type, emptySet()) }
        "WhitespaceSplit" -> SpaceSplitter(marks = false).also { part.only(type, emptySet()) }
        "Split" -> patternSplitter(part)
        "Sequence" -> {
            part.only(type, setOf("pretokenizers"))
            val steps = part.objects("pretokenizers").map(::splitterOf)
            Splitter { text ->
                val whole = if (text.isEmpty()) emptyList() else listOf(text)
                steps.fold(whole) { words, step -> words.flatMap(step::split) }
            }
        }
        else -> refuse("it has a pre_tokenizer '$type'")
    }

    private fun patternSplitter(part: JsonObject): Splitter {
        part.only("Split", setOf("pattern", "behavior", "invert"))
        val pattern = part.item("pattern").asObject("pattern").item("Regex").asText("Regex")
        val compiled = try {
            if (pattern.length <= LONGEST_PATTERN && PATTERN.matches(pattern)) Pattern.compile(pattern) else null
        } catch (error: PatternSyntaxException) { // no such character, or a range that goes backwards
            null
        } ?: refuse("it has a Split by the pattern '${pattern.take(40)}'")
        val behavior = part.item("behavior").asText("behavior")
        if (behavior !in BEHAVIORS || part.flag("invert")) refuse("it has a Split that is '$behavior', or inverted")
        return PatternSplitter(compiled, isolated = behavior == "Isolated")
    }

    private fun addedTokens(list: JsonElement, pieces: Map<String, Int>): List<AddedToken> {
        var free = pieces.size
        val tokens = list.asList("added_tokens").map { element ->
            val token = element.asObject("an added token")
            token.only("an added token", TOKEN)
            val content = token.item("content").asText("content")
            val id = token.item("id").asInt("the id of '$content'")
            // The library goes by the vocabulary, and numbers on where a token is not in it.
            if (id != (pieces[content] ?: free++)) refuse("its added token '$content' has another id in the vocabulary")
            if (token.flag("single_word")) refuse("its added token '$content' is a single_word")
            AddedToken(content, id, token.flag("lstrip"), token.flag("rstrip"), token.flag("normalized"))
        }
        checkTokens(tokens)
        return tokens
    }

    private fun checkTokens(tokens: List<AddedToken>) {
        val odd = tokens.firstOrNull { it.content.isEmpty() || it.content != it.content.trim() }
            ?: tokens.groupBy { it.content }.values.firstOrNull { it.size > 1 }?.first() ?: return
        refuse("its added token '${odd.content}' is empty, begins or ends with a space, or is there twice")
    }

    /** Ids before and behind a text. */
    private fun endsOf(part: JsonObject?): Pair<List<Int>, List<Int>> {
        if (part == null) return Pair(emptyList(), emptyList())
        return when (val type = part.item("type").asText("post_processor.type")) {
            "BertProcessing", "RobertaProcessing" -> {
                part.only(type, setOf("sep", "cls", "trim_offsets", "add_prefix_space"))
                Pair(listOf(part.sideId("cls")), listOf(part.sideId("sep")))
            }
            "TemplateProcessing" -> templateEnds(part)
            else -> refuse("it has a post_processor '$type'")
        }
    }

    private fun JsonObject.sideId(side: String): Int = item(side).asList(side).getOrNull(1)?.asInt("$side's id")
        ?: refuse("its post_processor has no id for $side")

    private fun templateEnds(part: JsonObject): Pair<List<Int>, List<Int>> {
        part.only("TemplateProcessing", setOf("single", "pair", "special_tokens"))
        val special = part.item("special_tokens").asObject("special_tokens")
        val pieces = part.objects("single")
        val text = pieces.indexOfFirst { "Sequence" in it }
        if (text < 0 || pieces.count { "Sequence" in it } > 1) refuse("its post_processor has not the text once")
        val sequence = pieces[text].item("Sequence").asObject("Sequence").item("id").asText("Sequence.id")
        if (sequence != "A") refuse("its post_processor has a sequence '$sequence'")
        val ids = pieces.map { piece ->
            if ("Sequence" in piece) return@map emptyList<Int>()
            val name = piece.item("SpecialToken").asObject("SpecialToken").item("id").asText("SpecialToken.id")
            val token = (special[name] ?: refuse("its post_processor has no ids for '$name'")).asObject(name)
            token.item("ids").asList("ids").map { it.asInt("an id of '$name'") }
        }
        return Pair(ids.take(text).flatten(), ids.drop(text).flatten())
    }

    companion object {
        private val WORKING = setOf("added_tokens", "normalizer", "pre_tokenizer", "model", "post_processor")
        private val SET_ASIDE = setOf("version", "truncation", "padding", "decoder")
        private val TOKEN = setOf("id", "content", "single_word", "lstrip", "rstrip", "normalized", "special")
        private val BEHAVIORS = setOf("Removed", "Isolated")

        /** Edgekit's have about 600 characters; many more would take all of a thread's stack. */
        private const val LONGEST_PATTERN = 5_000

        /** Classes of numbered characters, each match one character, as edgekit writes them (docs/bundle.md). */
        private const val CODE = """\\x\{[0-9A-Fa-f]{1,6}\}"""
        private const val CLASS = """\[\^?(?:$CODE(?:-$CODE)?)++\]"""
        private const val CHOICE = """(?:\(\?<!$CLASS\))?$CLASS(?:\(\?!$CLASS\))?"""
        private val PATTERN = Regex("$CHOICE(?:\\|$CHOICE)*+")

        /** Reads the file, or throws a [BundleException] that says what of it this app does not have. */
        fun parse(bytes: ByteArray, dropped: Int? = null): TokenizerFile =
            TokenizerFile(Json.tree(bytes, "the tokenizer.json").asObject("the whole"), dropped)
    }
}

private fun refuse(reason: String): Nothing = throw BundleException(
    "this app does not read such a tokenizer.json: $reason; convert the model with BERT's tokenizer or a word list",
)

private fun JsonObject.only(what: String, keys: Set<String>) {
    val odd = this.keys.firstOrNull { it != "type" && it !in keys } ?: return
    refuse("$what has a setting '$odd'")
}

private fun JsonObject.item(key: String): JsonElement = get(key) ?: refuse("it has no '$key'")

private fun JsonObject.part(key: String): JsonObject? = get(key)?.takeIf { it !is JsonNull }?.asObject(key)

private fun JsonObject.objects(key: String): List<JsonObject> =
    item(key).asList(key).map { it.asObject("a part of $key") }

private fun JsonObject.flag(key: String): Boolean = when (item(key).literal()) {
    "true" -> true
    "false" -> false
    else -> refuse("its '$key' is neither true nor false")
}

private fun JsonElement.asObject(what: String): JsonObject = this as? JsonObject ?: refuse("$what is no object")

private fun JsonElement.asList(what: String): JsonArray = this as? JsonArray ?: refuse("$what is no list")

private fun JsonElement.asText(what: String): String =
    (this as? JsonPrimitive)?.takeIf { it.isString }?.content ?: refuse("$what is no string")

private fun JsonElement.asInt(what: String): Int =
    literal()?.toIntOrNull()?.takeIf { it >= 0 } ?: refuse("$what is no number")

private fun JsonElement.literal(): String? = (this as? JsonPrimitive)?.takeIf { !it.isString }?.content
