package dev.edgekit

/**
 * Every error that edgekit raises on purpose, as in the Python runtime. Each message says what is wrong and what to do
 * next, on one line, in English; the app puts a headline in the user's language over it.
 *
 * ```
 * EdgekitException
 * ├── FileException                 a file that is missing, unreadable, or outside the folders that may be read
 * ├── OptionException               a setting that is invalid
 * ├── BundleException               a file that is no bundle, or a malformed one
 * │   ├── BundleIntegrityException  contents that differ from what the manifest promises
 * │   └── BundleVersionException    written by a newer edgekit
 * └── EngineException               an engine that cannot run the program
 *     ├── EngineUnavailableException    not in this app, or not in the bundle, or its library does not load
 *     └── GoldenMismatchException       runs, but answers otherwise than at conversion
 * ```
 */
open class EdgekitException(message: String, cause: Throwable? = null) : Exception(message, cause)

class FileException(message: String, cause: Throwable? = null) : EdgekitException(message, cause)

class OptionException(message: String) : EdgekitException(message)

open class BundleException(message: String, cause: Throwable? = null) : EdgekitException(message, cause)

class BundleIntegrityException(message: String) : BundleException(message)

class BundleVersionException(message: String) : BundleException(message)

open class EngineException(message: String, cause: Throwable? = null) : EdgekitException(message, cause)

class EngineUnavailableException(message: String, cause: Throwable? = null) : EngineException(message, cause)

class GoldenMismatchException(message: String) : EngineException(message)
