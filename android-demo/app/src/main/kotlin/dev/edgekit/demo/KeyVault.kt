package dev.edgekit.demo

import dev.edgekit.OptionException
import dev.edgekit.trust.SealingKeys

/** Keeps the keys of sealed bundles from one start of the app to the next. */
interface KeyVault : SealingKeys {
    /**
     * Keeps a key of 32 bytes, over whatever was kept under its id, and wipes [master].
     *
     * @return Its id.
     * @throws dev.edgekit.EdgekitException It cannot be kept.
     */
    fun add(master: ByteArray): String
}

/** Keeps nothing. */
object NoVault : KeyVault, SealingKeys by SealingKeys.NONE {
    override fun add(master: ByteArray): String = throw OptionException("this app keeps no keys: take one that does")
}
