package dev.edgekit.demo

import dev.edgekit.classify.Prediction
import dev.edgekit.profile.PowerSample
import dev.edgekit.profile.Profile
import dev.edgekit.profile.Stage
import dev.edgekit.profile.ThermalSample
import dev.edgekit.trust.Signers
import java.io.File

/**
 * Everything that the screens show; a screen that is made anew after a rotation draws it again.
 *
 * @property failure What the last request on the classify screen failed with.
 * @property addedKey Id of the sealing key that was added last; null where none was.
 */
data class State(
    val model: Model = Model.Unknown,
    val answer: Answer? = null,
    val classifying: Boolean = false,
    val failure: Failure? = null,
    val benchmark: BenchmarkState = BenchmarkState.Idle,
    val addedKey: String? = null,
)

/** The bundle that is at work. */
sealed interface Model {
    /** Nobody has looked yet. */
    object Unknown : Model

    /** Neither picked nor in the assets. */
    object None : Model

    object Opening : Model

    /**
     * @property builtIn Whether it is the one of the assets.
     * @property engines Those that both the app and the bundle have.
     * @property engine The one that runs.
     */
    data class Ready(
        val file: File,
        val builtIn: Boolean,
        val name: String,
        val engines: List<String>,
        val engine: String,
        val distribution: String,
        val scheme: String,
        val threads: Int,
        val signers: Signers,
        val sealed: Boolean,
    ) : Model
}

/** The answer to one text: how long it took in milliseconds, text in to label out, and how many tokens were read. */
data class Answer(val text: String, val prediction: Prediction, val ms: Double, val tokens: Int)

sealed interface BenchmarkState {
    object Idle : BenchmarkState

    /** At work; [stage] null: the bundle is being loaded. [total] 0: unknown. */
    data class Running(
        val stage: Stage? = null,
        val done: Int = 0,
        val total: Int = 0,
        val power: PowerSample? = null,
        val heat: ThermalSample? = null,
    ) : BenchmarkState

    /** Finished; [file] has the profile, [power] and [heat] are the last samples. */
    class Done(val profile: Profile, val file: File, val power: PowerSample?, val heat: ThermalSample?) : BenchmarkState

    data class Failed(val failure: Failure) : BenchmarkState
}
