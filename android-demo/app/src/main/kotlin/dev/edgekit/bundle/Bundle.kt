package dev.edgekit.bundle

import dev.edgekit.BundleException
import dev.edgekit.BundleIntegrityException
import dev.edgekit.SealException
import dev.edgekit.json.quoted
import dev.edgekit.trust.PublicKey
import dev.edgekit.trust.SealingKeys
import dev.edgekit.trust.Signatures
import dev.edgekit.trust.Signers
import dev.edgekit.trust.id
import java.io.File
import java.io.RandomAccessFile
import java.util.zip.CRC32

/**
 * An open bundle (docs/bundle.md). Its structure has been checked; each entry's checksum is checked when it is read.
 *
 * @property file The file, which must stay as it is while the bundle or what was loaded from it is used.
 * @property manifest What it says of itself.
 * @property signers Who signed it.
 */
class Bundle private constructor(
    val file: File,
    val manifest: Manifest,
    val signers: Signers,
    private val offsets: Map<String, Long>,
) {
    /**
     * The contents of one entry.
     *
     * @throws BundleIntegrityException They are not those that the manifest promises.
     * @throws dev.edgekit.FileException The file has gone or cannot be read.
     */
    fun read(name: String): ByteArray = part(name).read()

    /** Where the contents of one entry lie. */
    fun part(name: String): FilePart {
        val entry = manifest.files[name]
        val offset = offsets[name]
        if (entry == null || offset == null) {
            throw BundleException("$file has no '$name'; it has ${manifest.files.keys.joinToString()}")
        }
        return FilePart(name, file, offset, entry.bytes, entry.sha256)
    }

    /**
     * A program as an engine gets it, opened where it is sealed.
     *
     * @param keys Finds the key of a sealed bundle; nobody else is asked for it.
     * @throws SealException It is sealed, and the key is not there, or another.
     */
    fun program(name: String, keys: SealingKeys): Contents {
        val part = part(name)
        val seal = manifest.seal ?: return part
        val key = keys.find(seal.keyId) ?: throw SealException(
            "$file is sealed, and the key ${seal.keyId} is not on this device: add its key file, then open it again",
        )
        if (key.id() != seal.keyId) {
            throw SealException("$file is sealed with the key ${seal.keyId}, not with ${key.id()}: give that one's file")
        }
        return SealedPart(part, seal, key)
    }

    companion object {
        const val MANIFEST = "manifest.json"
        const val SIGNATURE = "signature"

        /** A program's data starts at a multiple of this many bytes, so that an engine can map it. */
        const val ALIGNMENT = 4096

        private const val MAX_MANIFEST_BYTES = 16_000_000
        private val NAME = Regex("[A-Za-z0-9_][A-Za-z0-9._-]*")
        private const val STORED = 0

        /**
         * Opens a bundle and checks its structure, in the order in which the Python runtime does.
         *
         * @param trusted Keys of which one must have signed it; where there are none, any bundle is taken.
         * @throws dev.edgekit.FileException There is no such file, or it cannot be read.
         * @throws BundleException It is no bundle, or has duplicate, compressed or encrypted entries, paths, or sizes
         *   that lie.
         * @throws BundleIntegrityException An entry is missing or extra.
         * @throws dev.edgekit.BundleVersionException It was written by a newer edgekit.
         * @throws dev.edgekit.BundleSignatureException No trusted key signed it, or one did wrongly.
         */
        fun open(file: File, trusted: List<PublicKey> = emptyList()): Bundle = FilePart.reading(file) { reader ->
            val zip = ZipDirectory(file, reader)
            val entries = checked(file, zip.entries())
            val offsets = entries.mapValues { zip.dataOffset(it.value) }
            checkLayout(file, entries.mapValues { it.value.size }, offsets, reader.length())
            val record = entries[MANIFEST]
                ?: throw BundleIntegrityException("$file has no $MANIFEST: it is no edgekit bundle, or a damaged one")
            if (record.size > MAX_MANIFEST_BYTES) {
                throw BundleException("$MANIFEST in $file claims ${record.size} bytes; no bundle needs that")
            }
            val bytes = contents(reader, offsets.getValue(MANIFEST), record.size)
            if (CRC32().apply { update(bytes) }.value != record.crc) {
                throw BundleIntegrityException("$MANIFEST in $file differs from its checksum: the file is damaged")
            }
            val signature = entries[SIGNATURE]?.let {
                contents(reader, offsets.getValue(SIGNATURE), minOf(it.size, Signatures.MAX_BYTES + 1L))
            }
            val signers = if (trusted.isEmpty()) {
                Signatures.claimed(signature)
            } else {
                Signatures.checked(bytes, signature, trusted)
            }
            val manifest = Manifest.parse(bytes)
            checkContents(file, entries - MANIFEST - SIGNATURE, manifest)
            Bundle(file, manifest, signers, offsets)
        }

        private fun contents(reader: RandomAccessFile, offset: Long, size: Long): ByteArray {
            val bytes = ByteArray(size.toInt())
            reader.seek(offset)
            reader.readFully(bytes)
            return bytes
        }

        private fun checked(file: File, records: List<ZipEntryRecord>): Map<String, ZipEntryRecord> {
            val entries = LinkedHashMap<String, ZipEntryRecord>()
            for (record in records) {
                val name = record.name
                if (!NAME.matches(name)) {
                    val shown = "${quoted(name)}, which is no plain file name"
                    throw BundleException("$file holds an entry named $shown; do not trust this file")
                }
                if (name in entries) throw BundleException("$file holds '$name' twice; do not trust this file")
                if (record.method != STORED || record.encrypted) {
                    throw BundleException(
                        "$name in $file is compressed or encrypted; the entries of a bundle are stored as they are",
                    )
                }
                if (record.size != record.storedSize) {
                    throw BundleException("$name in $file claims two different sizes; do not trust this file")
                }
                entries[name] = record
            }
            return entries
        }

        private fun checkLayout(file: File, sizes: Map<String, Long>, offsets: Map<String, Long>, fileSize: Long) {
            var end = 0L
            for ((name, offset) in offsets.entries.sortedBy { it.value }) {
                val begin = end
                end = offset + sizes.getValue(name)
                if (offset < begin || end > fileSize) {
                    throw BundleException("$name in $file overlaps an entry or the file's end; the file is damaged")
                }
            }
        }

        private fun checkContents(file: File, entries: Map<String, ZipEntryRecord>, manifest: Manifest) {
            val missing = manifest.files.keys - entries.keys
            if (missing.isNotEmpty()) {
                val names = missing.sorted().joinToString()
                throw BundleIntegrityException("$file lacks $names: the file is damaged; copy it again")
            }
            val extra = entries.keys - manifest.files.keys
            if (extra.isNotEmpty()) {
                val names = extra.sorted().joinToString()
                throw BundleIntegrityException("$file holds $names, which its manifest does not name; do not trust it")
            }
            for ((name, entry) in manifest.files) {
                val size = entries.getValue(name).size
                if (size != entry.bytes) {
                    throw BundleIntegrityException(
                        "$name in $file has $size bytes, and the manifest says ${entry.bytes}: the file is damaged",
                    )
                }
            }
        }
    }
}
