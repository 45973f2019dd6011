package dev.edgekit.demo

import android.security.keystore.KeyProperties
import android.security.keystore.KeyProtection
import dev.edgekit.SealException
import dev.edgekit.trust.RawSealingKey
import dev.edgekit.trust.SealingKey
import dev.edgekit.trust.id
import java.io.IOException
import java.security.GeneralSecurityException
import java.security.Key
import java.security.KeyStore
import java.security.ProviderException
import javax.crypto.Mac
import javax.crypto.spec.SecretKeySpec

/**
 * Sealing keys in Android's Keystore: it makes HMACs with them and gives them to nobody, this app included. Where the
 * phone has the hardware for it, they lie outside of Android's own memory.
 */
class KeystoreVault : KeyVault {
    override fun find(id: String): SealingKey? = guarded("read") { keyStore().getKey(PREFIX + id, null)?.let(::Kept) }

    override fun add(master: ByteArray): String {
        val id = RawSealingKey(master).id()
        guarded("keep") {
            val entry = KeyStore.SecretKeyEntry(SecretKeySpec(master, RawSealingKey.HMAC))
            master.fill(0)
            keyStore().setEntry(PREFIX + id, entry, KeyProtection.Builder(KeyProperties.PURPOSE_SIGN).build())
        }
        return id
    }

    private class Kept(private val key: Key) : SealingKey {
        override fun mac(message: ByteArray): ByteArray = guarded("use") {
            Mac.getInstance(RawSealingKey.HMAC).run {
                init(key)
                doFinal(message)
            }
        }
    }

    private companion object {
        const val STORE = "AndroidKeyStore"
        const val PREFIX = "edgekit-seal-"

        fun keyStore(): KeyStore = KeyStore.getInstance(STORE).apply { load(null) }

        fun <T> guarded(doing: String, block: () -> T): T = try {
            block()
        } catch (error: GeneralSecurityException) {
            throw failed(doing, error)
        } catch (error: IOException) {
            throw failed(doing, error)
        } catch (error: ProviderException) {
            throw failed(doing, error)
        }

        fun failed(doing: String, error: Exception) =
            SealException("the phone's Keystore cannot $doing the key (${error.message}): add the key file again", error)
    }
}
