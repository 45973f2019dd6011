package dev.edgekit.demo

import dev.edgekit.BundleException
import dev.edgekit.BundleIntegrityException
import dev.edgekit.BundleSignatureException
import dev.edgekit.BundleVersionException
import dev.edgekit.EdgekitException
import dev.edgekit.EngineException
import dev.edgekit.EngineUnavailableException
import dev.edgekit.FileException
import dev.edgekit.GoldenMismatchException
import dev.edgekit.OptionException
import dev.edgekit.SealException

/**
 * An error as the screens show it.
 *
 * @property headline A string resource: the kind of error, in the user's language.
 * @property message What is wrong and what to do, one line in English.
 * @property kind The simple name of the error's class, as the headless entry reports it.
 */
data class Failure(val headline: Int, val message: String, val kind: String) {
    companion object {
        /** The work was asked to stop; no error, yet there is no result either. */
        val STOPPED = Failure(R.string.error_stopped, "the run was stopped before its end: start it again", "Stopped")

        /** The one worker is taken. */
        val BUSY = Failure(R.string.error_busy, "another run is going on: wait for its end or cancel it", "Busy")

        fun of(error: Throwable): Failure {
            val kind = error.javaClass.simpleName
            val message = error.message?.replace('\n', ' ') ?: kind
            // Engines wrap these two, with a message of their own.
            val cause = if (error is EngineException) error.cause else null
            return when {
                error is OutOfMemoryError -> Failure(
                    R.string.error_memory,
                    "not enough memory ($message): close other apps, or pick a smaller bundle",
                    kind,
                )
                error is LinkageError -> Failure(
                    R.string.error_library,
                    "a library does not load on this device ($message): choose the other engine",
                    kind,
                )
                cause is OutOfMemoryError -> Failure(R.string.error_memory, message, kind)
                cause is LinkageError -> Failure(R.string.error_library, message, kind)
                error is EdgekitException -> Failure(headline(error), message, kind)
                else -> Failure(R.string.error_other, "$kind: $message", kind)
            }
        }

        private fun headline(error: EdgekitException): Int = when (error) {
            is BundleIntegrityException -> R.string.error_damaged
            is BundleVersionException -> R.string.error_newer
            is BundleSignatureException -> R.string.error_signature
            is SealException -> R.string.error_sealed
            is BundleException -> R.string.error_bundle
            is GoldenMismatchException -> R.string.error_golden
            is EngineUnavailableException -> R.string.error_unavailable
            is EngineException -> R.string.error_engine
            is FileException -> R.string.error_file
            is OptionException -> R.string.error_option
            else -> R.string.error_other
        }
    }
}
