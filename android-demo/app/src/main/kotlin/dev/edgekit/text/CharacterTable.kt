package dev.edgekit.text

import java.io.IOException

/**
 * What the tokenizers library knows of every code point, as scripts/make_unicode_tables.py found out, which describes
 * the file. Java's own tables will not do, since a phone has the Unicode of its year.
 */
internal class CharacterTable private constructor(lines: Sequence<String>) {
    private val pages = Array(CODE_POINTS / PAGE) { UNMARKED }
    private val orders = HashMap<Int, Int>()
    private val lower = HashMap<Int, IntArray>()
    private val decomposed = HashMap<Int, IntArray>()

    init {
        for (line in lines.filter { it.isNotEmpty() && !it.startsWith("#") }) {
            val entries = line.split(' ')
            val key = entries.first()
            val order = key.substringAfter("order-", "").toIntOrNull()
            val flag = FLAGS[key.substringBefore('-')] ?: throw IllegalStateException("unicode.txt has a key $key")
            for (entry in entries.drop(1)) {
                val codes = codes(entry.substringBefore('='))
                val into = if ('=' in entry) entry.substringAfter('=').split('+').map { it.toInt(HEX) } else null
                for (code in codes) {
                    mark(code, flag)
                    if (order != null) orders[code] = order
                    if (flag == LOWERED) lower[code] = moved(into, code - codes.first)
                    if (flag == DECOMPOSED && into != null) decomposed[code] = into.toIntArray()
                }
            }
        }
    }

    /** Whether a code point has any of the flags. */
    fun has(code: Int, flags: Int): Boolean = pages[code shr PAGE_BITS][code and PAGE - 1].toInt() and flags != 0

    /** Lower case of a code point, by itself, whatever stands around it. */
    fun lowerOf(code: Int): IntArray? = if (has(code, LOWERED)) lower[code] else null

    /** The full canonical decomposition; null if a code point is its own. */
    fun decompositionOf(code: Int): IntArray? = if (has(code, DECOMPOSED)) decomposed[code] else null

    /** The canonical combining class; 0 for whatever stays where it is. */
    fun orderOf(code: Int): Int = if (has(code, ORDERED)) orders[code] ?: 0 else 0

    private fun mark(code: Int, flag: Int) {
        val index = code shr PAGE_BITS
        if (pages[index] === UNMARKED) pages[index] = ByteArray(PAGE)
        val page = pages[index]
        page[code and PAGE - 1] = (page[code and PAGE - 1].toInt() or flag).toByte()
    }

    private fun codes(range: String): IntRange =
        range.substringBefore('-').toInt(HEX)..range.substringAfter('-').toInt(HEX)

    private fun moved(into: List<Int>?, by: Int): IntArray = IntArray(into.orEmpty().size) { into.orEmpty()[it] + by }

    companion object {
        const val REMOVED = 1
        const val WHITE = 2
        const val PUNCTUATION = 4
        const val CHINESE = 8
        const val MARK = 16
        private const val LOWERED = 32
        private const val DECOMPOSED = 64
        private const val ORDERED = 128
        private val FLAGS = mapOf(
            "removed" to REMOVED,
            "white" to WHITE,
            "punctuation" to PUNCTUATION,
            "chinese" to CHINESE,
            "mark" to MARK,
            "lower" to LOWERED,
            "decomposed" to DECOMPOSED,
            "order" to ORDERED,
        )
        private const val CODE_POINTS = 0x110000
        private const val PAGE_BITS = 8
        private const val PAGE = 1 shl PAGE_BITS
        private const val HEX = 16

        /** Shared by all code points of which there is nothing to say. */
        private val UNMARKED = ByteArray(PAGE)

        /** The table, read when it is first needed. */
        val shared: CharacterTable by lazy { resource("unicode.txt") { CharacterTable(it) } }

        /** Reads a text file that lies beside this class in the app. */
        fun <T> resource(name: String, read: (Sequence<String>) -> T): T {
            val stream = CharacterTable::class.java.getResourceAsStream(name)
                ?: throw IOException("the app was packed without dev/edgekit/text/$name; build it anew")
            return stream.bufferedReader().useLines(read)
        }
    }
}
