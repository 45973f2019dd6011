package dev.edgekit.energy

import dev.edgekit.profile.PowerSample
import dev.edgekit.profile.RailReading
import kotlin.math.ceil
import kotlin.math.roundToLong

/** Mean power in a phase. */
interface Meter {
    val status: Status

    /** Which sensor, and how it is read. */
    val source: String

    /** @throws SensorFault the sensor tells too little of the phase, or what cannot be. */
    fun watts(phase: Phase): Double
}

/** The battery's gauge: current times voltage, by trapezoids. It sees the whole phone, its screen among it. */
class Gauge(private val trace: Trace, private val calibration: Calibration) : Meter {
    override val status get() = Status.GAUGE
    override val source = "$SOURCE, ${calibration.unit}, ${word(calibration.sign)} while discharging"

    init {
        trace.samples.firstNotNullOfOrNull(::supplied)?.let { throw SensorFault(it) }
    }

    override fun watts(phase: Phase): Double {
        val samples = trace.of(phase)
        checkMoves(phase, samples.map { it.currentRaw })
        if (samples.any { current(it) * calibration.sign < 0 }) {
            throw SensorFault("the current changed its direction: see that nothing charges the phone")
        }
        return mean(samples.map { it.elapsedMs }, samples.map { calibration.watts(it) })
    }

    /** Whether load and idling differ by more than the gauge can tell. */
    fun checkResolution() {
        val measuring = trace.phases.drop(CALIBRATION)
        fun mean(activity: Activity) =
            measuring.filter { it.activity == activity }.flatMap(trace::of).map(::current).average()
        val moved = calibration.sign * (mean(Activity.LOAD) - mean(Activity.IDLE))
        if (moved < LEAST_STEPS * calibration.step) {
            throw SensorFault(
                "texts moved the current by ${moved.roundToLong()}, and its steps are of ${calibration.step}: " +
                    "that is under the gauge's resolution; a longer text or a larger model may be measured",
            )
        }
    }
}

/** PowerMonitor's counters, each by its own readings: the processor's where they are named so, else all together. */
class Rails(private val trace: Trace) : Meter {
    private val kind: RailKind = checkNotNull(RailKind.of(trace.samples.first())) { "there are no rails" }
    private val readings: Map<String, List<RailReading>>

    override val status get() = Status.RAIL
    override val source get() = "PowerMonitor, ${kind.described}: ${readings.keys.joinToString(" + ")}"

    init {
        // what the counters see beyond the processor is disturbed by a charger
        if (!kind.processor) trace.samples.firstNotNullOfOrNull(::supplied)?.let { throw SensorFault(it) }
        val found = trace.samples.map { kind.chosen(it).associateBy { rail -> rail.name } }
        readings = found.first().keys.associateWith { name ->
            found.map { it[name] ?: throw SensorFault("the rail $name is no longer told: measure again") }
                .distinctBy { it.timestampMs }
        }
        for ((name, told) in readings) {
            told.zipWithNext().firstOrNull { (one, two) -> two.energyUws < one.energyUws }?.let { (one, two) ->
                val back = "from ${one.energyUws} to ${two.energyUws} µWs"
                throw SensorFault("the counter of $name went back $back: measure again")
            }
        }
    }

    override fun watts(phase: Phase): Double = readings.values.sumOf { told ->
        val inside = told.filter { it.timestampMs in phase.beginMs..phase.endMs }
        checkMoves(phase, inside.map { it.timestampMs })
        val (first, last) = inside.first() to inside.last()
        (last.energyUws - first.energyUws) / 1e3 / (last.timestampMs - first.timestampMs)
    }
}

/** Which of the rails are summed: never rails that are measured with consumers that are derived from them. */
enum class RailKind(val described: String, val processor: Boolean, private val measured: Boolean) {
    CPU_RAILS("rails named CPU", true, true),
    CPU_CONSUMERS("consumers named CPU", true, false),
    ALL_RAILS("the total of all rails, as none is named CPU", false, true),
    ALL_CONSUMERS("the total of all consumers, as none is named CPU", false, false),
    ;

    /** Those of this kind. */
    fun chosen(sample: PowerSample): List<RailReading> =
        sample.rails.filter { it.measured == measured && (!processor || it.name.contains("CPU", ignoreCase = true)) }

    companion object {
        /** The first kind of which the sample has some; null where it has no rails. */
        fun of(sample: PowerSample): RailKind? = entries.firstOrNull { it.chosen(sample).isNotEmpty() }
    }
}

/** Why a sample of the battery is worth nothing, if it is: something else supplies the phone. */
fun supplied(sample: PowerSample): String? = when {
    sample.plugged == null || sample.status == null -> "the phone does not tell whether a charger is plugged in"
    sample.plugged != 0 -> "a charger is plugged in: unplug it and measure again (adb works over Wi-Fi, too)"
    sample.status != DISCHARGING -> "the battery is not discharging (its status is ${sample.status}): unplug it"
    else -> null
}

/** How many of the phases calibrate. */
const val CALIBRATION = 3

private const val DISCHARGING = 3

/** With fewer changes in a window, a reading is old or too coarse. */
private const val LEAST_MOVES = 3

private fun checkMoves(phase: Phase, values: List<Any?>) {
    val seconds = phase.seconds
    if (values.size < 2) throw SensorFault("the sensor gave ${values.size} readings in $seconds s: give longer windows")
    val moves = moves(values)
    if (phase.activity == Activity.IDLE || moves >= LEAST_MOVES) return
    val enough = if (moves == 0) null else ceil(LEAST_MOVES * seconds / moves).toInt()
    throw SensorFault(
        "the reading changed $moves times in a load window of $seconds s, $LEAST_MOVES are needed: " +
            if (enough == null) "it is no measurement" else "give windows of about $enough s",
    )
}

private fun mean(times: List<Long>, values: List<Double>): Double =
    trapezoids(times, values) / (times.last() - times.first())
