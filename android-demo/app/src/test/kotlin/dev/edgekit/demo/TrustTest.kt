package dev.edgekit.demo

import dev.edgekit.bundle.TestFiles
import dev.edgekit.engine.LiteRtEngine
import dev.edgekit.trust.PublicKey
import dev.edgekit.trust.RawSealingKey
import dev.edgekit.trust.SealingKey
import dev.edgekit.trust.TrustedFiles
import dev.edgekit.trust.id
import java.io.ByteArrayInputStream
import java.io.File
import java.io.InputStream
import java.io.OutputStream
import java.security.Key
import java.security.KeyStore
import java.security.KeyStoreSpi
import java.security.Provider
import java.security.Security
import java.security.cert.Certificate
import java.util.Collections
import java.util.Date
import java.util.Enumeration
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNull
import org.junit.Assert.assertTrue
import org.junit.Test

/** What the app takes, what it refuses, and what it does with keys. */
class TrustTest {
    private class Shown(private val bench: Bench) : ClassifyActivity() {
        val screen = FakeScreen()

        override fun session() = bench.session

        override fun screen() = screen

        fun begin() = apply {
            onCreate(null)
            onStart()
        }
    }

    private class MemoryVault : KeyVault {
        val keys = HashMap<String, SealingKey>()

        override fun find(id: String): SealingKey? = keys[id]

        override fun add(master: ByteArray): String = RawSealingKey(master).let { key -> key.id().also { keys[it] = key } }
    }

    private fun pick(bench: Bench, file: File) {
        bench.session.pick { Picked(file.inputStream(), file.length()) }
        bench.until("the picked file") { it.model != Model.Opening }
    }

    private fun Bench.addKey(contents: ByteArray) {
        session.addKey { Picked(ByteArrayInputStream(contents), null) }
        until("the key") { it.addedKey != null || it.failure != null }
    }

    @Test
    fun withoutTrustedKeysAnyBundleIsTakenAndItsSignersAreShown() = Bench().opened().use { bench ->
        val screen = Shown(bench).begin().screen
        assertEquals("unsigned", screen.texts[R.id.trust])
        pick(bench, TrustedFiles.bundle("sealed-signed"))
        assertEquals("it is sealed", strings("values")["error_sealed"], screen.texts[R.id.failure])
        val said = screen.texts[R.id.failure_message]!!
        assertTrue(said, TrustedFiles.key("seal.key").id() in said)
    }

    @Test
    fun withTrustedKeysAnUnsignedBundleIsRefused() =
        Bench(asset = null, signers = { listOf(TrustedFiles.signer("a")) }, vault = vaultWithTheKey()).use { bench ->
            val screen = Shown(bench).begin().screen
            bench.until("the look") { it.model == Model.None }
            for (file in listOf(TestFiles.probe, TrustedFiles.bundle("sealed"), TrustedFiles.bundle("by-a-and-b"))) {
                pick(bench, file)
                val headline = if (file.name == "by-a-and-b.edgekit") "error_engine" else "error_signature" // it has no program
                assertEquals(file.name, strings("values")[headline], screen.texts[R.id.failure])
            }
            pick(bench, TrustedFiles.bundle("sealed-signed"))
            assertNull(screen.texts[R.id.failure_message])
            assertEquals("signed by ${TrustedFiles.signer("a").id}; sealed", screen.texts[R.id.trust])
            screen.typed[R.id.text] = "what a film"
            screen.click(R.id.classify)
            bench.until("an answer") { it.answer != null }
            assertFalse(File(bench.folder, "cache").walk().any { it.isFile })
        }

    @Test
    fun theBuiltInBundleMustBeSignedToo() = Bench(signers = { listOf(TrustedFiles.signer("b")) }).use { bench ->
        val screen = Shown(bench).begin().screen
        bench.until("the refusal") { it.failure != null }
        assertEquals(strings("values")["error_signature"], screen.texts[R.id.failure])
        assertEquals(Model.None, bench.session.state.model)
    }

    @Test
    fun aTrustedKeyThatCannotBeReadLetsNothingIn() =
        Bench(signers = { listOf(PublicKey.ofPem("no key", "a.pem")) }).use { bench ->
            Shown(bench).begin()
            bench.until("the refusal") { it.failure != null }
            assertEquals("OptionException", bench.session.state.failure?.kind)
            pick(bench, TrustedFiles.bundle("sealed-signed"))
            assertEquals(Model.None, bench.session.state.model)
        }

    @Test
    fun aKeyThatIsAddedOpensTheSealedBundle() = Bench(vault = MemoryVault()).opened().use { bench ->
        val screen = Shown(bench).begin().screen
        bench.addKey("no key".toByteArray())
        assertEquals(strings("values")["error_option"], screen.texts[R.id.failure])
        bench.addKey(ByteArray(100_000))
        assertEquals(strings("values")["error_option"], screen.texts[R.id.failure])
        bench.addKey(TrustedFiles.keyFile("seal.key").readBytes())
        assertTrue(TrustedFiles.key("seal.key").id() in screen.texts[R.id.added_key]!!)
        pick(bench, TrustedFiles.bundle("sealed-signed"))
        assertNull(screen.texts[R.id.failure_message])
        assertEquals("signed by ${TrustedFiles.signer("a").id}, not checked; sealed", screen.texts[R.id.trust])
    }

    private fun vaultWithTheKey() =
        MemoryVault().apply { add(RawSealingKey.bytesOf(TrustedFiles.keyFile("seal.key").readBytes())) }

    @Test
    fun theKeyOfAHeadlessRunIsWipedAndKeptByNobody() {
        val vault = MemoryVault()
        Bench(listOf(LiteRtEngine), vault = vault).use { bench ->
            val run = File(bench.folder, "bench/run12345").apply { mkdirs() }
            TrustedFiles.bundle("sealed-signed").copyTo(File(run, "bundle.edgekit"))
            val headless = Headless(run.parentFile!!, bench.session) {}
            val extras = mapOf("id" to "run12345", "runs" to "20", "bundle" to "bundle.edgekit")
            val answers = mapOf("seal.key" to "\"engine\":", "other.key" to "SealException", "a.pub" to "OptionException")
            for ((key, said) in answers) {
                val file = TrustedFiles.keyFile(key).copyTo(File(run, "run.key"), overwrite = true)
                file.inputStream().use { open -> // what is left on the disk can be read here once the name is gone
                    headless.start(extras + ("key" to "run.key"))
                    bench.until("the end") { !headless.atWork }
                    val answer = File(run, "result.json").readText()
                    assertTrue(answer, said in answer)
                    assertFalse("$key is still there", file.exists())
                    assertTrue("$key was not wiped", open.readBytes().all { it == 0.toByte() })
                }
            }
            val refused = TrustedFiles.keyFile("seal.key").copyTo(File(run, "run.key"))
            assertFalse(headless.start(extras + mapOf("key" to "run.key", "engine" to "none")))
            assertFalse("the key of a run that is refused is still there", refused.exists())
            headless.start(extras)
            bench.until("the end") { !headless.atWork }
            assertTrue("SealException" in File(run, "result.json").readText())
        }
        assertEquals(emptySet<String>(), vault.keys.keys)
    }

    /** Android's Keystore is on no desktop; this one stands in for it, under its name. What a key may do is its own to hold. */
    @Test
    fun theKeystoreTakesTheKeyAndMakesHmacs() {
        val provider = object : Provider("AndroidKeyStore", 1.0, "stands in for Android's") {}
        provider["KeyStore.AndroidKeyStore"] = StandIn::class.java.name
        Security.addProvider(provider)
        try {
            val vault = KeystoreVault()
            val master = RawSealingKey.bytesOf(TrustedFiles.keyFile("seal.key").readBytes())
            val id = TrustedFiles.key("seal.key").id()
            assertNull(vault.find(id))
            assertEquals(id, vault.add(master))
            assertTrue("the bytes were not wiped", master.all { it == 0.toByte() })
            val message = "message".toByteArray()
            assertEquals(TrustedFiles.key("seal.key").mac(message).toList(), vault.find(id)!!.mac(message).toList())
        } finally {
            Security.removeProvider(provider.name)
        }
    }

    class StandIn : KeyStoreSpi() {
        override fun engineGetKey(alias: String, password: CharArray?): Key? = keys[alias]

        override fun engineSetEntry(alias: String, entry: KeyStore.Entry, protection: KeyStore.ProtectionParameter?) {
            keys[alias] = (entry as KeyStore.SecretKeyEntry).secretKey
        }

        override fun engineLoad(stream: InputStream?, password: CharArray?) = Unit

        override fun engineGetCertificateChain(alias: String): Array<Certificate>? = null

        override fun engineGetCertificate(alias: String): Certificate? = null

        override fun engineGetCreationDate(alias: String): Date? = null

        override fun engineSetKeyEntry(alias: String, key: Key, password: CharArray?, chain: Array<Certificate>?) = Unit

        override fun engineSetKeyEntry(alias: String, key: ByteArray, chain: Array<Certificate>?) = Unit

        override fun engineSetCertificateEntry(alias: String, certificate: Certificate) = Unit

        override fun engineDeleteEntry(alias: String) = Unit

        override fun engineAliases(): Enumeration<String> = Collections.enumeration(keys.keys)

        override fun engineContainsAlias(alias: String) = alias in keys

        override fun engineSize() = keys.size

        override fun engineIsKeyEntry(alias: String) = alias in keys

        override fun engineIsCertificateEntry(alias: String) = false

        override fun engineGetCertificateAlias(certificate: Certificate): String? = null

        override fun engineStore(stream: OutputStream?, password: CharArray?) = Unit

        companion object {
            val keys = HashMap<String, Key>()
        }
    }
}
