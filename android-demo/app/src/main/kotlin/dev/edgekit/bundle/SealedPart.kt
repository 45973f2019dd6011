package dev.edgekit.bundle

import dev.edgekit.BundleException
import dev.edgekit.SealException
import dev.edgekit.trust.SealingKey
import dev.edgekit.trust.base64
import java.io.File
import java.io.OutputStream
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.security.GeneralSecurityException
import javax.crypto.AEADBadTagException
import javax.crypto.Cipher
import javax.crypto.spec.GCMParameterSpec
import javax.crypto.spec.SecretKeySpec

/**
 * A sealed program. Its key is derived from the bundle's by NIST SP 800-108's KDF in counter mode; its segments are
 * AES-256-GCM, numbered and the last one marked, so that none can be left out or moved: the STREAM construction of
 * Hoang, Reyhanitabar, Rogaway and Vizár (2015, https://eprint.iacr.org/2015/189).
 */
class SealedPart internal constructor(
    private val stored: FilePart,
    private val seal: Seal,
    private val master: SealingKey,
) : Contents {
    override val name: String get() = stored.name

    private val file = seal.files.getValue(name)

    override fun buffer(): ByteBuffer {
        if (file.bytes > Int.MAX_VALUE) throw BundleException("$name is too large for memory; take a smaller model")
        val opened = ByteBuffer.allocateDirect(file.bytes.toInt()).order(ByteOrder.nativeOrder())
        open { bytes, count -> opened.put(bytes, 0, count) }
        opened.rewind()
        return opened
    }

    override fun copyTo(target: File) = FilePart.writing(target, sync = false) { out: OutputStream ->
        open { bytes, count -> FilePart.put(out, bytes, 0, count, target) }
    }

    /** Opens segment after segment; what [each] got is to be trusted only once this has returned. */
    private fun open(each: (ByteArray, count: Int) -> Unit) {
        val key = SecretKeySpec(fileKey(), "AES")
        val cipher = Cipher.getInstance("AES/GCM/NoPadding")
        val last = seal.segments(file.bytes) - 1
        val segment = ByteArray(minOf(seal.segmentBytes.toLong(), file.bytes).toInt() + Seal.TAG_BYTES)
        val opened = ByteArray(segment.size)
        var index = 0L
        var filled = 0
        val finish = {
            cipher.init(Cipher.DECRYPT_MODE, key, GCMParameterSpec(8 * Seal.TAG_BYTES, nonce(index, index == last)))
            each(opened, cipher.doFinal(segment, 0, filled, opened))
            index++
            filled = 0
        }
        try {
            stored.stream { bytes, from, count ->
                var taken = 0
                while (taken < count) {
                    val piece = minOf(count - taken, segment.size - filled)
                    System.arraycopy(bytes, from + taken, segment, filled, piece)
                    filled += piece
                    taken += piece
                    if (filled == segment.size) finish()
                }
            }
            if (filled > 0) finish()
        } catch (error: AEADBadTagException) {
            stored.check() // a damaged file is told as such
            throw SealException(
                "$name in ${stored.file} was changed after it was sealed, or sealed otherwise than its manifest says: " +
                    "get the bundle again from whoever sealed it",
                error,
            )
        } catch (error: GeneralSecurityException) {
            throw SealException("this device cannot open $name (${error.message}): update its system", error)
        }
    }

    /** NIST SP 800-108 in counter mode with HMAC-SHA256: one block is the whole key. */
    private fun fileKey(): ByteArray {
        val salt = checkNotNull(base64(file.salt, Seal.SALT_BYTES)) { "the manifest was checked" }
        return master.mac(FIRST_BLOCK + LABEL + 0 + salt + name.toByteArray() + KEY_BITS)
    }

    private fun nonce(index: Long, last: Boolean): ByteArray =
        ByteBuffer.allocate(NONCE_BYTES).putInt(NONCE_ZEROS, index.toInt()).put(NONCE_BYTES - 1, if (last) 1 else 0).array()

    private companion object {
        const val NONCE_ZEROS = 7
        const val NONCE_BYTES = 12
        val FIRST_BLOCK = byteArrayOf(0, 0, 0, 1)
        val LABEL = "edgekit seal 1".toByteArray()

        /** 256, the length of the key in bits. */
        val KEY_BITS = byteArrayOf(0, 0, 1, 0)
    }
}
