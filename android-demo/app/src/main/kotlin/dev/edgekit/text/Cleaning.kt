package dev.edgekit.text

import dev.edgekit.BundleException

/** What happens to a text before the tokenizer sees it: the steps of docs/bundle.md, the same on every device. */
internal typealias Step = (String) -> String

/** The steps as one; throws a [BundleException] if this app does not have one of them. */
internal fun cleaner(names: List<String>, stopWords: List<String>): Step {
    val steps = names.map { name ->
        when (name) {
            "html" -> ::withoutHtml
            "urls" -> replacing(URL)
            "handles" -> replacing(HANDLE)
            "full-width" -> ::halfWidth
            "simplified" -> ::simplified
            "stop-words" -> dropping(stopWords.toHashSet())
            else -> throw BundleException("this app has no text cleaning named $name: install a newer one")
        }
    }
    return { text -> steps.fold(text) { done, step -> step(done) } }
}

// Every pattern is written out in docs/bundle.md; they need no flags, and no tables of Unicode.
private val SPACES = Regex("[\\t-\\r ]+")
private val UNSEEN = listOf(
    Regex("<!--[\\s\\S]*?(?:-->|(?![\\s\\S]))"),
    element("[Ss][Cc][Rr][Ii][Pp][Tt]"),
    element("[Ss][Tt][Yy][Ll][Ee]"),
    Regex("<(?:/?[A-Za-z]|[!?])[^<>]*>"),
)
private val NAMED = mapOf(
    "amp" to "&",
    "lt" to "<",
    "gt" to ">",
    "quot" to "\"",
    "apos" to "'",
    "nbsp" to " ",
    "hellip" to "…",
    "ndash" to "–",
    "mdash" to "—",
    "lsquo" to "‘",
    "rsquo" to "’",
    "ldquo" to "“",
    "rdquo" to "”",
    "copy" to "©",
    "reg" to "®",
    "trade" to "™",
    "euro" to "€",
)
private val REFERENCE = Regex("&(?:#([0-9]{1,7})|#[Xx]([0-9A-Fa-f]{1,6})|(${NAMED.keys.joinToString("|")}));")
private val URL = Regex(
    "(?:[Hh][Tt][Tt][Pp][Ss]?://|(?<![0-9A-Za-z])[Ww][Ww][Ww]\\.)" +
        "[0-9A-Za-z](?:[!#-;=?-Z\\[\\]_a-z~]*[#-&*+\\-/0-9=@-Z_a-z~])?",
)
private val HANDLE = Regex("(?<![0-9A-Za-z_@])@[0-9A-Za-z_@\\u4e00-\\u9fff]*[0-9A-Za-z_\\u4e00-\\u9fff]")
private const val IDEOGRAPHS = "\\u3400-\\u4dbf\\u4e00-\\u9fff\\uf900-\\ufaff\\x{20000}-\\x{3ffff}"
private const val BETWEEN_WORDS = "\\x00-&(-/:-@\\[-`\\{-\\xbf\\u2000-\\u2018\\u201a-\\u206f\\u3000-\\u303f" +
    "\\uff01-\\uff0f\\uff1a-\\uff20\\uff3b-\\uff40\\uff5b-\\uff65"
private val WORD = Regex("[$IDEOGRAPHS]|[^$BETWEEN_WORDS$IDEOGRAPHS]+")

private const val IDEOGRAPHIC_SPACE = '\u3000'
private val FULL_WIDTH = '\uff01'..'\uff5e'
private const val WIDTH = 0xFEE0

private val SIMPLIFIED: Map<Int, Int> by lazy {
    CharacterTable.resource("simplified.txt") { lines ->
        lines.filter { !it.startsWith("#") }.associate { line ->
            val before = line.codePointAt(0)
            before to line.codePointAt(Character.charCount(before))
        }
    }
}

private fun element(name: String): Regex {
    val end = "(?![0-9A-Za-z-])[^<>]*>"
    return Regex("<$name$end[\\s\\S]*?(?:</$name$end|(?![\\s\\S]))")
}

/** Runs of ASCII white space become one space, and none is left at the ends. */
private fun tidy(text: String): String = SPACES.replace(text, " ").trim(' ')

private fun replacing(pattern: Regex): Step = { text -> tidy(pattern.replace(text, " ")) }

private fun withoutHtml(text: String): String {
    val seen = UNSEEN.fold(text) { done, pattern -> pattern.replace(done, " ") }
    return tidy(REFERENCE.replace(seen, ::character))
}

private fun character(reference: MatchResult): String {
    val (decimal, hexadecimal, name) = reference.destructured
    if (name.isNotEmpty()) return NAMED.getValue(name)
    val code = if (decimal.isNotEmpty()) decimal.toInt() else hexadecimal.toInt(16)
    val valid = code in 1..Character.MAX_CODE_POINT && code !in SURROGATES
    return String(Character.toChars(if (valid) code else REPLACEMENT))
}

private fun halfWidth(text: String): String = buildString(text.length) {
    for (char in text) append(if (char in FULL_WIDTH) char - WIDTH else if (char == IDEOGRAPHIC_SPACE) ' ' else char)
}

private fun simplified(text: String): String = text.rewrite { code -> appendCodePoint(SIMPLIFIED[code] ?: code) }

private fun dropping(stopWords: Set<String>): Step =
    { text -> tidy(WORD.replace(text) { if (folded(it.value) in stopWords) " " else it.value }) }

/** A word as stop words are compared. */
private fun folded(word: String): String = buildString(word.length) {
    for (char in word) append(if (char in 'A'..'Z') char + ('a' - 'A') else if (char == '’') '\'' else char)
}.trim('\'')
