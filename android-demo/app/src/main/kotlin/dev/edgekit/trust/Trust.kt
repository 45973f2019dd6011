package dev.edgekit.trust

/**
 * What is trusted when a bundle is opened.
 *
 * @property signers Keys of which one must have signed the bundle; where there are none, any bundle is taken.
 * @property keys Finds the keys of sealed bundles.
 */
class Trust(val signers: List<PublicKey> = emptyList(), val keys: SealingKeys = SealingKeys.NONE)
