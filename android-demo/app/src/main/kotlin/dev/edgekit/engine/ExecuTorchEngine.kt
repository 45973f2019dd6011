package dev.edgekit.engine

import dev.edgekit.BundleIntegrityException
import dev.edgekit.EngineException
import dev.edgekit.FileException
import dev.edgekit.bundle.Contents
import dev.edgekit.bundle.FilePart
import dev.edgekit.bundle.Program
import dev.edgekit.bundle.SealedPart
import java.io.File
import java.io.IOException
import java.nio.file.Files
import org.pytorch.executorch.EValue
import org.pytorch.executorch.Module
import org.pytorch.executorch.Tensor

/**
 * Runs a .pte program on ExecuTorch with XNNPACK. Its method `forward` takes every length, so nothing is padded and
 * there is no mask. The library takes a path alone, so the program is copied to a private file named by its checksum;
 * one that is sealed to a file that is removed as soon as the library has it open.
 */
class ExecuTorchEngine private constructor(
    private val module: Module,
    private val program: Program,
    override val distribution: String,
) : Engine {
    override val name: String get() = NAME

    override val lengths: IntArray? get() = null

    private val logits = program.outputs.indexOfFirst { it.role == "logits" }
    private var closed = false

    @Synchronized
    override fun run(ids: IntArray, mask: FloatArray): FloatArray {
        if (closed) throw EngineException("the engine was closed; load the bundle again")
        // What it is not made for may end the process rather than give an error.
        if (ids.isEmpty() || mask.size != ids.size || mask.any { it != 1f }) {
            throw EngineException("an ExecuTorch program takes a text in its own length: drop the padding and its mask")
        }
        if (ids.any { it < 0 }) throw EngineException("a token id is negative; convert the model anew")
        return calling(LIBRARY, "run ${program.file} at length ${ids.size}") {
            val shape = longArrayOf(1, ids.size.toLong())
            val input = if (program.inputs[0].dtype == "int64") {
                Tensor.fromBlob(LongArray(ids.size) { ids[it].toLong() }, shape)
            } else {
                Tensor.fromBlob(ids, shape)
            }
            module.execute(METHOD, EValue.from(input))[logits].toTensor().dataAsFloatArray
        }
    }

    @Synchronized
    override fun close() {
        if (!closed) module.destroy()
        closed = true
    }

    companion object : EngineLoader {
        private const val NAME = "executorch"
        private const val LIBRARY = "ExecuTorch"
        private const val METHOD = "forward"
        private const val OPENED = "opened-"

        override val name: String get() = NAME

        override fun unavailable(): String? = absent("org.pytorch.executorch.Module", LIBRARY)

        override fun load(program: Program, contents: Contents, cache: File, threads: Int): Engine {
            val known = program.inputs.map { it.role } == listOf("ids") && program.outputs.any { it.role == "logits" }
            if (!known || program.inputs[0].dtype !in listOf("int32", "int64")) {
                throw EngineException(
                    "the manifest must name one input, the ids as int32 or int64, and the logits of ${program.file}; " +
                        "convert the model anew",
                )
            }
            val load = { file: File ->
                calling(LIBRARY, "load ${program.file}") {
                    val module = Module.load(file.path, Module.LOAD_MODE_MMAP, threads)
                    ExecuTorchEngine(module, program, Engines.distributions[NAME] ?: "executorch-android")
                }
            }
            return when (contents) {
                is FilePart -> load(privateCopy(contents, cache))
                is SealedPart -> opened(contents, cache, load)
            }
        }

        /** Removes what a process that was killed while it loaded may have left; to be called before anything is loaded. */
        fun tidy(cache: File) {
            cache.listFiles { _, name -> name.startsWith(OPENED) }?.forEach { it.deleteRecursively() }
        }

        /** A sealed program in a file that only this user may read; it has no name any more once it is loaded. */
        private fun <T> opened(contents: SealedPart, cache: File, load: (File) -> T): T {
            val folder = try {
                cache.mkdirs()
                Files.createTempDirectory(cache.toPath(), OPENED).toFile()
            } catch (error: IOException) {
                throw FileException("cannot write to $cache (${error.message}); make room on the device", error)
            }
            try {
                return load(File(folder, "program.pte").also(contents::copyTo))
            } finally {
                folder.deleteRecursively()
            }
        }

        /** The program in a file of its own; one that is there already serves if its contents are right. */
        private fun privateCopy(part: FilePart, cache: File): File {
            val target = File(cache, "${part.sha256}.pte")
            if (target.isFile) {
                try {
                    part.copy(file = target, offset = 0).check()
                    if (target.length() == part.size) return target
                } catch (error: BundleIntegrityException) {
                    target.delete() // it was damaged since
                }
            }
            part.copyTo(target)
            return target
        }
    }
}
