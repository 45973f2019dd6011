package dev.edgekit.demo

import dev.edgekit.FileException
import dev.edgekit.bundle.Bundle
import dev.edgekit.trust.hexadecimal
import java.io.File
import java.io.IOException
import java.io.InputStream
import java.io.OutputStream
import java.security.DigestInputStream
import java.security.MessageDigest
import java.util.Locale

/** The app's own copies of bundles in [folder]: the one from its assets and the last one that the user picked. */
class BundleStore(private val folder: File, private val free: (File) -> Long = File::getUsableSpace) {
    private val picked = File(folder, "picked.edgekit")
    private val incoming = File(folder, "incoming.edgekit")

    /** The last bundle that was picked; null where there is none. */
    fun picked(): File? = picked.takeIf { it.isFile }

    /** Back to the built-in bundle. */
    fun forget() {
        picked.delete()
    }

    /** The bundle of the assets, copied once: its file is named by its checksum. Null where [asset] has none. */
    fun builtIn(asset: () -> InputStream?): File? {
        val sha256 = asset()?.use(::sha256Of) ?: return null
        val file = File(folder, "demo-$sha256.edgekit")
        if (!file.isFile) {
            val older = folder.listFiles { _, name -> name.startsWith("demo-") }
            val source = asset() ?: return null
            try {
                source.use { take(it, null) }
                rename(file)
            } finally {
                drop()
            }
            older?.forEach { it.delete() }
        }
        return file
    }

    /**
     * Copies a bundle that the user picked and checks the copy, which takes the place of the one before by [keep].
     *
     * @param size Bytes as its provider tells; null where it does not.
     * @throws dev.edgekit.EdgekitException if it is too large for the disk, damaged, newer, or no bundle.
     */
    fun take(source: InputStream, size: Long?): File {
        if (!folder.isDirectory && !folder.mkdirs()) {
            throw FileException("the folder ${folder.name} cannot be made: free some space")
        }
        val room = free(folder) - RESERVE
        if (size != null && size > room) throw tooLarge(size, room)
        writeWhole(incoming) { stream -> copy(source, stream, room) }
        val bundle = Bundle.open(incoming)
        bundle.manifest.files.keys.forEach { bundle.part(it).check() }
        return incoming
    }

    /** What was taken and has been opened replaces the bundle that was picked before; other files stay where they are. */
    fun keep(file: File): File {
        if (file != incoming) return file
        rename(picked)
        return picked
    }

    /** Forgets what was taken and not kept. */
    fun drop() {
        incoming.delete()
    }

    private fun rename(target: File) {
        if (!incoming.renameTo(target)) {
            throw FileException("${target.name} cannot be replaced: restart the app and try again")
        }
    }

    /** Copies until the end, or until the disk would be full: a provider may tell no size, or a wrong one. */
    private fun copy(source: InputStream, target: OutputStream, room: Long) {
        val buffer = ByteArray(1 shl 16)
        var copied = 0L
        while (true) {
            val count = try {
                source.read(buffer)
            } catch (error: IOException) {
                throw FileException("the bundle cannot be read (${error.message}): download it to the phone and pick it again", error)
            }
            if (count < 0) return
            copied += count
            if (copied > room) throw tooLarge(copied, room)
            target.write(buffer, 0, count)
        }
    }

    private fun tooLarge(size: Long, room: Long) = FileException(
        String.format(
            Locale.ROOT,
            "the bundle is too large for the disk (%.1f MB and more, %.1f MB are free for it): free some space and pick it again",
            size / 1e6,
            room.coerceAtLeast(0) / 1e6,
        )
    )

    private fun sha256Of(stream: InputStream): String {
        val digest = MessageDigest.getInstance("SHA-256")
        val through = DigestInputStream(stream, digest)
        val buffer = ByteArray(1 shl 16)
        while (through.read(buffer) >= 0) Unit
        return hexadecimal(digest.digest())
    }

    private companion object {
        /** Bytes that stay free: phones with full disks misbehave, and engines that need a path copy the program again. */
        const val RESERVE = 16_000_000L
    }
}
