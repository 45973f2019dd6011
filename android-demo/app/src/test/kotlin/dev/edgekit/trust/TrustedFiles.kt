package dev.edgekit.trust

import dev.edgekit.bundle.TestFiles
import java.io.File

/** Signed and sealed bundles and their keys, which tests/trusted_bundles.py makes once for all tests. */
internal object TrustedFiles {
    /** A bundle, the keys that are trusted, the sealing key that is at hand, and what a reader must say. */
    class Case(val name: String, val trust: Trust, val expected: String) {
        val file: File get() = bundle(name)
    }

    private val folder by lazy {
        TestFiles.folder().also { TestFiles.runPython(File(TestFiles.root, "tests/trusted_bundles.py").path, it.path) }
    }

    val cases: List<Case> by lazy {
        File(folder, "cases.tsv").readLines().map { line ->
            val (name, trusted, key, expected) = line.split("\t")
            val signers = trusted.split(" ").filter { it.isNotEmpty() }.map(::signer)
            Case(name, Trust(signers, if (key.isEmpty()) SealingKeys.NONE else key(key)), expected)
        }
    }

    fun bundle(name: String) = File(folder, "$name.edgekit")

    fun signer(name: String): PublicKey = PublicKey.ofPem(File(folder, "$name.pub").readText(), "$name.pub")

    fun keyFile(name: String) = File(folder, name)

    fun key(name: String) = RawSealingKey(RawSealingKey.bytesOf(keyFile(name).readBytes()))
}
