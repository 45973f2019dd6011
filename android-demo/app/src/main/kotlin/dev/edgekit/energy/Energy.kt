package dev.edgekit.energy

import dev.edgekit.OptionException
import dev.edgekit.profile.Interval

/**
 * What is measured, and for how long.
 *
 * @property windows load windows.
 * @property windowS length of each in seconds; null takes 8, or more where the gauge is renewed seldom.
 * @throws OptionException a setting is invalid.
 */
data class EnergySettings(val windows: Int = 6, val windowS: Double? = null) {
    init {
        if (windows < LEAST_WINDOWS) {
            throw OptionException(
                "$windows windows are too few to tell how sure a figure is: give $LEAST_WINDOWS or more",
            )
        }
        if (windowS != null && !(windowS > 0 && windowS <= MOST_S)) {
            throw OptionException("a window's length in seconds is over 0 and at most $MOST_S, not $windowS")
        }
    }

    companion object {
        const val LEAST_WINDOWS = 5
        const val MOST_S = 600
    }
}

/** Where a figure comes from; [key] is the word that Python's profile has. */
enum class Status(val key: String) { RAIL("rail"), GAUGE("gauge"), UNAVAILABLE("unavailable") }

/** One load window and the idle windows around it: watts, seconds, texts. */
data class Window(
    val idleW: Double,
    val loadW: Double,
    val idleS: Double,
    val loadS: Double,
    val inferences: Int,
) {
    /** Millijoules a text over what idling takes in the same time. */
    val mjPerInference: Double get() = 1000 * (loadW - idleW) * loadS / inferences
}

/** What an inference takes, and where the figure comes from; or, where there is none, the [reason]. */
data class Energy(
    val status: Status,
    val source: String,
    val mjPerInference: Double?,
    val ci95: Interval?,
    val reason: String = "",
    val windows: List<Window> = emptyList(),
) {
    companion object {
        /** No figure, and why. */
        fun unavailable(reason: String, source: String = "", windows: List<Window> = emptyList()) =
            Energy(Status.UNAVAILABLE, source, null, null, reason, windows)
    }
}

/** Why a sensor gives no figure. It ends as a reason and is not raised to the user. */
class SensorFault(message: String) : Exception(message)
