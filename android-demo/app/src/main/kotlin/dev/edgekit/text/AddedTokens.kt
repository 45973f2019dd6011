package dev.edgekit.text

import dev.edgekit.text.CharacterTable.Companion.WHITE

/**
 * A token that is found in the text itself, before it is parted into words.
 *
 * @property content What it looks like.
 * @property lstrip Whether it takes the white space before it along.
 * @property rstrip Whether it takes the white space behind it along.
 * @property normalized Whether it is looked for in the normalised text, normalised itself.
 */
internal data class AddedToken(
    val content: String,
    val id: Int,
    val lstrip: Boolean,
    val rstrip: Boolean,
    val normalized: Boolean,
)

/** Finds tokens in a text: the leftmost, of several there the longest, of equal ones the first. */
internal class AddedTokens(tokens: List<AddedToken>) {
    private val tokens = tokens.sortedByDescending { it.content.length }
    private val firsts = tokens.map { it.content.first() }.distinct().joinToString("")
    private val table = CharacterTable.shared

    /** Goes through the text: [token] gets the id of each token, [between] what is around them, in order. */
    inline fun scan(text: String, token: (Int) -> Unit, between: (String) -> Unit) {
        var done = 0
        var index = nextFirst(text, 0)
        while (index < text.length) {
            val found = tokenAt(text, index)
            if (found == null) {
                index = nextFirst(text, index + 1)
                continue
            }
            val start = if (found.lstrip) spaceBefore(text, done, index) else index
            if (done < start) between(text.substring(done, start))
            token(found.id)
            index += found.content.length
            if (found.rstrip) index = spaceBehind(text, index)
            done = index
            index = nextFirst(text, index)
        }
        if (done < text.length) between(if (done == 0) text else text.substring(done))
    }

    private fun nextFirst(text: String, from: Int): Int {
        if (firsts.isEmpty()) return text.length
        var index = from
        while (index < text.length && firsts.indexOf(text[index]) < 0) index++
        return index
    }

    private fun tokenAt(text: String, index: Int): AddedToken? =
        tokens.firstOrNull { text.startsWith(it.content, index) }

    /** White space is one UTF-16 unit each. */
    private fun spaceBefore(text: String, done: Int, end: Int): Int {
        var start = end
        while (start > done && table.has(text[start - 1].code, WHITE)) start--
        return start
    }

    private fun spaceBehind(text: String, from: Int): Int {
        var end = from
        while (end < text.length && table.has(text[end].code, WHITE)) end++
        return end
    }
}
