package dev.edgekit.bundle

import dev.edgekit.BundleException
import dev.edgekit.json.Json
import dev.edgekit.trust.base64
import dev.edgekit.trust.isKeyId

/**
 * One sealed program.
 *
 * @property salt Base64 of 32 bytes, of which its key is derived.
 * @property bytes Its size once it is opened.
 */
data class SealedFile(val salt: String, val bytes: Long)

/**
 * How the programs of a bundle are sealed (docs/bundle.md): by AES-256-GCM, a segment at a time.
 *
 * @property segmentBytes Size of a segment before it was sealed; the last may be shorter.
 * @property keyId Names the key.
 * @property files Every program by its entry.
 */
data class Seal(val segmentBytes: Int, val keyId: String, val files: Map<String, SealedFile>) {
    /** How many segments a file of [bytes] has: one at least. */
    fun segments(bytes: Long): Long = maxOf(1, (bytes + segmentBytes - 1) / segmentBytes)

    /** Refuses a seal that does not fit the rest of the manifest. */
    internal fun check(programs: Set<String>, stored: Map<String, FileEntry>, schemaVersion: Long) {
        if (schemaVersion < SCHEMA_VERSION) {
            refuse("is sealed, which needs schema version $SCHEMA_VERSION, not $schemaVersion")
        }
        if (files.keys != programs) refuse("must seal every program, and nothing else")
        for ((name, file) in files) {
            val sealed = file.bytes + segments(file.bytes) * TAG_BYTES
            if (stored[name]?.bytes != sealed) refuse("has a sealed size of $name that does not fit the stored one")
        }
    }

    internal companion object {
        const val SCHEMA_VERSION = 3
        const val TAG_BYTES = 16
        const val SALT_BYTES = 32
        private const val CIPHER = "AES-256-GCM"
        private val SEGMENT_BYTES = 4096L..(1L shl 24)
        private const val MOST_BYTES = 1L shl 40

        fun decode(json: Json): Seal {
            if (json["cipher"].text() != CIPHER) refuse("is sealed by a cipher that is not $CIPHER")
            val segmentBytes = json["segment_bytes"].whole()
            if (segmentBytes !in SEGMENT_BYTES) refuse("has segment_bytes that are not from 4096 to 16777216")
            val keyId = json["key_id"].text()
            if (!isKeyId(keyId)) refuse("has a sealed.key_id that is not 16 hexadecimal digits")
            val files = json["files"].entries().mapValues { (name, file) ->
                val salt = file["salt"].text()
                if (base64(salt, SALT_BYTES) == null) refuse("has a salt of $name that is not $SALT_BYTES bytes")
                val bytes = file["bytes"].whole()
                if (bytes !in 0..MOST_BYTES) refuse("has a sealed size of $name that no program has")
                SealedFile(salt, bytes)
            }
            return Seal(segmentBytes.toInt(), keyId, files)
        }

        private fun refuse(wrong: String): Nothing =
            throw BundleException("${Bundle.MANIFEST} $wrong; seal the bundle anew")
    }
}
