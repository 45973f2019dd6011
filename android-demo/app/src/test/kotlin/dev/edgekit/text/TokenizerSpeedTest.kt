package dev.edgekit.text

import org.junit.Assert.assertTrue
import org.junit.Test

/** A bound that holds on a busy machine, too; [TokenizerSpeed]'s main gives the figure on an idle one. */
class TokenizerSpeedTest {
    @Test
    fun tokenizingIsQuick() {
        val found = TokenizerSpeed.measure(rounds = 4, texts = 4_000)
        println("tokenizing: $found")
        assertTrue("$found", found.textsPerSecond > 5_000)
        assertTrue("$found", found.loadMs < 1_500)
    }
}
