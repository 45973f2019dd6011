package dev.edgekit.text

import dev.edgekit.text.CharacterTable.Companion.CHINESE
import dev.edgekit.text.CharacterTable.Companion.MARK
import dev.edgekit.text.CharacterTable.Companion.REMOVED
import dev.edgekit.text.CharacterTable.Companion.WHITE

/** What happens to a text before it is parted into words. Texts are well-formed UTF-16. */
internal fun interface Normalizer {
    fun normalize(text: String): String
}

/** Each code point in lower case by itself: at the end of a word Σ becomes σ, too, where Java writes ς. */
internal object Lowercase : Normalizer {
    private val table = CharacterTable.shared

    override fun normalize(text: String): String = text.rewrite { code ->
        if (code < ASCII_END) {
            append(if (code in 'A'.code..'Z'.code) (code + 'a'.code - 'A'.code).toChar() else code.toChar())
        } else {
            val lower = table.lowerOf(code)
            if (lower == null) appendCodePoint(code) else lower.forEach(::appendCodePoint)
        }
    }
}

/** Canonical decomposition (NFD, Unicode Standard Annex 15). */
internal object Decompose : Normalizer {
    private const val SYLLABLES = 0xAC00
    private const val SYLLABLE_COUNT = 11172
    private const val LEADS = 0x1100
    private const val VOWELS = 0x1161
    private const val TAILS = 0x11A7
    private const val VOWEL_COUNT = 21
    private const val TAIL_COUNT = 28
    private val table = CharacterTable.shared

    override fun normalize(text: String): String {
        val marks = ArrayList<Int>()
        return text.rewrite(atEnd = { flush(marks) }) { code ->
            val parts = table.decompositionOf(code)
            val syllable = code - SYLLABLES
            when {
                parts != null -> for (part in parts) place(part, marks)
                syllable in 0 until SYLLABLE_COUNT -> {
                    place(LEADS + syllable / (VOWEL_COUNT * TAIL_COUNT), marks)
                    place(VOWELS + syllable / TAIL_COUNT % VOWEL_COUNT, marks)
                    if (syllable % TAIL_COUNT > 0) place(TAILS + syllable % TAIL_COUNT, marks)
                }
                else -> place(code, marks)
            }
        }
    }

    /** Marks wait for the next code point that is none, to be brought into their order. */
    private fun StringBuilder.place(code: Int, marks: MutableList<Int>) {
        if (table.orderOf(code) > 0) {
            marks.add(code)
        } else {
            flush(marks)
            appendCodePoint(code)
        }
    }

    private fun StringBuilder.flush(marks: MutableList<Int>) {
        if (marks.isEmpty()) return
        marks.sortBy(table::orderOf) // stable, as it must be
        marks.forEach(::appendCodePoint)
        marks.clear()
    }
}

/**
 * BERT's normalisation, as the tokenizers library does it.
 *
 * @param cleanText Control characters and U+FFFD are removed, and white space becomes U+0020.
 * @param splitChinese Chinese characters get a space on either side.
 * @param stripAccents Text is decomposed, and marks that take no place of their own are removed.
 * @param lowerCase Each code point is lowered, last of all.
 */
internal class BertNormalizer(
    private val cleanText: Boolean,
    private val splitChinese: Boolean,
    private val stripAccents: Boolean,
    private val lowerCase: Boolean,
) : Normalizer {
    private val table = CharacterTable.shared

    override fun normalize(text: String): String {
        var result = text
        if (!text.all { it in ' '..'~' }) { // plain ASCII has nothing but case to change
            if (cleanText) result = cleaned(result)
            if (splitChinese) result = spaced(result)
            if (stripAccents) result = stripped(result)
        }
        return if (lowerCase) Lowercase.normalize(result) else result
    }

    private fun cleaned(text: String): String = text.rewrite {
        if (!table.has(it, REMOVED)) appendCodePoint(if (table.has(it, WHITE)) SPACE else it)
    }

    private fun stripped(text: String): String =
        Decompose.normalize(text).rewrite { if (!table.has(it, MARK)) appendCodePoint(it) }

    private fun spaced(text: String): String = text.rewrite {
        if (table.has(it, CHINESE)) append(' ').appendCodePoint(it).append(' ') else appendCodePoint(it)
    }

    private companion object {
        const val SPACE = 0x20
    }
}

internal const val ASCII_END = 0x80

/** A text made of what each code point of another one adds. */
internal inline fun String.rewrite(
    atEnd: StringBuilder.() -> Unit = {},
    each: StringBuilder.(code: Int) -> Unit,
): String {
    val made = StringBuilder(length + length / 8)
    var index = 0
    while (index < length) {
        val code = codePointAt(index)
        index += Character.charCount(code)
        made.each(code)
    }
    made.atEnd()
    return made.toString()
}
