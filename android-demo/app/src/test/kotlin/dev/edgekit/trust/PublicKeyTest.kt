package dev.edgekit.trust

import dev.edgekit.OptionException
import dev.edgekit.bundle.refused
import java.math.BigInteger
import java.util.Base64
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Test

class PublicKeyTest {
    private class Vector(key: String, message: String, signature: String) {
        val key = PublicKey.ofRaw(bytes(key))
        val message = bytes(message)
        val signature = bytes(signature)
    }

    @Test
    fun theTestVectorsOfRfc8032() {
        for (vector in VECTORS) {
            assertTrue(vector.key.verifies(vector.message, vector.signature))
            assertFalse(vector.key.verifies(vector.message + 0, vector.signature))
            for (index in listOf(0, 31, 32, 63)) {
                val other = vector.signature.copyOf().also { it[index] = (it[index].toInt() xor 1).toByte() }
                assertFalse("byte $index", vector.key.verifies(vector.message, other))
            }
        }
        assertFalse(VECTORS[0].key.verifies(VECTORS[1].message, VECTORS[1].signature))
    }

    @Test
    fun aSecondSignatureMadeOfARightOneIsRefused() {
        val order = BigInteger.ONE.shiftLeft(252) + BigInteger("27742317777372353535851937790883648493")
        for (vector in VECTORS) {
            val scalar = BigInteger(1, vector.signature.copyOfRange(32, 64).reversedArray()) + order
            val other = vector.signature.copyOf(32) + scalar.toByteArray().reversedArray().copyOf(32)
            assertFalse(vector.key.verifies(vector.message, other))
        }
    }

    @Test
    fun signaturesOfOtherLengthsAndKeysThatAreNoPoint() {
        val vector = VECTORS[0]
        for (size in listOf(0, 1, 63, 65)) assertFalse(vector.key.verifies(vector.message, vector.signature.copyOf(size)))
        val nowhere = PublicKey.ofRaw(ByteArray(32) { -1 })
        assertFalse(nowhere.verifies(vector.message, vector.signature))
        refused<OptionException>("32 bytes, not 31") { PublicKey.ofRaw(ByteArray(31)) }
    }

    /** Every encoding of a point whose order divides 8, the ones that are not canonical and either sign of x among them. */
    @Test
    fun keysUnderWhichAnybodyCanSign() {
        val prime = BigInteger.ONE.shiftLeft(255) - BigInteger.valueOf(19)
        val eighth = BigInteger("7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7", 16)
        val small = listOf(BigInteger.ZERO, BigInteger.ONE, prime - BigInteger.ONE, eighth, prime - eighth)
        val all = small + listOf(prime, prime + BigInteger.ONE)
        for (y in all + all.map { it.setBit(255) }) {
            val raw = ByteArray(32) { y.shiftRight(8 * it).toInt().toByte() }
            refused<OptionException>("under which anybody can sign") { PublicKey.ofRaw(raw) }
        }
    }

    /** The key of RFC 8410, section 10.1, and its id. */
    @Test
    fun pemAsOpensslWritesIt() {
        val pem = "-----BEGIN PUBLIC KEY-----\n" +
            "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n"
        assertEquals("e744c0791320c328", PublicKey.ofPem(pem, "key.pub").id)
        assertEquals("e744c0791320c328", PublicKey.ofPem("a note\r\n" + pem.replace("\n", "\r\n"), "key.pub").id)
    }

    @Test
    fun whatIsNoPublicKey() {
        val right = TrustedFiles.keyFile("a.pub").readText()
        val short = right.lines()[1].let { Base64.getEncoder().encodeToString(Base64.getDecoder().decode(it).copyOf(43)) }
        val others = listOf(
            "", "ssh-ed25519 AAAA", right + right, right.replace("PUBLIC", "PRIVATE"), right.replace("MCow", "MCox"),
            right.replace(right.lines()[1], short), right.replace(right.lines()[1], "A===="), right.replace("=", "*"),
        )
        for (pem in others) refused<OptionException>("key.pub is no public key") { PublicKey.ofPem(pem, "key.pub") }
    }

    private companion object {
        fun bytes(hexadecimal: String): ByteArray = hexadecimal.chunked(2).map { it.toInt(16).toByte() }.toByteArray()

        /** Section 7.1: TEST 1, 2, 3 and SHA(abc). */
        val VECTORS = listOf(
            Vector(
                "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
                "",
                "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b" +
                    "d25bf5f0595bbe24655141438e7a100b",
            ),
            Vector(
                "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
                "72",
                "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c" +
                    "387b2eaeb4302aeeb00d291612bb0c00",
            ),
            Vector(
                "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
                "af82",
                "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659" +
                    "4a7c15e9716ed28dc027beceea1ec40a",
            ),
            Vector(
                "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
                "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd" +
                    "454d4423643ce80e2a9ac94fa54ca49f",
                "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e030" +
                    "3dca179c138ac17ad9bef1177331a704",
            ),
        )
    }
}
