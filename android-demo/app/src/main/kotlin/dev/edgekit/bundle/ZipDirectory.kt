package dev.edgekit.bundle

import dev.edgekit.BundleException
import dev.edgekit.json.decodeUtf8
import java.io.File
import java.io.RandomAccessFile
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.charset.CharacterCodingException

/**
 * One record of a zip's central directory, as it stands there.
 *
 * @property name Its name, not yet checked.
 * @property headerOffset Where its local header begins, in bytes from the start of the file.
 */
internal class ZipEntryRecord(
    val name: String,
    val encrypted: Boolean,
    val method: Int,
    val crc: Long,
    val storedSize: Long,
    val size: Long,
    val headerOffset: Long,
)

/**
 * Reads a zip's directory as it stands. The platform's own reader hides what a bundle must refuse (two entries of one
 * name, headers that differ from the directory) and does not tell where data lies. The format is PKWARE's APPNOTE 6.3;
 * ZIP64, which no bundle uses, is refused.
 */
internal class ZipDirectory(private val path: File, private val file: RandomAccessFile) {
    private val fileSize = file.length()

    /**
     * Every record, in the directory's order.
     *
     * @throws BundleException The file is no zip, or was cut short.
     */
    fun entries(): List<ZipEntryRecord> {
        val end = endRecord()
        val directorySize = end.buffer.uint(12)
        val start = end.offset - directorySize
        if (start < 0) refuse("its directory begins before the file does")
        if (directorySize > MAX_DIRECTORY) refuse("its directory has $directorySize bytes, which no bundle needs")
        val shift = start - end.buffer.uint(16) // not zero where something stands in front of the zip
        val directory = read(start, directorySize.toInt())
        val entries = ArrayList<ZipEntryRecord>()
        while (directory.hasRemaining()) entries += record(directory, shift)
        return entries
    }

    /**
     * Where an entry's data begins. The local header is read for it, whose extra field may have another length than the
     * directory's.
     *
     * @throws BundleException The header is not there, or has another name.
     */
    fun dataOffset(entry: ZipEntryRecord): Long {
        val name = entry.name.toByteArray()
        val known = entry.headerOffset in 0..fileSize - LOCAL_HEADER
        val header = if (known) read(entry.headerOffset, LOCAL_HEADER) else null
        if (header == null || header.getInt(0) != LOCAL_SIGNATURE) {
            throw BundleException("${entry.name} is not where the directory of $path says; the file is damaged")
        }
        val nameOffset = entry.headerOffset + LOCAL_HEADER
        val nameSize = header.ushort(26)
        if (nameOffset + nameSize > fileSize || !read(nameOffset, nameSize).array().contentEquals(name)) {
            throw BundleException("${entry.name} has another name inside $path; the file is damaged")
        }
        return nameOffset + nameSize + header.ushort(28)
    }

    private class EndRecord(val buffer: ByteBuffer, val offset: Long)

    /** The record at the end: the last bytes, or, where a comment follows it, the last place with its signature. */
    private fun endRecord(): EndRecord {
        if (fileSize < END_RECORD) refuse("it is too short for a zip")
        val from = maxOf(0, fileSize - END_RECORD - MAX_COMMENT)
        val tail = read(from, (fileSize - from).toInt())
        val last = tail.capacity() - END_RECORD
        val found = if (tail.getInt(last) == END_SIGNATURE && tail.ushort(last + 20) == 0) {
            last
        } else {
            (tail.capacity() - 4 downTo 0).firstOrNull { tail.getInt(it) == END_SIGNATURE }
        }
        if (found == null || found > last) refuse("there is no directory at its end")
        val before = found - ZIP64_LOCATOR
        if (before >= 0 && tail.getInt(before) == ZIP64_SIGNATURE) refuse("it is a ZIP64 file")
        val record = ByteArray(END_RECORD) { tail[found + it] }
        return EndRecord(littleEndian(record), from + found)
    }

    private fun record(directory: ByteBuffer, shift: Long): ZipEntryRecord {
        if (directory.remaining() < RECORD) refuse("its directory is cut short")
        val at = directory.position()
        if (directory.getInt(at) != RECORD_SIGNATURE) refuse("its directory is damaged")
        if (directory.ushort(at + 6) and 0xFF > NEWEST_VERSION) refuse("it needs a newer zip reader")
        val flags = directory.ushort(at + 8)
        val utf8 = flags and UTF8_FLAG != 0
        directory.position(at + RECORD)
        val name = name(directory.take(directory.ushort(at + 28)), utf8)
        checkExtra(littleEndian(directory.take(directory.ushort(at + 30))))
        directory.take(directory.ushort(at + 32))
        return ZipEntryRecord(
            name = name,
            encrypted = flags and 1 != 0,
            method = directory.ushort(at + 10),
            crc = directory.uint(at + 16),
            storedSize = directory.uint(at + 20),
            size = directory.uint(at + 24),
            headerOffset = directory.uint(at + 42) + shift,
        )
    }

    /** Names without the flag are of an old code page: ASCII is the same there, and nothing else is a plain name. */
    private fun name(bytes: ByteArray, utf8: Boolean): String = try {
        if (utf8) decodeUtf8(bytes) else String(bytes, Charsets.ISO_8859_1)
    } catch (error: CharacterCodingException) {
        refuse("a name in its directory is no UTF-8")
    }

    private fun checkExtra(extra: ByteBuffer) {
        while (extra.remaining() >= 4) {
            val id = extra.short.toInt() and 0xFFFF
            val size = extra.short.toInt() and 0xFFFF
            if (size > extra.remaining()) refuse("an extra field in its directory is damaged")
            if (id == ZIP64_EXTRA) refuse("it is a ZIP64 file")
            extra.position(extra.position() + size)
        }
    }

    private fun read(offset: Long, size: Int): ByteBuffer {
        val bytes = ByteArray(size)
        file.seek(offset)
        file.readFully(bytes)
        return littleEndian(bytes)
    }

    /** The next bytes, or what is left of them. */
    private fun ByteBuffer.take(size: Int): ByteArray = ByteArray(minOf(size, remaining())).also { get(it) }

    private fun refuse(reason: String): Nothing =
        throw BundleException("$path is no edgekit bundle, or was cut short ($reason); copy it again")

    private companion object {
        const val END_RECORD = 22
        const val MAX_COMMENT = 1 shl 16
        const val MAX_DIRECTORY = 1 shl 24
        const val RECORD = 46
        const val LOCAL_HEADER = 30
        const val ZIP64_LOCATOR = 20
        const val ZIP64_EXTRA = 1
        const val NEWEST_VERSION = 63
        const val UTF8_FLAG = 0x800
        const val LOCAL_SIGNATURE = 0x04034B50
        const val RECORD_SIGNATURE = 0x02014B50
        const val END_SIGNATURE = 0x06054B50
        const val ZIP64_SIGNATURE = 0x07064B50

        fun littleEndian(bytes: ByteArray): ByteBuffer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN)

        fun ByteBuffer.ushort(at: Int): Int = getShort(at).toInt() and 0xFFFF

        fun ByteBuffer.uint(at: Int): Long = getInt(at).toLong() and 0xFFFFFFFFL
    }
}
