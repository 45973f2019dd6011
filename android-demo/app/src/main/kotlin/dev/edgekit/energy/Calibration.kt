package dev.edgekit.energy

import dev.edgekit.profile.PowerSample
import dev.edgekit.profile.median
import java.util.Locale
import kotlin.math.abs
import kotlin.math.hypot
import kotlin.math.sign
import kotlin.math.sqrt

/**
 * What the battery's current means on this phone, found by a load that is known to draw more. Android's book has µA,
 * positive while charging; phones exist that tell mA or turn the sign.
 *
 * @property unit "µA" or "mA".
 * @property amperes of one of the unit.
 * @property sign of the reading while the battery discharges: 1 or -1.
 * @property updateMs how often the reading is renewed, as its trace tells.
 * @property step the least difference between two readings that differ, raw: the gauge's resolution.
 * @property found how unit and sign were found, in words.
 */
data class Calibration(
    val unit: String,
    val amperes: Double,
    val sign: Int,
    val updateMs: Double,
    val step: Long,
    val found: String,
) {
    /** Watts that a sample tells, positive while discharging. */
    fun watts(sample: PowerSample): Double = sign * current(sample) * amperes * volts(sample)
}

const val SOURCE = "BATTERY_PROPERTY_CURRENT_NOW x EXTRA_VOLTAGE"

/**
 * Calibrates by the first phases, idle, busy and idle.
 *
 * @throws SensorFault the current or the voltage is not told, is constant, or cannot be understood without guessing.
 */
fun calibrate(trace: Trace): Calibration {
    val (before, busy, after) = trace.phases.take(3)
    val raw = trace.samples.map { it to current(it) }
    val changes = raw.zipWithNext().filter { (one, two) -> one.second != two.second }
    if (changes.size < LEAST_CHANGES) {
        val said = "the current is ${raw.first().second} and changed ${changes.size} times"
        throw SensorFault("$said: its gauge does not measure")
    }
    val step = changes.minOf { (one, two) -> abs(two.second - one.second) }
    val changedMs = changes.map { (_, now) -> now.first.elapsedMs }
    val updateMs = median(changedMs.zipWithNext { one, two -> (two - one).toDouble() }.toDoubleArray())

    val (idleMean, idleError) = level(trace.of(before) + trace.of(after))
    val (busyMean, busyError) = level(trace.of(busy))
    val moved = busyMean - idleMean
    val error = hypot(idleError, busyError)
    val moving = text("all cores busy moved the reading from %.0f to %.0f", idleMean, busyMean)
    if (abs(moved) < maxOf(LEAST_STEPS * step.toDouble(), SURE * error)) {
        val varies = text("by steps of %d and varies by %.0f", step, error)
        throw SensorFault("$moving, where it moves $varies: that is under the gauge's resolution")
    }
    if (sign(idleMean) * sign(moved) <= 0 || sign(busyMean) * sign(moved) <= 0) {
        throw SensorFault(
            "$moving, so that the sign of discharge is ambiguous: see that nothing charges the phone",
        )
    }
    val volts = trace.of(busy).map(::volts).average()
    val watts = UNITS.mapValues { (_, amperes) -> abs(busyMean) * amperes * volts }
    val unit = watts.keys.singleOrNull { watts.getValue(it) in LEAST_W..MOST_W } ?: throw SensorFault(
        watts.entries.joinToString { (name, power) -> text("as %s that is %.3g W", name, power) }
            .let { "$moving: $it, and no phone takes either: its unit is unknown" },
    )
    val amperes = UNITS.getValue(unit)
    val sign = sign(moved).toInt()
    val found = "$moving, so that it is ${word(sign)} while discharging; " +
        text("as %s that is %.3g W at %.3g V; ", unit, watts.getValue(unit), volts) + charge(trace, amperes)
    return Calibration(unit, amperes, sign, updateMs, step, found)
}

/** "positive" or "negative". */
fun word(sign: Int): String = if (sign > 0) "positive" else "negative"

/** The raw current of a sample. */
fun current(sample: PowerSample): Long {
    val raw = sample.currentRaw
    if (raw == null || raw == Long.MIN_VALUE || raw == Int.MIN_VALUE.toLong()) {
        throw SensorFault("this phone does not tell its battery's current: it has no BATTERY_PROPERTY_CURRENT_NOW")
    }
    return raw
}

/** The voltage of a sample. */
fun volts(sample: PowerSample): Double {
    val volts = (sample.voltageMv ?: throw SensorFault("this phone does not tell its battery's voltage")) / 1000.0
    if (volts !in LEAST_V..MOST_V) {
        throw SensorFault("the battery's voltage is told as $volts V, which cannot be: its driver has other units")
    }
    return volts
}

/** Mean of the current, and the standard error of it; what is read anew without a change counts no further for that. */
private fun level(samples: List<PowerSample>): Pair<Double, Double> {
    val values = samples.map { current(it).toDouble() }
    if (values.isEmpty()) throw SensorFault("the gauge gave no reading in a window: give longer windows")
    val fresh = values.filterIndexed { index, value -> index == 0 || value != values[index - 1] }
    val variance = fresh.sumOf { (it - fresh.average()) * (it - fresh.average()) } / maxOf(1, fresh.size - 1)
    return values.average() to sqrt(variance / fresh.size)
}

/**
 * What the charge counter says of the unit, from its first to its last step, for those moments are known exactly.
 *
 * @throws SensorFault it contradicts the current by more than a factor of two.
 */
private fun charge(trace: Trace, amperes: Double): String {
    val told = trace.samples.filter { sample -> sample.chargeRaw.let { it != null && it > 0 } }
    val steps = told.zipWithNext().filter { (one, two) -> one.chargeRaw != two.chargeRaw }.map { it.second }
    if (steps.size <= LEAST_CHANGES) return "the charge counter moved too little to check it"
    val fell = (steps.first().chargeRaw ?: 0) - (steps.last().chargeRaw ?: 0)
    val between = told.filter { it.elapsedMs in steps.first().elapsedMs..steps.last().elapsedMs }
    val drawn = trapezoids(between.map { it.elapsedMs }, between.map { abs(current(it)) * amperes }) / 3600
    val said = text("the charge counter fell by %.3g mAh while the current made %.3g mAh", fell / 1e3, drawn)
    if (drawn * 1e3 !in fell / FACTOR..fell * FACTOR) {
        throw SensorFault("$said: they contradict each other, so that the unit is ambiguous")
    }
    return said
}

private fun text(format: String, vararg values: Any): String = String.format(Locale.ROOT, format, *values)

private val UNITS = linkedMapOf("µA" to 1e-6, "mA" to 1e-3)

/** What any phone or tablet with its screen on and all cores busy takes: far less apart than the two units are. */
private const val LEAST_W = 0.2
private const val MOST_W = 60.0
private const val LEAST_V = 2.0
private const val MOST_V = 20.0

/** A gauge that is read for half a minute and changes no more than this is no measurement. */
private const val LEAST_CHANGES = 3
internal const val LEAST_STEPS = 2
private const val SURE = 3.0
private const val FACTOR = 2.0
