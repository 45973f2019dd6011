package dev.edgekit.energy

import dev.edgekit.profile.Clock
import dev.edgekit.profile.PowerGauge
import dev.edgekit.profile.PowerSample
import dev.edgekit.profile.ThermalWatch
import dev.edgekit.profile.millis
import java.io.Closeable

/** All that a session gives: the judgement, and what it was judged by, which is kept whatever came of it. */
class Measured(val judgement: Judgement, val trace: Trace)

/**
 * Idle and load in turns, seven of the one and six of the other, after idle, busy and idle, which calibrate the gauge.
 * Before each phase the state holds for a while unmeasured, until the gauge has followed.
 *
 * @param classify classifies the next text.
 * @param thermal heat, watched meanwhile.
 * @param check throws where the user has stopped it; asked between calls and all the time while nothing is done.
 * @param busy keeps every core busy until it is closed.
 */
class EnergySession(
    private val settings: EnergySettings,
    private val clock: Clock,
    private val gauge: PowerGauge,
    private val classify: () -> Unit,
    private val thermal: ThermalWatch,
    private val check: () -> Unit,
    private val busy: () -> Closeable = ::everyCoreBusy,
) {
    private val samples = ArrayList<PowerSample>()
    private val phases = ArrayList<Phase>()
    private var calibration: Calibration? = null
    private var broken: Exception? = null
    private var settleMs = SETTLE_MS
    private var windowMs = settings.windowS?.let { (it * 1000).toLong() } ?: WINDOW_MS

    /** Runs it, some three minutes; [progress] is told how many windows of how many are done. */
    fun run(progress: (done: Int, total: Int) -> Unit): Measured {
        val fault = try {
            clock.every(PERIOD_MS, ::sample).use { phases(progress) }
            null
        } catch (fault: SensorFault) {
            fault.message.orEmpty()
        }
        val trace = trace()
        val judgement = if (fault == null) judge(trace) else Judgement(Energy.unavailable(fault), calibration, fault)
        return Measured(judgement, trace)
    }

    private fun phases(progress: (done: Int, total: Int) -> Unit) {
        val total = settings.windows + 1
        idle()
        if (samples.isEmpty()) throw SensorFault("the battery's gauge does not answer: measure again")
        busy().use { during(Activity.BUSY, ::rest) }
        idle()
        calibrated()
        progress(1, total)
        repeat(settings.windows) { done ->
            during(Activity.LOAD, ::work)
            idle()
            progress(done + 2, total)
        }
    }

    /** Where there are rails, a gauge that cannot be understood ends nothing. */
    private fun calibrated() {
        val trace = trace()
        try {
            calibration = calibrate(trace).also(::follow)
        } catch (fault: SensorFault) {
            if (RailKind.of(trace.samples.first()) == null) throw fault
        }
    }

    /** Of a gauge that is renewed seldom each window holds some readings, and what it tells late is not counted. */
    private fun follow(calibration: Calibration) {
        val periodMs = calibration.updateMs.toLong().coerceAtMost(MOST_UPDATE_MS)
        settleMs = maxOf(SETTLE_MS, 2 * periodMs)
        if (settings.windowS == null) windowMs = maxOf(WINDOW_MS, UPDATES * periodMs)
    }

    private fun idle() = during(Activity.IDLE, ::rest)

    private fun during(activity: Activity, act: (Long) -> Int) {
        act(settleMs)
        val begin = clock.millis()
        val inferences = act(windowMs)
        phases += Phase(activity, begin, clock.millis(), inferences)
    }

    private fun rest(millis: Long): Int {
        val end = clock.millis() + millis
        while (clock.millis() < end) {
            clock.sleep(minOf(SLICE_MS, end - clock.millis()))
            look()
        }
        return 0
    }

    private fun work(millis: Long): Int {
        val end = clock.millis() + millis
        var done = 0
        while (clock.millis() < end) {
            classify()
            done++
            look()
        }
        return done
    }

    /** Ends early what the user has stopped, or what can give no figure any more. */
    private fun look() {
        check()
        synchronized(samples) {
            broken?.let { throw SensorFault("the battery's gauge cannot be read ($it): measure again") }
            val last = samples.lastOrNull() ?: return
            if (RailKind.of(samples.first())?.processor != true) supplied(last)?.let { throw SensorFault(it) }
        }
        thermal.latest()?.let(::throttled)?.let { throw SensorFault(it) }
    }

    private fun sample() {
        if (broken != null) return
        try {
            thermal.poll()
            val sample = gauge.sample()
            synchronized(samples) { samples += sample }
        } catch (error: InterruptedException) {
            throw error // closed while it was asked
        } catch (error: Exception) { // raised where it is seen
            synchronized(samples) { broken = error }
        }
    }

    private fun trace(): Trace {
        val from = synchronized(samples) { samples.toList() }
        val begin = from.firstOrNull()?.elapsedMs ?: Long.MAX_VALUE
        return Trace(from, phases.toList(), thermal.all().filter { it.elapsedMs >= begin })
    }

    private companion object {
        const val PERIOD_MS = 250L
        const val SETTLE_MS = 5_000L
        const val WINDOW_MS = 8_000L
        const val UPDATES = 4
        const val MOST_UPDATE_MS = 8_000L
        const val SLICE_MS = 100L
    }
}

/** Threads that do nothing but turn, one a core. */
fun everyCoreBusy(): Closeable {
    val threads = List(Runtime.getRuntime().availableProcessors()) {
        Thread({
            var value = 1L
            while (!Thread.currentThread().isInterrupted) value = value * 6364136223846793005L + 1442695040888963407L
        }, "edgekit-busy")
    }
    threads.forEach { it.isDaemon = true }
    threads.forEach(Thread::start)
    return Closeable {
        threads.forEach(Thread::interrupt)
        threads.forEach(Thread::join)
    }
}
