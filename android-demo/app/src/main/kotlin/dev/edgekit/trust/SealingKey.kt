package dev.edgekit.trust

import dev.edgekit.OptionException
import javax.crypto.Mac
import javax.crypto.spec.SecretKeySpec

/**
 * The key that programs are sealed with. All that is asked of it is an HMAC, so that it may lie where nobody can read
 * it, as in Android's Keystore.
 */
interface SealingKey {
    /**
     * HMAC-SHA256 of [message] under this key.
     *
     * @throws dev.edgekit.SealException The key cannot be used.
     */
    fun mac(message: ByteArray): ByteArray
}

/** What a sealed bundle names its key by: 16 hexadecimal digits. */
fun SealingKey.id(): String = hexadecimal(mac("edgekit seal key id".toByteArray()).copyOf(KEY_ID_BYTES))

/** Finds the key with an id; null where there is none. */
fun interface SealingKeys {
    fun find(id: String): SealingKey?

    companion object {
        val NONE = SealingKeys { null }
    }
}

/** A key whose 32 bytes are in memory. */
class RawSealingKey(master: ByteArray) : SealingKey, SealingKeys {
    private val key = SecretKeySpec(master.also { checkSize(it.size) }, HMAC)

    override fun mac(message: ByteArray): ByteArray = Mac.getInstance(HMAC).run {
        init(key)
        doFinal(message)
    }

    /** Itself, whatever is asked for: that it is the right one is checked where it is used. */
    override fun find(id: String): SealingKey = this

    companion object {
        const val BYTES = 32
        const val HMAC = "HmacSHA256"

        /** More characters than any key file has. */
        const val MAX_FILE_BYTES = 1024

        /**
         * The bytes that a key file holds: one line of base64.
         *
         * @throws OptionException It is no key file.
         */
        fun bytesOf(file: ByteArray): ByteArray = base64(String(file, Charsets.ISO_8859_1).trim(), BYTES)
            ?: throw OptionException("this is no key file, one line of 44 characters: give the one of edgekit seal")

        private fun checkSize(size: Int) {
            if (size != BYTES) throw OptionException("a sealing key has $BYTES bytes, not $size; give another")
        }
    }
}
