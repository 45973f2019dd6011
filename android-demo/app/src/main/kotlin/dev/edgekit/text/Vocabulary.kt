package dev.edgekit.text

import java.util.concurrent.ConcurrentHashMap

/** Ids of one word. Safe to share between threads. */
internal interface Vocabulary {
    fun idsOf(word: String): IntArray
}

/** Words are looked up whole; any other has the id [unknown]. */
internal class WordLevel(pieces: Map<String, Int>, unknown: Int) : Vocabulary {
    private val ids = pieces.mapValues { intArrayOf(it.value) }
    private val unknownIds = intArrayOf(unknown)

    override fun idsOf(word: String): IntArray = ids[word] ?: unknownIds
}

/**
 * WordPiece: the longest piece that begins the word, then the longest that goes on, and so forth (Wu et al. 2016,
 * https://arxiv.org/abs/1609.08144).
 *
 * @param pieces Ids of the pieces.
 * @param unknown Id of a word that no pieces make up, and of one of more than [longest] code points.
 * @param prefix What marks a piece that goes on with a word.
 */
internal class WordPiece(
    private val pieces: Map<String, Int>,
    unknown: Int,
    private val prefix: String,
    private val longest: Int,
) : Vocabulary {
    private val unknownIds = intArrayOf(unknown)
    private val longestPiece = pieces.keys.maxOf { it.length }

    /** Most words have been met before. */
    private val met = ConcurrentHashMap<String, IntArray>()

    override fun idsOf(word: String): IntArray {
        met[word]?.let { return it }
        if (word.codePointCount(0, word.length) > longest) return unknownIds
        if (met.size >= MET_WORDS) met.clear()
        return (split(word) ?: unknownIds).also { met[word] = it }
    }

    private fun split(word: String): IntArray? {
        val ids = IdList()
        var start = 0
        while (start < word.length) {
            var end = minOf(word.length, start + longestPiece)
            var id: Int? = null
            while (end > start) {
                id = pieces[if (start > 0) prefix + word.substring(start, end) else word.substring(start, end)]
                if (id != null) break
                end--
            }
            ids.add(id ?: return null)
            start = end
        }
        return ids.toIntArray()
    }

    private companion object {
        /** At about 200 bytes a word the cache stays below 4 MB, as in Python. */
        const val MET_WORDS = 16_384
    }
}

/** Ids in a row. */
internal class IdList {
    private var ids = IntArray(64)
    var size = 0
        private set

    fun add(id: Int) {
        if (size == ids.size) ids = ids.copyOf(2 * size)
        ids[size++] = id
    }

    fun toIntArray(): IntArray = ids.copyOf(size)
}
