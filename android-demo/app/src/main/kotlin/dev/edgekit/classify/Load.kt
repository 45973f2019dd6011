package dev.edgekit.classify

import dev.edgekit.EngineException
import dev.edgekit.EngineUnavailableException
import dev.edgekit.OptionException
import dev.edgekit.bundle.Bundle
import dev.edgekit.bundle.Combination
import dev.edgekit.bundle.Golden
import dev.edgekit.bundle.ModelEntry
import dev.edgekit.bundle.Program
import dev.edgekit.engine.EngineLoader
import dev.edgekit.engine.Engines
import dev.edgekit.text.TextEncoder
import dev.edgekit.trust.Trust
import java.io.File

/** Threads that [load] uses unless told: the processors at hand, at most 4. */
fun defaultThreads(): Int = minOf(4, Runtime.getRuntime().availableProcessors())

/**
 * Opens a bundle for classifying. What is read of it is always compared with its checksums.
 *
 * @param file The `.edgekit` file, which must stay as it is as long as the classifier is used.
 * @param cache Folder for engines' private copies.
 * @param engine Name of the engine; null takes the first that is in this app and that the bundle has a program for.
 * @param threads Upper bound on the threads of one call; no more than there are processors are used.
 * @param verify Whether the engine must answer the bundle's golden texts rightly first.
 * @param loaders The engines of this app, the preferred one first.
 * @param trust Who must have signed the bundle, and where the key of a sealed one is.
 * @throws dev.edgekit.FileException The file is missing or cannot be read.
 * @throws dev.edgekit.BundleException It is damaged, no bundle, or of a newer schema; not signed as [trust] asks, or
 *   sealed with a key that it does not find.
 * @throws EngineUnavailableException No engine can run it here, or not the one asked for.
 * @throws EngineException The engine fails, or there is not enough memory.
 * @throws dev.edgekit.GoldenMismatchException The engine answers wrongly.
 * @throws OptionException [threads] is below 1.
 */
fun load(
    file: File,
    cache: File,
    engine: String? = null,
    threads: Int = defaultThreads(),
    verify: Boolean = true,
    loaders: List<EngineLoader> = Engines.ALL,
    trust: Trust = Trust(),
): Classifier {
    if (threads < 1) throw OptionException("threads must be 1 or more, not $threads")
    val bundle = Bundle.open(file, trust.signers)
    val used = minOf(threads, Runtime.getRuntime().availableProcessors())
    val members = ArrayList<ModelClassifier>()
    try {
        for (entry in bundle.manifest.answering) {
            val encoder = members.firstOrNull { it.spec == entry.text }?.encoder
                ?: TextEncoder(bundle.read(entry.text.tokenizer), entry.text)
            val (loader, program) = chosen(bundle, entry, engine, loaders)
            val loaded = loader.load(program, bundle.program(program.file, trust.keys), cache, used)
            members += ModelClassifier(bundle.manifest.labels, entry.role, program, loaded, encoder)
            if (verify) checkGolden(bundle, entry, members.last())
        }
    } catch (error: Throwable) {
        members.forEach { it.close() }
        if (error !is OutOfMemoryError) throw error
        val next = "close other apps, or take a smaller bundle"
        throw EngineException("there is not enough memory to load ${file.name}; $next", error)
    }
    val combine = bundle.manifest.combine ?: return members[0]
    val threshold = combine.threshold
    val cascade = combine.kind == Combination.CASCADE && threshold != null
    return if (cascade) Cascade(members, threshold) else Average(members)
}

private fun checkGolden(bundle: Bundle, entry: ModelEntry, model: ModelClassifier) {
    val golden = Golden.parse(bundle.read(entry.golden), entry.golden)
    golden.check(model.program.file, model.engine.distribution, model.encoder::ids, model::logits)
}

/** The program that is run and its engine: the one asked for, or the first that this app has. */
private fun chosen(
    bundle: Bundle,
    entry: ModelEntry,
    wanted: String?,
    loaders: List<EngineLoader>,
): Pair<EngineLoader, Program> {
    val single = bundle.manifest.models.size == 1
    val named = if (single) "${bundle.file}" else "the model '${entry.role}' of ${bundle.file}"
    if (wanted != null && loaders.none { it.name == wanted }) {
        throw EngineUnavailableException("this app has no engine '$wanted'; it has ${loaders.joinToString { it.name }}")
    }
    val reasons = ArrayList<String>()
    for (loader in loaders) {
        if (wanted != null && loader.name != wanted) continue
        val reason = loader.unavailable()
        val program = entry.programs.firstOrNull { it.engine == loader.name }
        when {
            reason != null -> reasons += reason
            program != null -> return loader to program
        }
    }
    val offered = entry.programs.joinToString { it.engine }.ifEmpty { "none" }
    throw EngineUnavailableException(
        if (wanted != null && reasons.isEmpty()) {
            "$named has no program for $wanted, only for $offered: convert it with --target $wanted, or choose another"
        } else {
            "nothing here runs $named, which has programs for $offered" + reasons.joinToString("") { "; $it" }
        },
    )
}
