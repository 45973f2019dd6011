package dev.edgekit.energy

import dev.edgekit.profile.PowerSample
import dev.edgekit.profile.ThermalSample
import dev.edgekit.profile.ThermalWatch
import dev.edgekit.profile.ThreadClock
import dev.edgekit.profile.VirtualPhone
import dev.edgekit.profile.VirtualPhone.Companion.IDLE_A
import dev.edgekit.profile.VirtualPhone.Companion.LOAD_A
import dev.edgekit.profile.VirtualPhone.Companion.VOLTS
import dev.edgekit.profile.millis
import java.util.concurrent.atomic.AtomicInteger
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNotNull
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test

/** Sessions on a phone whose time passes as fast as it likes. */
class EnergySessionTest {
    private val phone = VirtualPhone()
    private val told = ArrayList<Pair<Int, Int>>()

    private fun measure(settings: EnergySettings = EnergySettings()): Measured {
        val watch = ThermalWatch({ phone.heat(phone.clock.millis()) }, phone.clock)
        val read = { phone.read(phone.clock.millis()) }
        val session = EnergySession(settings, phone.clock, read, { phone.classify(TEXT) }, watch, {}, phone::busy)
        return session.run { done, total -> told += done to total }.also { assertTrue(phone.clock.asleep) }
    }

    @Test
    fun `a session as a whole`() {
        val begin = phone.clock.nanos()
        val measured = measure()
        val energy = measured.judgement.energy
        val mj = 1000 * VOLTS * (LOAD_A - IDLE_A) * 0.004
        assertEquals(energy.reason, Status.GAUGE, energy.status)
        assertEquals(mj, energy.mjPerInference ?: 0.0, 0.01 * mj)
        assertEquals(6, energy.windows.size)
        assertEquals(8_000.0 / 4, energy.windows[0].inferences.toDouble(), 1.0)
        val turns = List(13) { if (it % 2 == 0) Activity.IDLE else Activity.LOAD }
        assertEquals(listOf(Activity.IDLE, Activity.BUSY) + turns, measured.trace.phases.map { it.activity })
        assertEquals("15 phases of 13 s", 195.0, (phone.clock.nanos() - begin) / 1e9, 0.5)
        assertEquals("four readings a second, all kept", 195.0 * 4, measured.trace.samples.size.toDouble(), 4.0)
        assertTrue(measured.trace.thermal.zipWithNext().all { (one, two) -> two.elapsedMs - one.elapsedMs >= 1_000 })
        assertEquals((1..7).map { it to 7 }, told)
        assertEquals(0, phone.busyThreads)
    }

    @Test
    fun `windows grow where the gauge is renewed seldom, unless their length is asked for`() {
        val quick = phone.read
        phone.read = { now -> slowed(quick, now) }
        val measured = measure()
        val (calibrating, measuring) = measured.trace.phases.let { it.take(3) to it.drop(3) }
        assertTrue(calibrating.all { it.seconds in 8.0..8.2 })
        assertTrue("4 x 4 s", measuring.all { it.seconds in 16.0..16.2 })
        val mj = 1000 * VOLTS * (LOAD_A - IDLE_A) * 0.004
        assertEquals(measured.judgement.energy.reason, mj, measured.judgement.energy.mjPerInference ?: 0.0, 0.01 * mj)
        last = null
        assertTrue(measure(EnergySettings(windowS = 9.0)).trace.phases.all { it.seconds in 9.0..9.2 })
    }

    private var last: PowerSample? = null

    private fun slowed(read: (Long) -> PowerSample, now: Long): PowerSample {
        val held = last
        if (held != null && now - held.elapsedMs < 4_000) return held.copy(elapsedMs = now)
        val fresh = read(now).let { it.copy(currentRaw = (it.currentRaw ?: 0) + now / 1000 % 7) }
        last = fresh
        return fresh
    }

    @Test
    fun `a charger at the beginning ends it at once, and what was read is kept`() {
        val unplugged = phone.read
        phone.read = { unplugged(it).copy(plugged = 1) }
        val measured = measure()
        assertTrue(measured.judgement.energy.reason, "a charger is plugged in" in measured.judgement.energy.reason)
        assertTrue(measured.trace.samples.size in 1..4)
        assertEquals(0, phone.calls)
    }

    @Test
    fun `a charger in the middle ends it, and the calibration is kept`() {
        val unplugged = phone.read
        val begin = phone.clock.nanos() / 1_000_000
        phone.read = { unplugged(it).copy(status = if (it - begin > 60_000) 2 else 3) }
        val measured = measure()
        val reason = measured.judgement.energy.reason
        assertTrue(reason, "not discharging (its status is 2)" in reason)
        assertTrue(phone.clock.nanos() / 1_000_000 - begin < 61_000)
        assertNotNull(measured.judgement.calibration)
    }

    @Test
    fun `a gauge that says nothing of use ends it after the calibration`() {
        val good = phone.read
        phone.read = { good(it).copy(currentRaw = Long.MIN_VALUE) }
        val measured = measure()
        assertTrue("it has no BATTERY_PROPERTY_CURRENT_NOW" in measured.judgement.energy.reason)
        assertEquals(measured.judgement.energy.reason, measured.judgement.uncalibrated)
        assertEquals(3, measured.trace.phases.size)
        assertEquals(0, phone.calls)
    }

    @Test
    fun `heat ends it`() {
        phone.heat = { ThermalSample(it, if (phone.calls > 100) 4 else 0, 0.9f) }
        val energy = measure().judgement.energy
        assertTrue(energy.reason, "thermal status 4" in energy.reason)
        assertTrue("${phone.calls}", phone.calls < 500)
    }

    @Test
    fun `a gauge that throws is a reason`() {
        val good = phone.read
        phone.read = { if (phone.calls > 100) throw SecurityException("not for you") else good(it) }
        val energy = measure().judgement.energy
        assertTrue(energy.reason, "cannot be read (java.lang.SecurityException: not for you)" in energy.reason)
    }

    @Test
    fun `what the classifier throws is thrown`() {
        val watch = ThermalWatch(null, phone.clock)
        val fails = { throw IllegalStateException("the engine failed") }
        val read = { phone.read(phone.clock.millis()) }
        val session = EnergySession(EnergySettings(), phone.clock, read, fails, watch, {}, phone::busy)
        val error = assertThrows(IllegalStateException::class.java) { session.run { _, _ -> } }
        assertEquals("the engine failed", error.message)
        assertTrue(phone.clock.asleep)
    }

    @Test
    fun `a thread samples by this machine's clock, until it is closed`() {
        val clock = object : ThreadClock() {
            override fun nanos() = System.nanoTime()
        }
        val calls = AtomicInteger()
        val sampler = clock.every(5) { calls.incrementAndGet() }
        clock.sleep(200)
        sampler.close()
        val counted = calls.get()
        assertTrue("$counted", counted in 3..41)
        clock.sleep(30)
        assertEquals(counted, calls.get())
        assertTrue(Thread.getAllStackTraces().keys.none { it.name == "edgekit-sampler" })
    }

    @Test
    fun `every core is busy until it is closed`() {
        everyCoreBusy().use {
            val busy = Thread.getAllStackTraces().keys.count { it.name == "edgekit-busy" }
            assertEquals(Runtime.getRuntime().availableProcessors(), busy)
        }
        assertTrue(Thread.getAllStackTraces().keys.none { it.name == "edgekit-busy" })
    }

    private companion object {
        const val TEXT = "it takes four milliseconds"
    }
}
