package dev.edgekit.demo

import dev.edgekit.bundle.Bundle
import dev.edgekit.bundle.Golden
import dev.edgekit.classify.Classifier
import dev.edgekit.classify.load
import dev.edgekit.engine.EngineLoader
import dev.edgekit.profile.Benchmark
import dev.edgekit.profile.PowerGauge
import dev.edgekit.profile.PowerSample
import dev.edgekit.profile.Stage
import dev.edgekit.profile.Subject
import dev.edgekit.profile.ThermalGauge
import dev.edgekit.profile.ThermalSample
import kotlinx.serialization.json.JsonArray
import java.io.File
import java.util.concurrent.CancellationException

/** Loads [file] anew, times it, and writes the profile. [show] hears of it ten times a second at most. */
internal class BenchmarkRun(
    private val order: BenchmarkOrder,
    private val file: File,
    private val cache: File,
    private val sensors: Sensors,
    private val loaders: List<EngineLoader>,
    private val show: (BenchmarkState.Running) -> Unit,
) {
    @Volatile
    private var power: PowerSample? = null

    @Volatile
    private var heat: ThermalSample? = null
    private var shown = Long.MIN_VALUE
    private var shownStage: Stage? = null

    /**
     * @param stop Asked between two calls; once true, the run ends.
     * @throws CancellationException It was stopped.
     * @throws dev.edgekit.EdgekitException as [load] and [Benchmark.run].
     */
    fun run(stop: () -> Boolean): BenchmarkState.Done {
        val bundle = Bundle.open(file)
        val main = bundle.manifest.answering.first()
        val texts = order.texts ?: Golden.parse(bundle.read(main.golden), main.golden).texts.map { it.text }
        val source = if (order.texts == null) "the bundle's golden texts" else "given texts"
        if (stop()) throw CancellationException()
        val begin = sensors.clock.nanos()
        val classifier = load(file, cache, order.engine, order.threads, loaders = loaders)
        return classifier.use {
            val loaded = sensors.clock.nanos()
            classifier.classify(texts.first())
            val answered = sensors.clock.nanos()
            val subject = subject(classifier, bundle, (loaded - begin) / 1e6, (answered - loaded) / 1e6)
            power = sensors.power?.sample() // shown even where energy is not measured
            val profile = Benchmark(
                subject,
                classifier::classify,
                texts,
                source,
                order.settings,
                sensors.phone,
                sensors.clock,
                sensors.power?.let { gauge -> PowerGauge { gauge.sample().also { power = it } } },
                sensors.thermal?.let { gauge -> ThermalGauge { gauge.sample().also { heat = it } } },
            ).run(stop, ::progress)
            writeWhole(order.out) { it.write(profile.toJson().toString().toByteArray()) }
            order.listener?.done()
            BenchmarkState.Done(profile, order.out, power, heat)
        }
    }

    private fun progress(stage: Stage, done: Int, total: Int) {
        order.listener?.progress(stage, done, total)
        val now = sensors.clock.nanos()
        if (stage == shownStage && now - shown < SHOW_EVERY_NS) return
        shown = now
        shownStage = stage
        show(BenchmarkState.Running(stage, done, total, power, heat))
    }

    private fun subject(classifier: Classifier, bundle: Bundle, loadMs: Double, firstMs: Double): Subject {
        val first = classifier.members.first()
        return Subject(
            bundle = file.name,
            name = bundle.manifest.name,
            bytes = file.length(),
            labels = classifier.labels,
            engine = classifier.engineNames,
            distribution = classifier.distributions,
            scheme = classifier.schemes,
            threads = order.threads,
            loadMs = loadMs,
            firstMs = firstMs,
            history = JsonArray(bundle.manifest.history),
            lengths = first.engine.lengths?.toList() ?: first.spec.buckets,
            maxLength = first.spec.maxLength,
            tokens = { first.encoder.wholeIds(it).size },
            edgekit = sensors.phone.app,
        )
    }

    private companion object {
        const val SHOW_EVERY_NS = 100_000_000L
    }
}
