package dev.edgekit.classify

import dev.edgekit.bundle.Bundle
import dev.edgekit.bundle.TestFiles
import dev.edgekit.bundle.edited
import dev.edgekit.engine.Engine
import dev.edgekit.text.TextEncoder
import java.io.File
import kotlin.math.exp
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test

class CombinedTest {
    private val bundle = Bundle.open(TestFiles.probe)
    private val entry = bundle.manifest.answering.single()
    private val encoder = TextEncoder(bundle.read(entry.text.tokenizer), entry.text)

    /** Answers the same to every text, and counts. */
    private class Fixed(private vararg val logits: Float) : Engine {
        override val name = "fixed"
        override val distribution = "fixed 1"
        override val lengths: IntArray? = null
        var asked = 0
        var closed = false

        override fun run(ids: IntArray, mask: FloatArray): FloatArray = logits.also { asked++ }

        override fun close() {
            closed = true
        }
    }

    private fun member(role: String, engine: Engine) =
        ModelClassifier(listOf("negative", "positive"), role, entry.programs[0], engine, encoder)

    private fun cascade(threshold: Double, student: Fixed, main: Fixed) =
        Cascade(listOf(member("student", student), member("main", main)), threshold)

    @Test
    fun aSureStudentAnswersAndNobodyElseIsAsked() {
        val engines = listOf(Fixed(0f, 3f), Fixed(3f, 0f))
        val answer = cascade(0.9, engines[0], engines[1]).classify("a film")
        assertEquals(listOf("positive", "student"), listOf(answer.label, answer.model))
        assertEquals(listOf(1, 0), engines.map { it.asked })
    }

    @Test
    fun theThresholdItselfIsSureAndJustAboveItIsNot() {
        val score = softmax(floatArrayOf(0f, 3f))[1]
        assertEquals("student", cascade(score, Fixed(0f, 3f), Fixed(3f, 0f)).classify("").model)
        assertEquals("main", cascade(Math.nextUp(score), Fixed(0f, 3f), Fixed(3f, 0f)).classify("").model)
    }

    @Test
    fun noNumberIsNeverSureAndTheLastOneAnswersWhateverItsScore() {
        val answer = cascade(1e-9, Fixed(Float.NaN, 3f), Fixed(Float.NaN, 1f)).classify("a film")
        assertEquals("main", answer.model)
        assertTrue(answer.score.isNaN())
        assertEquals("negative", answer.label) // of equal ones the first
    }

    @Test
    fun theMeanIsThatOfTheProbabilities() {
        val members = listOf(member("main", Fixed(0f, 0f)), member("m2", Fixed(0f, 20f)))
        val answer = Average(members).classify("a film")
        assertEquals(listOf("positive", "average"), listOf(answer.label, answer.model))
        assertEquals((0.5 + 1 / (1 + exp(-20.0))) / 2, answer.score, 1e-15)
        assertEquals(listOf("negative", "positive"), answer.scores.keys.toList())
        Average(members).close()
        assertTrue(members.all { (it.engine as Fixed).closed })
    }

    @Test
    fun softmaxOfLargeAndEqualLogits() {
        assertArrayEquals(doubleArrayOf(1.0, 0.0), softmax(floatArrayOf(1e30f, -1e30f)), 0.0)
        val equal = softmax(floatArrayOf(2f, 2f))
        assertEquals("negative", Prediction.of(listOf("negative", "positive"), equal, "main").label)
    }

    @Test
    fun bundlesOfSeveralModelsAreLoaded() {
        val folder = TestFiles.folder()
        val kinds = listOf(Triple("cascade", "0.5", "student"), Triple("average", "null", "average"))
        for ((kind, threshold, model) in kinds) {
            val file = edited(TestFiles.probe, File(folder, kind), manifest = { text ->
                val start = text.indexOf("{", text.indexOf("\"models\""))
                val end = text.lastIndexOf("}", text.lastIndexOf("]", text.indexOf("\"combine\""))) + 1
                val other = text.substring(start, end).replace("\"main\"", "\"student\"")
                val combine = "{\"kind\": \"$kind\", \"order\": [\"student\", \"main\"], \"threshold\": $threshold}"
                text.replaceRange(end, end, ", $other")
                    .replace(Regex("\"combine\": null"), "\"combine\": $combine")
                    .replace("\"schema_version\": 1", "\"schema_version\": 2")
            })
            load(file, folder).use { classifier ->
                assertEquals(listOf("student", "main"), classifier.members.map { it.role })
                assertEquals(model, classifier.classify("a good film").model)
                assertTrue(classifier.members[0].encoder === classifier.members[1].encoder)
            }
        }
    }
}
