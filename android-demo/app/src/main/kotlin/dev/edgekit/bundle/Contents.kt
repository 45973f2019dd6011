package dev.edgekit.bundle

import java.io.File
import java.nio.ByteBuffer

/**
 * A program as an engine gets it: as it lies in the bundle ([FilePart]), or opened out of a sealed one ([SealedPart]).
 * Every byte has been compared with its checksum, or authenticated, before any is given.
 */
sealed interface Contents {
    /** The entry, for messages. */
    val name: String

    /**
     * The contents in memory outside Java's heap, at an address that engines take.
     *
     * @throws dev.edgekit.BundleIntegrityException They differ from their checksum.
     * @throws dev.edgekit.SealException They cannot be opened.
     * @throws dev.edgekit.FileException The file has gone or cannot be read.
     * @throws OutOfMemoryError There is no room for them.
     */
    fun buffer(): ByteBuffer

    /** Writes the contents to a file of their own, of which nothing is left behind on an error; throws as [buffer]. */
    fun copyTo(target: File)
}
