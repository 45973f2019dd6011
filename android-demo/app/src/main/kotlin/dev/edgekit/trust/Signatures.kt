package dev.edgekit.trust

import dev.edgekit.BundleException
import dev.edgekit.BundleSignatureException
import dev.edgekit.json.Json

/**
 * Who signed a bundle.
 *
 * @property keyIds Ids of the keys: of those that are trusted and whose signatures are right, or, where nothing is
 *   trusted, of all that the file names, at which nobody looked.
 * @property checked Which of the two.
 */
data class Signers(val keyIds: List<String>, val checked: Boolean)

/** The entry `signature` of a bundle, which signs the bytes of its manifest (docs/bundle.md). */
internal class Signatures private constructor(private val signatures: List<Signature>) {
    private class Signature(val keyId: String, val value: ByteArray)

    val keyIds: List<String> get() = signatures.map { it.keyId }.distinct()

    /** Ids of the trusted keys that signed [manifest]: a [BundleSignatureException] if none did, or one wrongly. */
    fun check(manifest: ByteArray, trusted: List<PublicKey>): List<String> {
        val message = PREFIX + manifest
        val right = LinkedHashSet<String>()
        for (key in trusted) {
            for (signature in signatures.filter { it.keyId == key.id }) {
                if (!key.verifies(message, signature.value)) {
                    throw BundleSignatureException(
                        "the bundle's signature by the key ${key.id} is wrong: it was changed after it was signed; " +
                            "do not trust it, get it again from whoever signed it",
                    )
                }
                right += key.id
            }
        }
        if (right.isEmpty()) {
            val others = if (keyIds.isEmpty()) "by no key that this app knows of" else "by ${shownIds(keyIds)} alone"
            throw BundleSignatureException(
                "the bundle is signed $others, and trusted are ${shownIds(trusted.map { it.id })}: " +
                    "have it signed with a trusted key (edgekit sign)",
            )
        }
        return right.toList()
    }

    companion object {
        const val MAX_BYTES = 65_536
        private const val MOST = 16
        private const val ALGORITHM = "Ed25519"
        private const val SIGNATURE_BYTES = 64
        private const val WHERE = "signature"

        /** Stands before the manifest in what is signed, so that a signature of something else is none of a bundle. */
        private val PREFIX = "edgekit bundle signature 1\n".toByteArray()

        /**
         * Who signed a bundle, as far as its [entry] tells, which nobody checks; nobody where it cannot be read.
         */
        fun claimed(entry: ByteArray?): Signers {
            val ids = try {
                entry?.let { parse(it).keyIds }
            } catch (_: BundleSignatureException) {
                null
            }
            return Signers(ids.orEmpty(), checked = false)
        }

        /**
         * Checks that a trusted key signed a bundle.
         *
         * @param manifest The bytes of its manifest.
         * @param entry Its entry `signature`; null where it has none.
         * @param trusted One key or more.
         * @throws BundleSignatureException It is unsigned, signed by others, or wrongly.
         */
        fun checked(manifest: ByteArray, entry: ByteArray?, trusted: List<PublicKey>): Signers {
            if (entry == null) {
                throw BundleSignatureException(
                    "the bundle is not signed, and this app takes only those that are signed by " +
                        "${shownIds(trusted.map { it.id })}: sign it (edgekit sign)",
                )
            }
            return Signers(parse(entry).check(manifest, trusted), checked = true)
        }

        private fun parse(entry: ByteArray): Signatures {
            if (entry.size > MAX_BYTES) throw malformed("it has ${entry.size} bytes")
            val signatures = try {
                val list = Json.parse(entry, WHERE)["signatures"].list()
                if (list.size > MOST) throw malformed("it holds ${list.size} signatures")
                list.mapNotNull(::signature)
            } catch (error: BundleSignatureException) {
                throw error
            } catch (error: BundleException) {
                throw BundleSignatureException(error.message.orEmpty())
            }
            return Signatures(signatures)
        }

        /** One signature; null where it is of an algorithm that nobody here knows. */
        private fun signature(json: Json): Signature? {
            if (json["algorithm"].text() != ALGORITHM) return null
            val keyId = json["key_id"].text()
            if (!isKeyId(keyId)) throw malformed("a key_id is not 16 hexadecimal digits")
            val value = base64(json["signature"].text(), SIGNATURE_BYTES)
                ?: throw malformed("a signature is not the base64 of $SIGNATURE_BYTES bytes")
            return Signature(keyId, value)
        }

        private fun malformed(reason: String) =
            BundleSignatureException("the bundle's entry 'signature' is malformed: $reason; sign the bundle anew")
    }
}
