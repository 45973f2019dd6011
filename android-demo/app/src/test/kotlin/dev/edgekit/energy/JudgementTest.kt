package dev.edgekit.energy

import dev.edgekit.profile.PowerSample
import dev.edgekit.profile.ThermalSample
import kotlin.math.abs
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNotNull
import org.junit.Assert.assertNull
import org.junit.Assert.assertTrue
import org.junit.Test

/** What traces tell, against figures worked out here from what they were made of. */
class JudgementTest {
    /** 0.8 A at 3.8 V under load, 0.3 A at 3.9 V idle; windows of 4 s with 100 texts each. */
    private val gaugeMj = 1000 * (0.8 * 3.8 - 0.3 * 3.9) * 4 / 100

    private fun measured(trace: Trace, status: Status, mj: Double): Judgement {
        val judged = judge(trace)
        val energy = judged.energy
        assertEquals(energy.reason, status, energy.status)
        assertEquals(mj, energy.mjPerInference ?: 0.0, 0.01 * mj)
        assertEquals(6, energy.windows.size)
        val interval = checkNotNull(energy.ci95)
        assertTrue("$interval", interval.low in 0.98 * mj..1.02 * mj && interval.high in interval.low..1.02 * mj)
        return judged
    }

    private fun refused(trace: Trace, vararg said: String): Judgement {
        val judged = judge(trace)
        assertEquals(Status.UNAVAILABLE, judged.energy.status)
        assertNull(judged.energy.mjPerInference)
        assertNull(judged.energy.ci95)
        for (part in said) assertTrue(judged.energy.reason, part in judged.energy.reason)
        return judged
    }

    private fun numbers(pattern: String, text: String): List<Double> =
        checkNotNull(Regex(pattern).find(text)) { text }.groupValues.drop(1).map { it.toDouble() }

    /** The trace with another current, made of what was read. */
    private fun Trace.current(change: (Long, Long) -> Long) =
        with { it.copy(currentRaw = change(it.elapsedMs, checkNotNull(it.currentRaw))) }

    private fun calibration(judged: Judgement) = checkNotNull(judged.calibration) { judged.uncalibrated }

    @Test
    fun `microamperes, negative while discharging`() {
        val judged = measured(traceOf("microampere"), Status.GAUGE, gaugeMj)
        val found = calibration(judged)
        assertEquals("µA" to -1, found.unit to found.sign)
        assertEquals(250.0, found.updateMs, 0.0)
        val (idle, busy) = numbers("moved the reading from (-\\d+) to (-\\d+)", found.found)
        assertEquals(-300_000.0, idle, 3_000.0)
        assertEquals(-1_500_000.0, busy, 15_000.0)
        assertTrue(found.found, "as µA that is 5.7" in found.found && "moved too little to check it" in found.found)
        val source = "BATTERY_PROPERTY_CURRENT_NOW x EXTRA_VOLTAGE, µA, negative while discharging"
        assertEquals(source, judged.energy.source)
        val window = judged.energy.windows[0]
        assertEquals(0.3 * 3.9, window.idleW, 0.01 * window.idleW)
        assertEquals(0.8 * 3.8, window.loadW, 0.01 * window.loadW)
        assertEquals(listOf(8.0, 4.0), listOf(window.idleS, window.loadS))
    }

    @Test
    fun `milliamperes`() {
        val found = calibration(measured(traceOf("milliampere"), Status.GAUGE, gaugeMj))
        assertEquals("mA" to 1, found.unit to found.sign)
    }

    @Test
    fun `the other sign`() {
        val found = calibration(measured(traceOf("flipped"), Status.GAUGE, gaugeMj))
        assertEquals("µA" to 1, found.unit to found.sign)
    }

    @Test
    fun `a gauge that is renewed every two seconds`() {
        val found = calibration(measured(traceOf("every-two-seconds"), Status.GAUGE, 2 * gaugeMj))
        assertEquals(2000.0, found.updateMs, 0.0)
    }

    @Test
    fun `readings that repeat are not counted as new ones`() {
        val whole = traceOf("every-two-seconds")
        val seldom = Trace(whole.samples, whole.phases.map { it.copy(endMs = it.beginMs + 4000) }, whole.thermal)
        refused(seldom, "changed 2 times in a load window of 4.0 s, 3 are needed: give windows of about 6 s")
    }

    @Test
    fun `constant readings are no measurement`() {
        refused(traceOf("constant"), "the current is -450000 and changed 0 times: its gauge does not measure")
        val stuck = traceOf("microampere").with { if (it.elapsedMs < 60_000) it else it.copy(currentRaw = -800_000) }
        val judged = refused(stuck, "the reading changed 0 times in a load window of 4.0 s, 3 are needed")
        assertEquals("windows before that are kept", 5, judged.energy.windows.size)
    }

    @Test
    fun `what is not supported`() {
        val said = "does not tell its battery's current: it has no BATTERY_PROPERTY_CURRENT_NOW"
        refused(traceOf("unsupported"), said)
        refused(traceOf("microampere").with { it.copy(currentRaw = null) }, said)
        refused(traceOf("microampere").with { it.copy(currentRaw = Int.MIN_VALUE.toLong()) }, said)
        refused(traceOf("microampere").current { now, raw -> if (now == 44_000L) Long.MIN_VALUE else raw }, said)
    }

    @Test
    fun `a voltage that is missing or cannot be`() {
        refused(traceOf("microampere").with { it.copy(voltageMv = null) }, "does not tell its battery's voltage")
        refused(traceOf("microampere").with { it.copy(voltageMv = 4) }, "0.004 V, which cannot be")
        refused(traceOf("microampere").with { it.copy(voltageMv = 3_800_000) }, "3800.0 V, which cannot be")
    }

    @Test
    fun `a charger in any sample`() {
        refused(traceOf("plugged"), "a charger is plugged in: unplug it")
        fun once(change: (PowerSample) -> PowerSample) =
            traceOf("microampere").with { if (it.elapsedMs == 33_000L) change(it) else it }
        refused(once { it.copy(plugged = 4) }, "a charger is plugged in")
        refused(once { it.copy(status = 5) }, "the battery is not discharging (its status is 5)")
        refused(once { it.copy(plugged = null) }, "does not tell whether a charger is plugged in")
    }

    @Test
    fun `heat`() {
        val throttled = traceOf("throttled")
        refused(throttled, "throttled by heat (thermal status 3): let it cool")
        val milder = throttled.thermal.map { it.copy(status = minOf(2, it.status ?: 0)) }
        val warm = Trace(throttled.samples, throttled.phases, milder)
        measured(warm, Status.GAUGE, gaugeMj)
        measured(Trace(warm.samples, warm.phases, listOf(ThermalSample(0, null, null))), Status.GAUGE, gaugeMj)
    }

    @Test
    fun `a load below the gauge's resolution`() {
        refused(traceOf("resolution"), "its steps are of 100000", "under the gauge's resolution")
        val coarse = traceOf("microampere").current { _, raw -> (raw / 1_000_000 - 1) * 1_000_000 }
        refused(coarse, "its gauge does not measure")
    }

    /** What the phone did at a time. */
    private fun Trace.activity(now: Long) = phases.firstOrNull { now <= it.endMs }?.activity ?: Activity.IDLE

    @Test
    fun `a calibration that moves by less than two steps`() {
        val trace = traceOf("microampere")
        val coarse = trace.current { now, _ -> if (trace.activity(now) == Activity.IDLE) -1_000_000 else -2_000_000 }
        refused(coarse, "from -1000000 to -2000000, where it moves by steps of 1000000 and varies by 0")
    }

    @Test
    fun `a calibration that cannot be told from noise`() {
        val trace = traceOf("microampere")
        val noisy = trace.current { now, _ ->
            val idle = trace.activity(now) == Activity.IDLE
            (if (idle) -300_000L else -330_000L) + now * 7_919 % 500_001 - 250_000
        }
        val reason = refused(noisy, "under the gauge's resolution").energy.reason
        val (idle, busy, step, varies) =
            numbers("from (-?\\d+) to (-?\\d+), where it moves by steps of (\\d+) and varies by (\\d+)", reason)
        assertTrue(reason, abs(busy - idle) > 2 * step && varies > 10_000)
    }

    @Test
    fun `a sign that cannot be told`() {
        val towardsZero = traceOf("microampere").current { _, raw -> raw + 2_000_000 }
        refused(towardsZero, "the sign of discharge is ambiguous")
        val acrossZero = traceOf("microampere").current { _, raw -> raw + 600_000 }
        refused(acrossZero, "the sign of discharge is ambiguous")
    }

    @Test
    fun `a current that turns in a load window`() {
        refused(traceOf("turned"), "the current changed its direction: see that nothing charges the phone")
    }

    @Test
    fun `a unit that fits neither`() {
        val between = traceOf("microampere").current { _, raw -> raw / 30 }
        refused(between, "as µA that is 0.190 W, as mA that is 190 W, and no phone takes either: its unit is unknown")
    }

    @Test
    fun `the charge counter agrees, or its contradiction is told`() {
        val found = calibration(measured(traceOf("charge-counter"), Status.GAUGE, gaugeMj)).found
        // between its first step and its last it fell by whole steps of 1 mAh
        val (fell, drawn) = numbers("fell by (\\S+) mAh while the current made (\\S+) mAh", found)
        assertEquals(10.0, fell, 1.0)
        assertEquals(fell, drawn, 0.02 * fell)
        refused(traceOf("charge-contradiction"), "the charge counter fell by", "the unit is ambiguous")
        val grows = traceOf("charge-counter").with { it.copy(chargeRaw = 6_000_000 - (it.chargeRaw ?: 0)) }
        refused(grows, "the charge counter fell by -", "the unit is ambiguous")
    }

    @Test
    fun `rails of the processor, with a charger in`() {
        // two rails take 1.25 W each under load and 0.05 W idle; the display and what is derived from them do not count
        val judged = measured(traceOf("rails"), Status.RAIL, 1000 * 2 * (1.25 - 0.05) * 4 / 100)
        assertEquals("PowerMonitor, rails named CPU: S4M_VDD_CPUCL0 + S2M_VDD_CPUCL2", judged.energy.source)
        assertEquals(0.1, judged.energy.windows[0].idleW, 0.001)
        assertNotNull(judged.calibration)
    }

    @Test
    fun `a total is said to be one, and is refused with a charger in`() {
        val judged = measured(traceOf("rails-total"), Status.RAIL, 1000 * 2 * (1.25 - 0.05) * 4 / 100)
        assertEquals("PowerMonitor, the total of all rails, as none is named CPU: BUCK1 + BUCK2", judged.energy.source)
        refused(traceOf("rails-total").with { it.copy(plugged = 2) }, "rails: a charger", "gauge: a charger")
    }

    @Test
    fun `consumers where there are no rails`() {
        val consumers = traceOf("rails").with { sample -> sample.copy(rails = sample.rails.filter { !it.measured }) }
        val judged = measured(consumers, Status.RAIL, 1000 * (1.25 - 0.05) * 4 / 100)
        assertEquals("PowerMonitor, consumers named CPU: CPU", judged.energy.source)
    }

    @Test
    fun `a counter that goes back is refused, and the gauge is said to be second choice`() {
        val judged = measured(traceOf("rails-reset"), Status.GAUGE, gaugeMj)
        val said = "; not rails: the counter of S4M_VDD_CPUCL0 went back from"
        assertTrue(judged.energy.source, said in judged.energy.source)
        val alone = traceOf("rails-reset").with { it.copy(currentRaw = null) }
        refused(alone, "rails: the counter of S4M_VDD_CPUCL0 went back", "gauge: this phone does not tell")
    }

    @Test
    fun `a rail that vanishes, or is read too seldom`() {
        val gone = traceOf("rails").with { if (it.elapsedMs < 40_000) it else it.copy(rails = it.rails.drop(1)) }
        refused(gone, "the rail S4M_VDD_CPUCL0 is no longer told")
        val quick = traceOf("rails")
        val slow = quick.with { sample ->
            sample.copy(rails = quick.samples.first { it.elapsedMs == sample.elapsedMs / 2000 * 2000 }.rails)
        }
        refused(slow, "the reading changed 2 times in a load window")
    }

    @Test
    fun `load that cannot be told from idling`() {
        val odd = traceOf("microampere")
        val loads = odd.phases.filter { it.activity == Activity.LOAD }
        val disturbed = odd.with { sample ->
            val place = loads.indexOfFirst { sample.elapsedMs in it.beginMs..it.endMs }
            if (place % 2 == 1) sample.copy(currentRaw = -100_000 - sample.elapsedMs) else sample
        }
        val judged = refused(disturbed, "load cannot be told from idling: between -", "close what else is running")
        assertEquals(6, judged.energy.windows.size)
    }

    @Test
    fun `what drifts falls out`() {
        val trace = traceOf("microampere").with { it.copy(voltageMv = 3800) }.current { now, raw -> raw - 4 * now }
        measured(trace, Status.GAUGE, 1000 * 3.8 * (0.8 - 0.3) * 4 / 100)
    }

    @Test
    fun `the figure is the median over windows`() {
        val trace = traceOf("microampere")
        val last = trace.phases.last { it.activity == Activity.LOAD }
        val disturbed = trace.current { now, raw -> if (now in last.beginMs..last.endMs) 2 * raw else raw }
        val energy = judge(disturbed).energy
        assertEquals(gaugeMj, energy.mjPerInference ?: 0.0, 0.01 * gaugeMj)
        assertTrue("${energy.ci95}", (energy.ci95?.high ?: 0.0) > 1.2 * gaugeMj)
    }
}
