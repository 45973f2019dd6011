package dev.edgekit.bundle

import java.io.File
import java.security.MessageDigest
import java.util.zip.CRC32
import java.util.zip.ZipEntry
import java.util.zip.ZipFile
import java.util.zip.ZipOutputStream

/**
 * A copy of a bundle whose entries are what [edit] gives for them, and whose manifest is what [manifest] gives for its
 * text, with the new checksums in it. Programs are not aligned in it, which a reader must bear.
 */
internal fun edited(
    bundle: File,
    target: File,
    manifest: (String) -> String = { it },
    edit: (name: String, contents: ByteArray) -> ByteArray = { _, contents -> contents },
): File {
    ZipFile(bundle).use { zip ->
        val contents = zip.entries().asSequence().associate { entry ->
            entry.name to zip.getInputStream(entry).use { it.readBytes() }
        }
        val changed = contents.mapValues { (name, bytes) -> if (name == Bundle.MANIFEST) bytes else edit(name, bytes) }
        var text = manifest(contents.getValue(Bundle.MANIFEST).decodeToString())
        for ((name, bytes) in changed - Bundle.MANIFEST) {
            text = text.replace(sha256(contents.getValue(name)), sha256(bytes))
                .replace(Regex("(${sha256(bytes)}\",\\s*\"bytes\": )\\d+"), "$1${bytes.size}")
        }
        ZipOutputStream(target.outputStream()).use { out ->
            out.setMethod(ZipOutputStream.STORED)
            for ((name, bytes) in changed + (Bundle.MANIFEST to text.toByteArray())) {
                val entry = ZipEntry(name)
                entry.size = bytes.size.toLong()
                entry.crc = CRC32().apply { update(bytes) }.value
                out.putNextEntry(entry)
                out.write(bytes)
            }
        }
    }
    return target
}

private fun sha256(bytes: ByteArray): String =
    MessageDigest.getInstance("SHA-256").digest(bytes).joinToString("") { "%02x".format(it) }
