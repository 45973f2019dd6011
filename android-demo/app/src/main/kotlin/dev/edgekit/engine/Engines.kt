package dev.edgekit.engine

/** The engines of this app. */
object Engines {
    /** Every engine, in the order in which they are preferred. */
    val ALL: List<EngineLoader> = listOf(LiteRtEngine, ExecuTorchEngine)

    /**
     * Engine name to what brings it and its version, "executorch-android 1.5.1". The app sets it at its start to what
     * it was built with, since libraries do not all tell; an engine that is not named here says what it knows itself.
     */
    @Volatile
    var distributions: Map<String, String> = emptyMap()
}
