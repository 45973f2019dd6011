package org.pytorch.executorch

import dev.edgekit.bundle.TestFiles
import java.io.File

/**
 * Stands before Android's class of this name on the tests' class path, since that one's library is for Android alone.
 * Behind it is the real ExecuTorch for desktops, in a Python process; it has just what the app's engine calls.
 */
class Module private constructor(path: String, threads: Int) {
    private val process = ProcessBuilder(TestFiles.python, "-c", SCRIPT, path, threads.toString())
        .redirectError(ProcessBuilder.Redirect.INHERIT)
        .start()
    private val input = process.outputStream.bufferedWriter()
    private val output = process.inputStream.bufferedReader()

    init {
        answer()
    }

    fun execute(method: String, vararg values: EValue): Array<EValue> {
        require(method == "forward") { "there is no method $method" }
        val tensor = values.single().toTensor()
        require(tensor.shape().toList() == listOf(1L, tensor.numel())) { "the shape is ${tensor.shape().toList()}" }
        input.write(tensor.dataAsLongArray.joinToString(" ", postfix = "\n"))
        input.flush()
        val logits = answer().map { it.toFloat() }.toFloatArray()
        return arrayOf(EValue.from(Tensor.fromBlob(logits, longArrayOf(1, logits.size.toLong()))))
    }

    fun destroy() {
        input.close()
        process.waitFor()
    }

    private fun answer(): List<String> {
        val words = output.readLine().orEmpty().split(" ")
        return when (words[0]) {
            "ok" -> words.drop(1)
            "missing" -> throw UnsatisfiedLinkError(words.drop(1).joinToString(" "))
            else -> throw ExecutorchRuntimeException(INVALID_ARGUMENT, words.joinToString(" "))
        }
    }

    companion object {
        const val LOAD_MODE_MMAP = 1
        private const val INVALID_ARGUMENT = 18

        @JvmStatic
        fun load(path: String, mode: Int, threads: Int): Module {
            require(mode == LOAD_MODE_MMAP && File(path).isFile) { "Cannot load model path $path" }
            return Module(path, threads)
        }

        private val SCRIPT = """
            import sys
            import numpy as np
            try:
                from edgekit_executorch import ExecuTorchError, Program
            except ImportError as error:
                sys.exit(print("missing", error))
            try:
                program = Program(sys.argv[1], threads=int(sys.argv[2]))
                print("ok", flush=True)
                for line in sys.stdin:
                    (logits,) = program.run(np.array([line.split()], dtype=np.int64))
                    print("ok", *logits[0].tolist(), flush=True)
            except (ExecuTorchError, ValueError) as error:
                print("error", error, flush=True)
        """.trimIndent()
    }
}
