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
import dev.edgekit.trust.Trust
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
    private val trust: Trust,
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
        val bundle = Bundle.open(file, trust.signers)
        val main = bundle.manifest.answering.first()
        val golden = Golden.parse(bundle.read(main.golden), main.golden).texts.mapNotNull { it.text }
        val texts = order.texts ?: golden.ifEmpty { SAMPLE }
        val source = when {
            order.texts != null -> "given texts"
            golden.isEmpty() -> "the app's own texts, since the bundle has none"
            else -> "the bundle's golden texts"
        }
        if (stop()) throw CancellationException()
        val begin = sensors.clock.nanos()
        val classifier = load(file, cache, order.engine, order.threads, loaders = loaders, trust = trust)
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

        /** For bundles whose golden texts were taken out. */
        val SAMPLE = listOf(
            "ok",
            "The story is slow, but the last half hour is worth the wait.",
            "这部电影的节奏有点慢，不过演员很出色，结尾也让人难忘。",
            "I had hoped for more: the jokes are old, the music is loud, and nobody in it seems to know why they are there. " +
                "Two people left before the end, and I should have gone with them.",
        )
    }
}
