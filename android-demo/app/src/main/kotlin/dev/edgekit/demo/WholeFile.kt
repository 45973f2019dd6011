package dev.edgekit.demo

import dev.edgekit.FileException
import java.io.File
import java.io.IOException
import java.io.OutputStream

/**
 * Writes [target] beside it and renames, so that nobody ever reads half a file.
 *
 * @param sync Whether to wait until the disk has it.
 * @throws FileException if the disk refuses; nothing is left behind then, and an older [target] stays.
 */
fun writeWhole(target: File, sync: Boolean = true, write: (OutputStream) -> Unit) {
    val part = File(target.path + ".part")
    try {
        part.outputStream().use { stream ->
            write(stream)
            if (sync) stream.fd.sync()
        }
        if (!part.renameTo(target)) throw IOException("it cannot be renamed")
    } catch (error: IOException) {
        throw FileException("${target.name} cannot be written (${error.message}): free some space and try again", error)
    } finally {
        part.delete() // not there any more after the rename
    }
}
