package dev.edgekit.bundle

import java.io.File
import java.nio.file.Files
import java.util.concurrent.TimeUnit

/** What tests share: the checkout, its Python, and bundles. */
internal object TestFiles {
    val root = File(System.getProperty("edgekit.root") ?: error("run with -Dedgekit.root=CHECKOUT"))

    /** The Python that the checkout's tests run with. */
    val python: String = System.getProperty("edgekit.python") ?: File(root, ".venv/bin/python").path

    /** A small CNN with programs for LiteRT, ExecuTorch and ONNX. */
    val probe = File(root, "runtime/edgekit_runtime/probe.edgekit")

    /** A folder that is deleted at the end. */
    fun folder(): File {
        val folder = Files.createTempDirectory("edgekit").toFile()
        Runtime.getRuntime().addShutdownHook(Thread { folder.deleteRecursively() })
        return folder
    }

    /** Runs Python to its end. */
    fun runPython(vararg arguments: String) {
        val said = File.createTempFile("python", ".txt")
        try {
            val process = ProcessBuilder(python, *arguments).redirectErrorStream(true).redirectOutput(said).start()
            check(process.waitFor(120, TimeUnit.SECONDS)) { "Python did not end in time: ${said.readText()}" }
            check(process.exitValue() == 0) { "Python failed: ${said.readText()}" }
        } finally {
            said.delete()
        }
    }
}
