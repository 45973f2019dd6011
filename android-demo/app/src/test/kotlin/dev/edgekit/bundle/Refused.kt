package dev.edgekit.bundle

import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue

/** Asserts that [block] throws just a [T], on one line that has all of these words. */
internal inline fun <reified T : Throwable> refused(vararg words: String, crossinline block: () -> Unit) {
    val error = assertThrows(T::class.java) { block() }
    val said = error.message.orEmpty()
    assertEquals(said, T::class.java, error.javaClass)
    assertTrue(said, words.all { it in said } && "\n" !in said)
}
