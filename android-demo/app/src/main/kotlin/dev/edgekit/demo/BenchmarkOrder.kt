package dev.edgekit.demo

import dev.edgekit.OptionException
import dev.edgekit.energy.EnergySettings
import dev.edgekit.profile.BenchmarkSettings
import dev.edgekit.profile.Stage
import dev.edgekit.trust.RawSealingKey
import java.io.File
import java.util.concurrent.atomic.AtomicBoolean

/**
 * One benchmark as a screen or the headless entry asks for it.
 *
 * @property file The bundle; null: the one of the app's assets.
 * @property engine Null: the first that the app and the bundle have.
 * @property texts Null: the bundle's golden texts.
 * @property out The file that takes the profile.
 * @property listener Null: only the screen shows the run.
 * @property key What a sealed bundle is opened with; null: a key that the app keeps.
 */
class BenchmarkOrder(
    val file: File?,
    val engine: String?,
    val threads: Int,
    val settings: BenchmarkSettings,
    val texts: List<String>? = null,
    val out: File,
    val listener: Listener? = null,
    val key: RawSealingKey? = null,
) {
    /** Set to end the run. */
    val stop = AtomicBoolean()

    /** Hears of the run on the worker's thread. What [progress] throws makes the run a failed one. */
    interface Listener {
        fun progress(stage: Stage, done: Int, total: Int)

        fun done()

        fun failed(failure: Failure)
    }

    companion object {
        /**
         * The timing that is wanted, each number as it was typed or sent; what is null or empty is left to the defaults.
         *
         * @throws OptionException A number is none, or out of its bounds.
         */
        fun settings(runs: String?, seconds: String?, warmup: String?, energy: Boolean): BenchmarkSettings {
            val usual = BenchmarkSettings()
            return usual.copy(
                runs = whole("runs", runs, 1, 100_000),
                seconds = seconds(seconds),
                warmup = whole("warmup", warmup, 0, 10_000) ?: usual.warmup,
                energy = if (energy) EnergySettings() else null,
            )
        }

        /** [text] as a number, null where there is none; throws as [settings]. */
        fun whole(name: String, text: String?, least: Int, most: Int): Int? {
            if (text.isNullOrEmpty()) return null
            return text.toIntOrNull()?.takeIf { it in least..most }
                ?: throw OptionException("$name is \"${text.take(40)}\": give a whole number from $least to $most")
        }

        private fun seconds(text: String?): Double? {
            if (text.isNullOrEmpty()) return null
            return text.toDoubleOrNull()?.takeIf { it in 1.0..3600.0 }
                ?: throw OptionException("seconds is \"${text.take(40)}\": give a number from 1 to 3600")
        }
    }
}
