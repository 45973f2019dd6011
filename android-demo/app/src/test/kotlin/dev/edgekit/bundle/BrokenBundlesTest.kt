package dev.edgekit.bundle

import dev.edgekit.EdgekitException
import java.io.File
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Test

/** Both readers accept and refuse the same bundles, with the same class of error. */
class BrokenBundlesTest {
    @Test
    fun pythonAndKotlinSayTheSame() {
        val folder = TestFiles.folder()
        TestFiles.runPython(File(TestFiles.root, "tests/broken_bundles.py").path, folder.path)
        val expected = File(folder, "python.tsv").readLines().map { it.split("\t") }.associate { it[0] to it[1] }
        assertTrue("${expected.size} bundles", expected.size > 1000)
        assertEquals(
            setOf("accepted", "BundleException", "BundleIntegrityException", "BundleVersionException"),
            expected.values.toSet(),
        )
        val found = expected.mapValues { (name, _) -> report(File(folder, name)) }
        val others = found.keys.filter { found[it] != expected[it] }
        assertEquals(emptyList<String>(), others.map { "$it: Kotlin ${found[it]}, Python ${expected[it]}" })
    }

    /** `accepted`, or the class of the error, after every byte of the bundle was read. */
    private fun report(file: File): String = try {
        val bundle = Bundle.open(file)
        for (name in bundle.manifest.files.keys) {
            bundle.part(name).check()
            bundle.part(name).map()
        }
        for (model in bundle.manifest.models) Golden.parse(bundle.read(model.golden), model.golden)
        "accepted"
    } catch (error: EdgekitException) {
        assertFalse("more than one line: ${error.message}", "\n" in error.message.orEmpty())
        error.javaClass.simpleName
    }
}
