package dev.edgekit.trust

import dev.edgekit.BundleSignatureException
import dev.edgekit.EdgekitException
import dev.edgekit.OptionException
import dev.edgekit.SealException
import dev.edgekit.bundle.Bundle
import dev.edgekit.bundle.TestFiles
import dev.edgekit.bundle.refused
import java.io.File
import java.nio.ByteBuffer
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Test

/** Signed and sealed bundles, right and wrong, that Python made: what the reader says of each, and what it opens. */
class TrustedBundlesTest {
    private val folder = TestFiles.folder()

    @Test
    fun everyBundleIsTakenOrRefusedAsItShouldBe() {
        val cases = TrustedFiles.cases
        assertTrue("${cases.size} cases", cases.size > 70)
        val outcomes = cases.map { case ->
            val found = report(case)
            val shown = "${case.name} for ${case.trust.signers.map { it.id }}"
            if (found == case.expected) null else "$shown: $found, should be ${case.expected}"
        }
        assertEquals(emptyList<String>(), outcomes.filterNotNull())
    }

    /** `accepted`, or the class of the error, after every program was opened, by memory and by file. */
    private fun report(case: TrustedFiles.Case): String = try {
        val bundle = Bundle.open(case.file, case.trust.signers)
        assertEquals(case.trust.signers.isNotEmpty(), bundle.signers.checked)
        for (name in bundle.manifest.files.keys) bundle.part(name).check()
        for (program in bundle.manifest.models.flatMap { it.programs }) {
            val contents = bundle.program(program.file, case.trust.keys)
            try {
                val opened = bytesOf(contents.buffer())
                contents.copyTo(File(folder, program.file))
                assertArrayEquals(opened, File(folder, program.file).readBytes())
                if (bundle.manifest.seal != null && opened.isNotEmpty()) {
                    assertArrayEquals(Bundle.open(TestFiles.probe).read(program.file), opened)
                }
            } catch (error: EdgekitException) {
                refusedAgain(error) { contents.copyTo(File(folder, "refused")) }
                throw error
            }
        }
        "accepted"
    } catch (error: EdgekitException) {
        assertFalse("more than one line: ${error.message}", "\n" in error.message.orEmpty())
        error.javaClass.simpleName
    }

    /** A file is refused as memory is, and nothing of it is left. */
    private fun refusedAgain(first: EdgekitException, block: () -> Unit) {
        try {
            block()
        } catch (error: EdgekitException) {
            assertEquals(first.javaClass, error.javaClass)
        }
        val left = folder.list().orEmpty().filter { it == "refused" || it.endsWith(".part") }
        assertEquals(emptyList<String>(), left)
    }

    private fun bytesOf(buffer: ByteBuffer) = ByteArray(buffer.remaining()).also { buffer.duplicate().get(it) }

    @Test
    fun anErrorNamesTheKeys() {
        val a = TrustedFiles.signer("a")
        val b = TrustedFiles.signer("b")
        refused<BundleSignatureException>("not signed", a.id) {
            Bundle.open(TrustedFiles.bundle("unsigned"), listOf(a))
        }
        refused<BundleSignatureException>("signed by ${a.id} alone", b.id) {
            Bundle.open(TrustedFiles.bundle("by-a"), listOf(b))
        }
        refused<BundleSignatureException>("by the key ${a.id} is wrong") {
            Bundle.open(TrustedFiles.bundle("wrong-beside-right"), listOf(a))
        }
        val sealed = Bundle.open(TrustedFiles.bundle("sealed"))
        val id = TrustedFiles.key("seal.key").id()
        refused<SealException>("the key $id is not on this device", "add its key file") {
            sealed.program("model.tflite", SealingKeys.NONE)
        }
        refused<SealException>("sealed with the key $id, not with") {
            sealed.program("model.tflite", TrustedFiles.key("other.key"))
        }
    }

    @Test
    fun whoSignedIsToldEvenWhereNobodyLooks() {
        val claimed = Bundle.open(TrustedFiles.bundle("by-a-and-b")).signers
        assertEquals(Signers(listOf(TrustedFiles.signer("a").id, TrustedFiles.signer("b").id), checked = false), claimed)
        assertEquals(Signers(emptyList(), checked = false), Bundle.open(TestFiles.probe).signers)
        val b = TrustedFiles.signer("b")
        assertEquals(Signers(listOf(b.id), checked = true), Bundle.open(TrustedFiles.bundle("by-a-and-b"), listOf(b)).signers)
    }

    @Test
    fun aKeyFileIsOneLineOfBase64() {
        val right = TrustedFiles.keyFile("seal.key").readText()
        assertEquals(32, RawSealingKey.bytesOf(right.trim().toByteArray()).size)
        for (text in listOf("", "AAAA", right + right, right.replace("=", ""), "*".repeat(43) + "=", "00".repeat(32))) {
            refused<OptionException>("no key file") { RawSealingKey.bytesOf(text.toByteArray()) }
        }
        refused<OptionException>("32 bytes, not 16") { RawSealingKey(ByteArray(16)) }
    }
}
