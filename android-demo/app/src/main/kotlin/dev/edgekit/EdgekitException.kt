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
 * │   ├── BundleVersionException    written by a newer edgekit
│   ├── BundleSignatureException  not signed by a key that is trusted, or wrongly
│   └── SealException             sealed, and there is no key here that opens it
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

class BundleSignatureException(message: String) : BundleException(message)

class SealException(message: String, cause: Throwable? = null) : BundleException(message, cause)

open class EngineException(message: String, cause: Throwable? = null) : EdgekitException(message, cause)

class EngineUnavailableException(message: String, cause: Throwable? = null) : EngineException(message, cause)

class GoldenMismatchException(message: String) : EngineException(message)
