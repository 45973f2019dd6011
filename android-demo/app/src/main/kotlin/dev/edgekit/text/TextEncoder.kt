package dev.edgekit.text

import dev.edgekit.BundleException

/**
 * What a program takes: [ids] padded to its length, and [mask], 1 where the text is and 0 where the padding is.
 *
 * @property ids int32, (L).
 * @property mask float32, (L).
 */
class Padded(val ids: IntArray, val mask: FloatArray)

/**
 * Turns texts into ids, equal to those of Python's runtime (tests/golden). Safe to share between threads.
 *
 * @param tokenizerJson A tokenizer.json; its padding and truncation are set aside.
 * @param spec Cleaning, lengths and special ids.
 * @throws BundleException The tokenizer, or a cleaning step, is none that this app has, or the tokenizer has ids for
 *   which the program has no row.
 */
class TextEncoder(tokenizerJson: ByteArray, val spec: TextSpec) {
    private val clean = cleaner(spec.clean, spec.stopWords)
    private val tokenizer = TokenizerFile.parse(tokenizerJson, spec.dropped)
    private val rows = spec.vocabSize ?: (tokenizer.largestId + 1)
    private val padId = spec.specialIds["pad"]
        ?: throw BundleException("the bundle's special_ids have no 'pad'; convert the model anew")

    init {
        if (tokenizer.largestId >= rows) {
            throw BundleException(
                "the tokenizer.json has ids up to ${tokenizer.largestId}, and the model's word table $rows rows: " +
                    "it is not this model's; convert the model anew with its own",
            )
        }
    }

    /** Ids of one text, special tokens included, at most [TextSpec.maxLength] of them: those at the end are kept. */
    fun ids(text: String): IntArray {
        val ids = encode(text, spec.maxLength)
        if (ids.size <= spec.maxLength) return ids
        return ids.copyOf(maxOf(0, spec.maxLength - tokenizer.last.size)) + tokenizer.last
    }

    /** Ids of one text, not cut. */
    fun wholeIds(text: String): IntArray = encode(text, Int.MAX_VALUE)

    /**
     * Pads ids to the shortest length that holds them.
     *
     * @param lengths Ascending lengths that the engine takes; null if it takes any.
     * @throws BundleException None of the lengths holds the ids, or one of them has no row in the program.
     */
    fun pad(ids: IntArray, lengths: IntArray?): Padded {
        if (ids.any { it !in 0 until rows }) { // at such an id ExecuTorch may end the process
            throw BundleException("an id of this text is none of the $rows that the model has; convert the model anew")
        }
        val counted = maxOf(ids.size, spec.minLength)
        val length = if (lengths == null) counted else lengths.firstOrNull { it >= counted }
        if (length == null) {
            val offered = lengths?.joinToString()
            throw BundleException("a text of $counted tokens fits none of the lengths $offered; convert the model anew")
        }
        val padded = IntArray(length) { if (it < ids.size) ids[it] else padId }
        return Padded(padded, FloatArray(length) { if (it < counted) 1f else 0f })
    }

    /** All ids, or, of a long text, some that are more than [enough]. */
    private fun encode(text: String, enough: Int): IntArray {
        val ids = IdList()
        val add = { id: Int -> if (id != spec.dropped) ids.add(id) }
        tokenizer.first.forEach(add)
        tokenizer.tokens.scan(clean(wellFormed(text)), add) { raw ->
            tokenizer.normalizedTokens.scan(tokenizer.normalizer.normalize(raw), add) { part ->
                for (word in tokenizer.splitter.split(part)) {
                    if (ids.size > enough) break
                    tokenizer.vocabulary.idsOf(word).forEach(add)
                }
            }
        }
        tokenizer.last.forEach(add)
        return ids.toIntArray()
    }
}

/** The text with lone surrogates replaced by U+FFFD. */
fun wellFormed(text: String): String {
    if (text.none { it.isSurrogate() }) return text
    return text.rewrite { code -> appendCodePoint(if (code in SURROGATES) REPLACEMENT else code) }
}

internal const val REPLACEMENT = 0xFFFD
internal val SURROGATES = 0xD800..0xDFFF
