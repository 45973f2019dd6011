package dev.edgekit.demo

import dev.edgekit.FileException
import dev.edgekit.bundle.Bundle
import dev.edgekit.classify.Classifier
import dev.edgekit.classify.defaultThreads
import dev.edgekit.classify.load
import dev.edgekit.engine.EngineLoader
import dev.edgekit.engine.Engines
import dev.edgekit.trust.PublicKey
import dev.edgekit.trust.RawSealingKey
import dev.edgekit.trust.Trust
import java.io.File
import java.io.IOException
import java.io.InputStream
import java.util.concurrent.CancellationException
import java.util.concurrent.Executor

/** A file that the user picked, and its size in bytes where that is known. */
class Picked(val stream: InputStream, val size: Long?)

/**
 * The app's work and its state. It belongs to the process, so a rotated screen finds the work going on. Its functions are
 * called on the main thread; the work is done by [worker], one piece after the other.
 *
 * @param asset Opens the bundle of the app's assets; null where there is none.
 * @param cache Folder for engines' private copies.
 * @param worker One thread.
 * @param main Runs on the main thread, in order.
 * @param signers The keys that the build put into the app; where there are none, any bundle is taken.
 * @param vault Keeps the keys of sealed bundles.
 */
class Session(
    private val store: BundleStore,
    private val asset: () -> InputStream?,
    private val cache: File,
    private val worker: Executor,
    private val main: Executor,
    private val sensors: () -> Sensors,
    private val loaders: List<EngineLoader> = Engines.ALL,
    signers: () -> List<PublicKey> = ::emptyList,
    private val vault: KeyVault = NoVault,
) {
    /** What the screens show; changes on the main thread only. */
    var state = State()
        private set

    /** Read when the worker first opens a bundle; keys that cannot be read let no bundle in. */
    private val trust by lazy { Trust(signers(), vault) }
    private val watchers = LinkedHashSet<(State) -> Unit>()

    /** The benchmark that is going on; null where none is. */
    var running: BenchmarkOrder? = null
        private set

    // What follows is touched by the worker only.
    @Volatile // read where a failure is told
    private var opened: Model = Model.None
    private var classifier: Classifier? = null
    private var chosenEngine: String? = null
    private var chosenThreads = defaultThreads()

    /** Calls [watcher] now and at every change, until [unwatch]. */
    fun watch(watcher: (State) -> Unit) {
        watchers += watcher
        watcher(state)
    }

    fun unwatch(watcher: (State) -> Unit) {
        watchers -= watcher
    }

    /** Opens the bundle that was picked last, or else the built-in one; once in a process. */
    fun open() {
        if (state.model == Model.Unknown) opening { store.picked() ?: store.builtIn(asset) }
    }

    /** Copies, checks and opens a bundle that the user picked; on failure the one before stays at work. */
    fun pick(source: () -> Picked) = opening {
        val picked = source()
        picked.stream.use { store.take(it, picked.size) }
    }

    /** Back to the bundle of the assets. */
    fun openBuiltIn() = opening(store::forget) { store.builtIn(asset) ?: throw noBuiltIn() }

    /** Takes in the key of sealed bundles that a file holds. */
    fun addKey(source: () -> Picked) {
        state = state.copy(addedKey = null, failure = null)
        tell()
        work({ copy(failure = it) }) {
            val bytes = source().stream.use { readSmall(it) }
            val id = vault.add(RawSealingKey.bytesOf(bytes))
            change { copy(addedKey = id) }
        }
    }

    /** Tells an error of a screen. */
    fun show(error: Throwable) {
        state = state.copy(failure = Failure.of(error))
        tell()
    }

    /** Loads the bundle anew on [engine] with at most [threads] threads. */
    fun choose(engine: String, threads: Int) {
        val ready = state.model as? Model.Ready ?: return
        if (engine == ready.engine && threads == ready.threads) return
        opening {
            chosenEngine = engine
            chosenThreads = threads
            ready.file
        }
    }

    /** Classifies; the state tells the answer. */
    fun classify(text: String) {
        val ready = state.model as? Model.Ready ?: return
        if (state.classifying) return
        state = state.copy(classifying = true, failure = null)
        tell()
        work({ copy(classifying = false, answer = null, failure = it) }) {
            val classifier = classifier ?: reload(ready)
            val from = System.nanoTime()
            val prediction = classifier.classify(text)
            val ms = (System.nanoTime() - from) / 1e6
            val answer = Answer(text, prediction, ms, classifier.members.first().encoder.ids(text).size)
            change { copy(classifying = false, answer = answer) }
        }
    }

    /**
     * Runs a benchmark.
     *
     * @return False if one is going on already, which is not disturbed.
     */
    fun benchmark(order: BenchmarkOrder): Boolean {
        if (running != null) return false
        running = order
        state = state.copy(benchmark = BenchmarkState.Running())
        tell()
        worker.execute {
            val end = try {
                release() // two copies of a model would cost memory, and the idle one's threads time
                val file = order.file ?: store.builtIn(asset) ?: throw noBuiltIn()
                val show = { running: BenchmarkState.Running -> change { copy(benchmark = running) } }
                val trusted = order.key?.let { Trust(trust.signers, it) } ?: trust
                BenchmarkRun(order, file, cache, sensors(), loaders, trusted, show).run(order.stop::get)
            } catch (error: Throwable) { // every error must be told, OutOfMemoryError and LinkageError, too
                val failure = if (error is CancellationException) Failure.STOPPED else Failure.of(error)
                BenchmarkState.Failed(failure.heardBy(order.listener))
            }
            change {
                running = null
                copy(benchmark = end)
            }
        }
        return true
    }

    /** Asks the benchmark that is going on to end. */
    fun cancel() {
        running?.stop?.set(true)
    }

    private fun Failure.heardBy(listener: BenchmarkOrder.Listener?): Failure = try {
        listener?.failed(this)
        this
    } catch (error: Throwable) {
        Failure.of(error)
    }

    /** Opens the bundle that [file] finds, then calls [after]; a failure leaves what was there before. */
    private fun opening(after: () -> Unit = {}, file: () -> File?) {
        state = state.copy(model = Model.Opening, failure = null)
        tell()
        work({ copy(model = opened, failure = it) }) {
            try {
                val model = file()?.let(::ready) ?: Model.None
                after()
                opened = model
                change { copy(model = model, answer = null) }
            } finally {
                store.drop()
            }
        }
    }

    private fun ready(file: File): Model.Ready {
        val bundle = Bundle.open(file, trust.signers)
        val entries = bundle.manifest.answering
        val engines = loaders.filter { loader ->
            loader.unavailable() == null && entries.all { entry -> entry.programs.any { it.engine == loader.name } }
        }.map { it.name }
        release()
        val engine = chosenEngine.takeIf { it in engines }
        chosenEngine = null // one that fails is not tried again with the next bundle
        val loaded = load(file, cache, engine, chosenThreads, loaders = loaders, trust = trust)
        chosenEngine = engine
        classifier = loaded
        val kept = store.keep(file)
        return Model.Ready(
            kept,
            kept != store.picked(),
            bundle.manifest.name,
            engines,
            loaded.engineNames,
            loaded.distributions,
            loaded.schemes,
            chosenThreads,
            bundle.signers,
            bundle.manifest.seal != null,
        )
    }

    private fun reload(ready: Model.Ready): Classifier {
        val engine = ready.engine.takeIf { it in ready.engines }
        return load(ready.file, cache, engine, ready.threads, loaders = loaders, trust = trust).also { classifier = it }
    }

    /** The whole of a small file; of a large one as much as shows that it is no key. */
    private fun readSmall(stream: InputStream): ByteArray {
        val bytes = ByteArray(RawSealingKey.MAX_FILE_BYTES)
        var count = 0
        try {
            while (count < bytes.size) {
                val more = stream.read(bytes, count, bytes.size - count)
                if (more < 0) break
                count += more
            }
        } catch (error: IOException) {
            throw FileException("the key file cannot be read (${error.message}): pick it again", error)
        }
        return bytes.copyOf(count).also { bytes.fill(0) }
    }

    private fun noBuiltIn() = FileException("this app was built without a bundle of its own: pick or name one")

    private fun release() {
        classifier?.close()
        classifier = null
    }

    private fun work(failed: State.(Failure) -> State, block: () -> Unit) = worker.execute {
        try {
            block()
        } catch (error: Throwable) { // every error must be shown, OutOfMemoryError and LinkageError, too
            val failure = Failure.of(error)
            change { failed(failure) }
        }
    }

    private fun change(block: State.() -> State) = main.execute {
        state = state.block()
        tell()
    }

    private fun tell() = watchers.toList().forEach { it(state) }
}
