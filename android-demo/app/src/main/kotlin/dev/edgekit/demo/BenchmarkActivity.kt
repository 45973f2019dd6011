package dev.edgekit.demo

import android.app.Activity
import android.content.ClipData
import android.content.Intent
import android.os.Bundle
import dev.edgekit.EdgekitException
import dev.edgekit.energy.Energy
import java.io.File
import java.text.SimpleDateFormat
import java.util.Date
import java.util.Locale

/** Times the bundle that the classify screen has opened, and shows and shares what it found. */
open class BenchmarkActivity : Activity() {
    private lateinit var session: Session
    private lateinit var screen: Screen
    private val watcher = ::render

    protected open fun session(): Session = (application as App).session

    protected open fun screen(): Screen = WidgetScreen(this)

    /** Folder of the profiles that may be shared. */
    protected open fun exports(): File = (application as App).exports

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        session = session()
        screen = screen()
        screen.show(R.layout.benchmark)
        screen.onClick(R.id.start, ::start)
        screen.onClick(R.id.cancel) { session.cancel() }
        screen.onClick(R.id.share, ::share)
    }

    override fun onStart() {
        super.onStart()
        session.watch(watcher)
        session.open()
    }

    override fun onStop() {
        session.unwatch(watcher)
        // A rotated screen is stopped, too, and its successor goes on; back, another app or a dark screen end the run,
        // but a run of the headless entry, whose screen may be what hides this one, is not this screen's to end.
        if (!isChangingConfigurations && session.running?.listener == null) session.cancel()
        super.onStop()
    }

    private fun start() {
        val ready = session.state.model as? Model.Ready ?: return
        try {
            val settings = BenchmarkOrder.settings(
                runs = number(R.id.runs),
                seconds = number(R.id.seconds),
                warmup = number(R.id.warmup),
                energy = screen.checked(R.id.energy),
            )
            val order = BenchmarkOrder(
                file = ready.file,
                engine = ready.engine.takeIf { it in ready.engines },
                threads = ready.threads,
                settings = settings,
                out = newExport(),
            )
            screen.showFailure(if (session.benchmark(order)) null else Failure.BUSY)
        } catch (error: EdgekitException) {
            screen.showFailure(Failure.of(error))
        }
    }

    /** What was typed, in ASCII: a phone's keyboard may offer only its language's digits and decimal separator. */
    private fun number(id: Int) = screen.read(id).trim()
        .map { if (it == ',' || it == '\u066B') '.' else it.digitToIntOrNull()?.digitToChar() ?: it }
        .joinToString("")

    private fun newExport(): File {
        val folder = exports()
        folder.mkdirs()
        folder.listFiles()?.sortedBy { it.name }?.dropLast(KEPT - 1)?.forEach { it.delete() }
        return File(folder, SimpleDateFormat("'profile-'yyyyMMdd-HHmmss'.json'", Locale.ROOT).format(Date()))
    }

    private fun share() {
        val done = session.state.benchmark as? BenchmarkState.Done ?: return
        val uri = ExportProvider.uriOf(done.file)
        val intent = Intent(Intent.ACTION_SEND)
        intent.type = "text/json"
        intent.putExtra(Intent.EXTRA_STREAM, uri)
        intent.clipData = ClipData.newRawUri(done.file.name, uri) // carries the permission through the chooser
        intent.addFlags(Intent.FLAG_GRANT_READ_URI_PERMISSION)
        startActivity(Intent.createChooser(intent, screen.string(R.string.share)))
    }

    private fun render(state: State) {
        val benchmark = state.benchmark
        val running = benchmark as? BenchmarkState.Running
        val done = benchmark as? BenchmarkState.Done
        val ready = state.model as? Model.Ready
        screen.keepOn(running != null)
        screen.write(
            R.id.subject,
            if (ready == null) {
                screen.string(if (state.model == Model.None) R.string.no_bundle else R.string.opening)
            } else {
                screen.string(R.string.benchmark_subject, ready.name, ready.distribution, ready.threads)
            },
        )
        screen.enable(R.id.start, running == null && ready != null)
        screen.enable(R.id.cancel, running != null)
        screen.visible(R.id.progress, running != null)
        screen.write(R.id.stage, running?.let { screen.stageOf(it) })
        if (running != null) screen.progress(R.id.progress, running.done, running.total)
        screen.visible(R.id.results, done != null)
        if (done != null) results(done)
        val power = screen.power(running?.power ?: done?.power)
        val heat = screen.heat(running?.heat ?: done?.heat)
        screen.visible(R.id.phone, power != null || heat != null)
        screen.write(R.id.power, power)
        screen.write(R.id.heat, heat)
        screen.showFailure((benchmark as? BenchmarkState.Failed)?.failure ?: state.failure)
    }

    private fun results(done: BenchmarkState.Done) {
        val latency = done.profile.latency
        val figures = listOf(
            R.id.mean to latency.mean,
            R.id.p50 to latency.p50,
            R.id.p90 to latency.p90,
            R.id.p95 to latency.p95,
            R.id.p99 to latency.p99,
            R.id.max to latency.max,
        )
        for ((id, ms) in figures) screen.write(id, screen.string(R.string.milliseconds, ms))
        val samples = done.profile.samples.flatMap { it.asList() }.toDoubleArray()
        screen.plot(
            R.id.plot,
            Plot(samples, latency.p50, latency.p95),
            screen.string(R.string.plot_description, samples.size, latency.p50, latency.p95, latency.max),
        )
        screen.write(R.id.energy_result, energy(done.profile.energy))
    }

    private fun energy(energy: Energy): String {
        val mj = energy.mjPerInference
        val ends = energy.ci95
        if (mj == null || ends == null) return screen.string(R.string.energy_none, energy.reason)
        return screen.string(R.string.energy_interval, mj, ends.low, ends.high, energy.source)
    }

    private companion object {
        /** So many profiles are kept; the oldest goes when one more is made. */
        const val KEPT = 10
    }
}
