package dev.edgekit.bundle

import dev.edgekit.BundleIntegrityException
import dev.edgekit.FileException
import dev.edgekit.trust.hexadecimal
import java.io.ByteArrayOutputStream
import java.io.File
import java.io.FileNotFoundException
import java.io.IOException
import java.io.OutputStream
import java.io.RandomAccessFile
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.MappedByteBuffer
import java.nio.channels.FileChannel
import java.nio.file.Files
import java.security.MessageDigest

/**
 * Contents that lie in one piece in a file, so that an engine may read or map them.
 *
 * @property name Their name, for messages.
 * @property file The file.
 * @property offset Where they begin, in bytes.
 * @property size Their length, in bytes.
 * @property sha256 Their checksum, in lower-case hexadecimal.
 */
data class FilePart(
    override val name: String,
    val file: File,
    val offset: Long,
    val size: Long,
    val sha256: String,
) : Contents {
    /**
     * The contents, compared with their checksum.
     *
     * @throws BundleIntegrityException They differ from it.
     * @throws FileException The file has gone or cannot be read.
     */
    fun read(): ByteArray {
        val bytes = ByteArrayOutputStream()
        stream(bytes::write)
        return bytes.toByteArray()
    }

    /** Compares the contents with their checksum, a piece at a time; throws as [read]. */
    fun check() = stream { _, _, _ -> }

    /**
     * Copies the contents to a file of their own; what is compared with the checksum are the very bytes that are
     * written. They are written beside [target] and renamed, so that no half-written file is ever seen.
     *
     * @throws BundleIntegrityException, FileException As [read], or [target] cannot be written; nothing is left behind.
     */
    override fun copyTo(target: File) = writing(target) { out ->
        stream { bytes, from, count -> put(out, bytes, from, count, target) }
    }

    /** The contents mapped, or copied where they do not begin where a map may, which no edgekit writes. */
    override fun buffer(): ByteBuffer {
        if (offset % Bundle.ALIGNMENT == 0L) return map()
        val bytes = read()
        return ByteBuffer.allocateDirect(bytes.size).order(ByteOrder.nativeOrder()).put(bytes).apply { rewind() }
    }

    /**
     * The contents mapped into memory, where they lie in the file; the mapped bytes are what is compared with the
     * checksum. The file must not be changed as long as the map is used.
     *
     * @throws BundleIntegrityException, FileException As [read].
     * @throws OutOfMemoryError There is no room for the map.
     */
    fun map(): MappedByteBuffer {
        val mapped = reading(file) {
            if (it.length() < offset + size || size > Int.MAX_VALUE) {
                null
            } else {
                try {
                    it.channel.map(FileChannel.MapMode.READ_ONLY, offset, size)
                } catch (error: IOException) {
                    throw error.cause as? OutOfMemoryError ?: error // the platform wraps it
                }
            }
        }
        val digest = MessageDigest.getInstance("SHA-256")
        if (mapped == null) throw damaged()
        digest.update(mapped.duplicate())
        if (hexadecimal(digest.digest()) != sha256) throw damaged()
        return mapped
    }

    /** Gives the contents piece by piece; that they are right is known only once this has returned. */
    internal fun stream(each: (ByteArray, from: Int, count: Int) -> Unit) {
        val digest = MessageDigest.getInstance("SHA-256")
        var left = size
        reading(file) {
            it.seek(offset)
            val chunk = ByteArray(CHUNK)
            while (left > 0) {
                val count = it.read(chunk, 0, minOf(left, CHUNK.toLong()).toInt())
                if (count < 0) break
                digest.update(chunk, 0, count)
                each(chunk, 0, count)
                left -= count
            }
        }
        if (left > 0 || hexadecimal(digest.digest()) != sha256) throw damaged()
    }

    private fun damaged() = BundleIntegrityException(
        "$name in $file differs from its checksum: the file is damaged or was changed; " +
            "copy it again or convert the model anew",
    )

    internal companion object {
        private const val CHUNK = 1 shl 16

        /**
         * Writes a file beside [target], which only this app's user may read, and renames it.
         *
         * @param sync Whether to wait until the disk has it.
         * @throws FileException It cannot be written; nothing is left behind then, as where [write] throws.
         */
        fun writing(target: File, sync: Boolean = true, write: (OutputStream) -> Unit) {
            val beside = try {
                val folder = target.absoluteFile.parentFile?.also { it.mkdirs() } ?: target.absoluteFile
                Files.createTempFile(folder.toPath(), "copy", ".part").toFile()
            } catch (error: IOException) {
                throw unwritable(target, error)
            }
            try {
                beside.outputStream().use { out ->
                    write(out)
                    if (sync) out.fd.sync()
                }
                if (!beside.renameTo(target)) throw unwritable(target, null)
            } catch (error: IOException) {
                throw unwritable(target, error)
            } finally {
                beside.delete()
            }
        }

        /** Writes a piece of what goes to [target], whose errors are told from those of reading. */
        fun put(out: OutputStream, bytes: ByteArray, from: Int, count: Int, target: File) = try {
            out.write(bytes, from, count)
        } catch (error: IOException) {
            throw unwritable(target, error)
        }

        private fun unwritable(target: File, error: IOException?): FileException {
            val reason = error?.message ?: "it cannot be renamed"
            return FileException("cannot write $target ($reason); make room on the device", error)
        }

        /**
         * Opens a file for reading.
         *
         * @throws FileException It is missing, a folder, or cannot be read.
         */
        fun <T> reading(file: File, block: (RandomAccessFile) -> T): T {
            if (file.isDirectory) throw FileException("$file is a folder, not a bundle; give the .edgekit file")
            try {
                return RandomAccessFile(file, "r").use(block)
            } catch (error: FileNotFoundException) {
                val reason = if (file.exists()) "cannot read $file: ${error.message}" else "there is no file $file"
                throw FileException("$reason; check the path", error)
            } catch (error: IOException) {
                throw FileException("cannot read $file: ${error.message}; copy it again", error)
            }
        }
    }
}
