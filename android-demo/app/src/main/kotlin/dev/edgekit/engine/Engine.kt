package dev.edgekit.engine

import dev.edgekit.EdgekitException
import dev.edgekit.EngineException
import dev.edgekit.EngineUnavailableException
import dev.edgekit.bundle.Contents
import dev.edgekit.bundle.Program
import java.io.Closeable
import java.io.File

/** Runs one program; an [EngineLoader] makes it. Safe to share between threads: calls wait for each other. */
interface Engine : Closeable {
    /** The engine's name in manifests. */
    val name: String

    /** What brings it and its version, "tensorflow-lite 2.16.1". */
    val distribution: String

    /** Padded lengths in tokens that it takes, ascending; null if it takes any. */
    val lengths: IntArray?

    /**
     * Classifies one padded text.
     *
     * @param ids Token ids, as many as one of [lengths]; where that is null, nothing is padded.
     * @param mask As many, 1 where the text is and 0 where the padding is.
     * @return The logits, one a class, which the caller owns.
     * @throws EngineException The engine failed, or was closed.
     */
    fun run(ids: IntArray, mask: FloatArray): FloatArray
}

/** An engine that programs can be loaded on. */
interface EngineLoader {
    /** The engine's name in manifests. */
    val name: String

    /** Why the engine is not in this app; null if it is. */
    fun unavailable(): String?

    /**
     * Prepares a program.
     *
     * @param contents What it is. An engine takes it in memory, or as a file of its own.
     * @param cache Folder for private copies.
     * @param threads Upper bound on the threads that one call may use.
     * @throws EngineException The engine refuses the program, or there is not enough memory.
     * @throws EngineUnavailableException Its native library does not load.
     * @throws dev.edgekit.BundleIntegrityException The contents differ from their checksum.
     * @throws dev.edgekit.SealException They are sealed and cannot be opened.
     */
    fun load(program: Program, contents: Contents, cache: File, threads: Int): Engine
}

/** Calls into an engine's library, whose failures come back as errors that say what to do. */
internal inline fun <T> calling(library: String, doing: String, block: () -> T): T = try {
    block()
} catch (error: EdgekitException) {
    throw error
} catch (error: OutOfMemoryError) {
    val next = "close other apps, or take a smaller bundle"
    throw EngineException("there is not enough memory for $library to $doing; $next", error)
} catch (error: LinkageError) {
    val reason = "the native library of $library does not load on this device (${oneLine(error)})"
    throw EngineUnavailableException("$reason; choose another engine", error)
} catch (error: RuntimeException) {
    val next = "choose another engine, or convert the model anew"
    throw EngineException("$library cannot $doing: ${oneLine(error)}; $next", error)
}

/** What an error of a library says, or, where it is silent as a class's initialiser is, its cause; on one line. */
internal fun oneLine(error: Throwable): String =
    generateSequence(error) { it.cause }.firstNotNullOfOrNull { it.message?.trim()?.ifEmpty { null } }
        ?.replace(Regex("\\s+"), " ")?.take(300) ?: error.javaClass.simpleName

/** Why a library cannot be used, if the class by which it is known is not in this app. It is not initialised. */
internal fun absent(name: String, library: String): String? = try {
    Class.forName(name, false, Engine::class.java.classLoader)
    null
} catch (error: ClassNotFoundException) {
    "$library is not in this app: build it with that library"
}
