package org.tensorflow.lite

import java.nio.ByteBuffer
import java.nio.file.Files
import org.bytedeco.javacpp.BytePointer
import org.bytedeco.javacpp.FloatPointer
import org.bytedeco.javacpp.IntPointer
import org.bytedeco.javacpp.Pointer
import org.bytedeco.tensorflowlite.TfLiteInterpreter
import org.bytedeco.tensorflowlite.TfLiteModel
import org.bytedeco.tensorflowlite.TfLiteSignatureRunner
import org.bytedeco.tensorflowlite.global.tensorflowlite as c

/**
 * Stands before Android's class of this name on the tests' class path, since that one's library is for Android alone.
 * Behind it is a real TensorFlow Lite for desktops, called by its C interface; it has just what the app's engine calls.
 */
class Interpreter(private val contents: ByteBuffer, options: Options) : AutoCloseable {
    class Options {
        internal var threads = -1

        fun setNumThreads(threads: Int): Options = apply { this.threads = threads }
    }

    private val model: TfLiteModel
    private val interpreter: TfLiteInterpreter
    private val runners = HashMap<String, TfLiteSignatureRunner>()
    private var closed = false

    init {
        require(contents.isDirect) { "Model ByteBuffer should be either a MappedByteBuffer or a direct ByteBuffer" }
        model = c.TfLiteModelCreate(BytePointer(contents), contents.remaining().toLong())
            ?: throw IllegalArgumentException("ByteBuffer is not a valid TensorFlow Lite model flatbuffer")
        val settings = c.TfLiteInterpreterOptionsCreate()
        c.TfLiteInterpreterOptionsSetNumThreads(settings, options.threads)
        interpreter = c.TfLiteInterpreterCreate(model, settings)
            ?: throw IllegalArgumentException("Internal error: Cannot create interpreter")
        c.TfLiteInterpreterOptionsDelete(settings)
    }

    val signatureKeys: Array<String>
        get() = Array(c.TfLiteInterpreterGetSignatureCount(interpreter)) {
            c.TfLiteInterpreterGetSignatureKey(interpreter, it).string
        }

    fun runSignature(inputs: Map<String, Any>, outputs: Map<String, Any>, key: String) {
        check(!closed) { "Internal error: The Interpreter has already been closed." }
        val runner = runners.getOrPut(key) {
            val made = c.TfLiteInterpreterGetSignatureRunner(interpreter, key)
                ?: throw IllegalArgumentException("Invalid signature key $key")
            succeed(c.TfLiteSignatureRunnerAllocateTensors(made), "allocate tensors")
            made
        }
        for ((name, value) in inputs) {
            val tensor = c.TfLiteSignatureRunnerGetInputTensor(runner, name)
                ?: throw IllegalArgumentException("Input error: input $name not found")
            val bytes = bytesOf((value as Array<*>).single())
            succeed(c.TfLiteTensorCopyFromBuffer(tensor, bytes, bytes.limit() * bytes.sizeof()), "copy to $name")
        }
        succeed(c.TfLiteSignatureRunnerInvoke(runner), "invoke")
        for ((name, value) in outputs) {
            val tensor = c.TfLiteSignatureRunnerGetOutputTensor(runner, name)
                ?: throw IllegalArgumentException("Input error: output $name not found")
            val row = (value as Array<*>).single() as FloatArray
            val copy = FloatPointer(row.size.toLong())
            succeed(c.TfLiteTensorCopyToBuffer(tensor, copy, 4L * row.size), "copy from $name")
            copy.get(row)
        }
    }

    override fun close() {
        if (closed) return
        closed = true
        runners.values.forEach { c.TfLiteSignatureRunnerDelete(it) }
        c.TfLiteInterpreterDelete(interpreter)
        c.TfLiteModelDelete(model)
    }

    private fun bytesOf(row: Any?): Pointer = when (row) {
        is IntArray -> IntPointer(*row)
        is FloatArray -> FloatPointer(*row)
        else -> throw IllegalArgumentException("DataType error: cannot resolve DataType of $row")
    }

    private fun succeed(status: Int, what: String) = check(status == 0) { "Internal error: Failed to $what ($status)" }

    internal companion object {
        init {
            if (System.getProperty("org.bytedeco.javacpp.cachedir") == null) { // else it writes to the home folder
                val cache = Files.createTempDirectory("javacpp").toFile()
                Runtime.getRuntime().addShutdownHook(Thread { cache.deleteRecursively() })
                System.setProperty("org.bytedeco.javacpp.cachedir", cache.path)
            }
        }

        val version: String get() = c.TfLiteVersion().string
    }
}

/** As [Interpreter]: tells the version of the TensorFlow Lite that is behind it. */
object TensorFlowLite {
    @JvmStatic
    fun runtimeVersion(): String = Interpreter.version
}
