package dev.edgekit.trust

import com.google.crypto.tink.subtle.Ed25519Verify
import dev.edgekit.OptionException
import java.math.BigInteger
import java.security.GeneralSecurityException
import java.util.Base64

/**
 * An Ed25519 public key (RFC 8032): who has it can tell whether a bundle was signed with its private half.
 *
 * @property id The first 8 bytes of the SHA-256 of the raw key, in lower-case hexadecimal.
 */
class PublicKey private constructor(private val raw: ByteArray) {
    val id: String = hexadecimal(sha256(raw).copyOf(KEY_ID_BYTES))

    /** Whether [signature] was made of [message] with this key's private half. */
    fun verifies(message: ByteArray, signature: ByteArray): Boolean = try {
        Ed25519Verify(raw).verify(signature, message)
        true
    } catch (_: GeneralSecurityException) {
        false
    }

    companion object {
        const val BYTES = 32
        private val BLOCK = Regex("-----BEGIN PUBLIC KEY-----\\s([A-Za-z0-9+/=\\s]+)-----END PUBLIC KEY-----")

        /** SubjectPublicKeyInfo of the algorithm 1.3.101.112, up to the key itself (RFC 8410, section 4). */
        private val PREFIX = byteArrayOf(0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00)

        private val PRIME = BigInteger.ONE.shiftLeft(255) - BigInteger.valueOf(19)
        private val ORDER_8 = BigInteger("7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7", 16)

        /** The y of the eight points of the curve whose order divides 8: under such a key anybody can sign. */
        private val SMALL_ORDER =
            setOf(BigInteger.ZERO, BigInteger.ONE, PRIME - BigInteger.ONE, ORDER_8, PRIME - ORDER_8)

        /**
         * The key that these 32 bytes are.
         *
         * @throws OptionException They are not 32, or a key under which anybody can sign.
         */
        fun ofRaw(raw: ByteArray): PublicKey = checked(raw.copyOf(), "a public key")

        private fun checked(raw: ByteArray, name: String): PublicKey {
            if (raw.size != BYTES) throw OptionException("$name has $BYTES bytes, not ${raw.size}; give another")
            if (BigInteger(1, raw.reversedArray()).clearBit(255).mod(PRIME) in SMALL_ORDER) {
                throw OptionException("$name is a key under which anybody can sign; do not trust it, nor who gave it")
            }
            return PublicKey(raw)
        }

        /**
         * Reads a PEM file, as `edgekit keygen` and openssl write it; [name] is its name, for messages.
         *
         * @throws OptionException It has no Ed25519 public key, or several.
         */
        fun ofPem(pem: String, name: String): PublicKey {
            val der = BLOCK.findAll(pem).singleOrNull()?.let { decoded(it.groupValues[1]) }
            val fits = der != null && der.size == PREFIX.size + BYTES
            if (der == null || !fits || !der.copyOf(PREFIX.size).contentEquals(PREFIX)) {
                throw OptionException("$name is no public key for Ed25519 in PEM: give the .pub file of edgekit keygen")
            }
            return checked(der.copyOfRange(PREFIX.size, der.size), name)
        }

        private fun decoded(text: String): ByteArray? = try {
            Base64.getDecoder().decode(text.filterNot { it.isWhitespace() })
        } catch (_: IllegalArgumentException) {
            null
        }
    }
}
