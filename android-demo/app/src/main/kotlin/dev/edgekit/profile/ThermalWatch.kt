package dev.edgekit.profile

/** Asks of heat once a second at most, however often it is told to, and keeps the answers; safe to share. */
class ThermalWatch(private val gauge: ThermalGauge?, private val clock: Clock) {
    private val samples = ArrayList<ThermalSample>()
    private var askedMs: Long? = null

    /** Asks, if the last time is long enough ago. */
    @Synchronized
    fun poll() {
        val now = clock.millis()
        val last = askedMs
        if (gauge == null || (last != null && now - last < PERIOD_MS)) return
        askedMs = now
        val told = gauge.sample()
        samples += told.copy(headroom = told.headroom?.takeUnless { it.isNaN() })
    }

    /** The last answer. */
    @Synchronized
    fun latest(): ThermalSample? = samples.lastOrNull()

    /** All of them, in their order. */
    @Synchronized
    fun all(): List<ThermalSample> = samples.toList()

    private companion object {
        const val PERIOD_MS = 1_000L
    }
}
