package dev.edgekit.trust

import dev.edgekit.json.quoted
import java.security.MessageDigest
import java.util.Base64
import java.util.Locale

/** Bytes in lower-case hexadecimal. */
fun hexadecimal(bytes: ByteArray): String = bytes.joinToString("") { String.format(Locale.ROOT, "%02x", it) }

internal fun sha256(bytes: ByteArray): ByteArray = MessageDigest.getInstance("SHA-256").digest(bytes)

/** The [size] bytes that [text] is the base64 of, padded and without spaces (RFC 4648); null if it is not. */
internal fun base64(text: String, size: Int): ByteArray? {
    if (text.length != (size + 2) / 3 * 4) return null
    return try {
        Base64.getDecoder().decode(text).takeIf { it.size == size }
    } catch (_: IllegalArgumentException) {
        null
    }
}

/** So many bytes of a digest name a key: 16 digits. */
internal const val KEY_ID_BYTES = 8

private val KEY_ID = Regex("[0-9a-f]{16}")

/** Whether [text] may be the id of a key. */
internal fun isKeyId(text: String): Boolean = KEY_ID.matches(text)

/** A list of ids for a message. They come out of files, so they are cut. */
internal fun shownIds(ids: List<String>): String = ids.distinct().take(4).joinToString { quoted(it).trim('\'') }
