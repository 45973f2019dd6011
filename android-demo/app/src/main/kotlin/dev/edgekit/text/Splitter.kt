package dev.edgekit.text

import dev.edgekit.text.CharacterTable.Companion.PUNCTUATION
import dev.edgekit.text.CharacterTable.Companion.WHITE
import java.util.regex.Pattern

/** Parts a normalised text into words, none of them empty. */
internal fun interface Splitter {
    fun split(text: String): List<String>
}

/** White space parts words and is dropped; with [marks], each punctuation mark is a word of its own, as BERT has it. */
internal class SpaceSplitter(private val marks: Boolean) : Splitter {
    private val table = CharacterTable.shared
    private val ends = if (marks) WHITE or PUNCTUATION else WHITE

    override fun split(text: String): List<String> {
        val parts = ArrayList<String>(text.length / 4)
        var start = 0
        var index = 0
        while (index < text.length) {
            val code = text.codePointAt(index)
            val next = index + Character.charCount(code)
            if (table.has(code, ends)) {
                if (start < index) parts.add(text.substring(start, index))
                if (marks && table.has(code, PUNCTUATION)) parts.add(text.substring(index, next))
                start = next
            }
            index = next
        }
        if (start < text.length) parts.add(text.substring(start))
        return parts
    }
}

/** What meets the pattern parts words: each match is a part, too, if [isolated], else it is dropped. */
internal class PatternSplitter(private val pattern: Pattern, private val isolated: Boolean) : Splitter {
    override fun split(text: String): List<String> {
        val parts = ArrayList<String>()
        val matcher = pattern.matcher(text)
        var start = 0
        while (matcher.find()) {
            if (start < matcher.start()) parts.add(text.substring(start, matcher.start()))
            if (isolated) parts.add(matcher.group())
            start = matcher.end()
        }
        if (start < text.length) parts.add(text.substring(start))
        return parts
    }
}
