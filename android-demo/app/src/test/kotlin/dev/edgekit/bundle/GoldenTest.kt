package dev.edgekit.bundle

import dev.edgekit.BundleException
import dev.edgekit.GoldenMismatchException
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test

class GoldenTest {
    private val ids = intArrayOf(2, 3)

    private fun check(found: FloatArray, logits: String, distribution: String = LITERT, encoded: IntArray = ids) {
        val json = """{"texts": [{"text": "ok", "ids": [2, 3], "logits": $logits}]}"""
        Golden.parse(json.toByteArray(), "golden.json").check("m", distribution, { encoded }, { found })
    }

    private fun refused(found: FloatArray, logits: String, by: String = LITERT, encoded: IntArray = ids): String {
        val error = assertThrows(GoldenMismatchException::class.java) { check(found, logits, by, encoded) }
        return error.message.orEmpty()
    }

    @Test
    fun aLittleOffIsRight() = check(floatArrayOf(1.04f, -1.04f), """{"m": [1, -1]}""")

    @Test
    fun furtherOffIsWrong() {
        val said = refused(floatArrayOf(1.06f, -1f), """{"m": [1, -1]}""")
        assertTrue(said, "litert 1.4 answers [1.06, -1.0]" in said && "[1.0, -1.0]" in said)
    }

    @Test
    fun noNumberIsWrong() {
        refused(floatArrayOf(Float.NaN, -1f), """{"m": [1, -1]}""")
        refused(floatArrayOf(1f, -1f), """{"m": [NaN, -1]}""")
        refused(floatArrayOf(1f), """{"m": [1, -1]}""")
    }

    @Test
    fun aClearLabelMustAgreeAndAnUnclearOneNeedNot() {
        check(floatArrayOf(0.02f, 0.03f), """{"m": [0.03, 0.02]}""")
        check(floatArrayOf(0.045f, 0.05f), """{"m": [0.09, 0.01]}""") // 0.08 apart: not clear
        refused(floatArrayOf(0.055f, 0.06f), """{"m": [0.105, 0.0]}""")
    }

    @Test
    fun otherIdsAreWrong() {
        assertTrue("splits" in refused(floatArrayOf(1f, -1f), """{"m": [1, -1]}""", encoded = intArrayOf(2, 4)))
    }

    @Test
    fun tensorFlowLiteIsHeldToTheLogitsOfItsGenerationWithItsTolerance() {
        assertEquals("m@tflite-runtime", Golden.goldenKey("m", "tensorflow-lite 2.16.1"))
        val logits = """{"m": [1, -1], "m@tflite-runtime": [1.1, -1]}"""
        check(floatArrayOf(1.24f, -1f), logits, "tensorflow-lite 2.16.1")
        refused(floatArrayOf(1.26f, -1f), logits, "tensorflow-lite 2.16.1")
        refused(floatArrayOf(1.06f, -1f), logits)
    }

    /** What is left of a text that was taken out: the ids are taken as they are, and the logits must be right. */
    @Test
    fun aTextThatWasTakenOut() {
        val golden = Golden.parse("""{"texts": [{"text": null, "ids": [2, 3], "logits": {"m": [1, -1]}}]}""".toByteArray(), "g")
        val asked = ArrayList<List<Int>>()
        val encode = { text: String -> error("the text $text was encoded") }
        golden.check("m", LITERT, encode) { asked += it.toList(); floatArrayOf(1f, -1f) }
        assertEquals(listOf(listOf(2, 3)), asked)
        val error = assertThrows(GoldenMismatchException::class.java) {
            golden.check("m", LITERT, encode) { floatArrayOf(-1f, 1f) }
        }
        assertTrue(error.message, "to the golden text 1, whose words were taken out" in error.message.orEmpty())
        val without = """{"texts": [{"ids": [2], "logits": {}}]}""".toByteArray()
        assertThrows(BundleException::class.java) { Golden.parse(without, "g") }
    }

    @Test
    fun noLogitsForTheProgram() {
        assertThrows(BundleException::class.java) { check(floatArrayOf(1f, -1f), """{"other": [1, -1]}""") }
        assertThrows(BundleException::class.java) { Golden.parse("""{"texts": []}""".toByteArray(), "golden.json") }
    }

    private companion object {
        const val LITERT = "litert 1.4"
    }
}
