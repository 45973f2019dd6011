package dev.edgekit.demo

import dev.edgekit.bundle.Contents
import dev.edgekit.bundle.Program
import dev.edgekit.bundle.TestFiles
import dev.edgekit.engine.Engine
import dev.edgekit.engine.EngineLoader
import dev.edgekit.engine.LiteRtEngine
import dev.edgekit.profile.Phone
import dev.edgekit.profile.PowerSample
import dev.edgekit.profile.ThermalSample
import dev.edgekit.profile.ThreadClock
import dev.edgekit.trust.PublicKey
import java.io.Closeable
import java.io.File
import java.io.InputStream
import java.util.Locale
import java.util.concurrent.Executor
import java.util.concurrent.Executors
import java.util.concurrent.LinkedBlockingQueue
import java.util.concurrent.TimeUnit
import javax.xml.parsers.DocumentBuilderFactory
import org.w3c.dom.Element

/** The app's strings as they stand in its resources. */
internal fun strings(folder: String): Map<String, String> {
    val file = File(TestFiles.root, "android-demo/app/src/main/res/$folder/strings.xml")
    val nodes = DocumentBuilderFactory.newInstance().newDocumentBuilder().parse(file).getElementsByTagName("string")
    return (0 until nodes.length).map { nodes.item(it) as Element }.associate { it.getAttribute("name") to it.textContent }
}

/** Widgets as a map: what a test types and clicks, and what the flow has shown. */
internal class FakeScreen : Screen {
    val texts = HashMap<Int, String?>()
    val enabled = HashMap<Int, Boolean>()
    val visible = HashMap<Int, Boolean>()
    val typed = HashMap<Int, String>()
    val ticked = HashSet<Int>()
    val clicks = HashMap<Int, () -> Unit>()
    val lists = HashMap<Int, List<String>>()
    val selected = HashMap<Int, Int>()
    val chosen = HashMap<Int, (Int) -> Unit>()
    var layout = 0
    var plot: Plot? = null
    var lit = false

    override fun show(layout: Int) {
        this.layout = layout
    }

    override fun string(id: Int, vararg arguments: Any): String =
        String.format(Locale.ROOT, STRINGS.getValue(id), *arguments)

    override fun read(id: Int) = typed[id].orEmpty()

    override fun write(id: Int, text: CharSequence?) {
        texts[id] = text?.toString()
    }

    override fun enable(id: Int, enabled: Boolean) {
        this.enabled[id] = enabled
    }

    override fun visible(id: Int, visible: Boolean) {
        this.visible[id] = visible
    }

    override fun checked(id: Int) = id in ticked

    override fun onClick(id: Int, action: () -> Unit) {
        clicks[id] = action
    }

    override fun choices(id: Int, items: List<String>, selected: Int, chosen: (Int) -> Unit) {
        lists[id] = items
        this.selected[id] = selected
        this.chosen[id] = chosen
    }

    override fun progress(id: Int, done: Int, total: Int) = Unit

    override fun plot(id: Int, plot: Plot, description: String) {
        this.plot = plot
        texts[id] = description
    }

    override fun keepOn(on: Boolean) {
        lit = on
    }

    fun click(id: Int) {
        check(enabled[id] != false) { "the button is greyed out" }
        clicks.getValue(id)()
    }

    private companion object {
        val STRINGS = strings("values").mapKeys { R.string::class.java.getField(it.key).getInt(null) }
    }
}

/** The main thread: it is the test's own, and does what was posted while the test waits. */
internal class MainThread : Executor {
    private val posted = LinkedBlockingQueue<Runnable>()

    override fun execute(command: Runnable) = posted.put(command)

    fun until(what: () -> String, condition: () -> Boolean) {
        val end = System.nanoTime() + 20_000_000_000
        while (!condition()) {
            posted.poll(50, TimeUnit.MILLISECONDS)?.run()
            check(System.nanoTime() < end) { "waited in vain for ${what()}" }
        }
    }
}

/** A session on the real LiteRT engine with a phone that runs on battery; [loaders] may break it. */
internal class Bench(
    loaders: List<EngineLoader> = listOf(LiteRtEngine),
    asset: File? = TestFiles.probe,
    free: Long = 1_000_000_000,
    signers: () -> List<PublicKey> = ::emptyList,
    vault: KeyVault = NoVault,
) : Closeable {
    val folder = TestFiles.folder()
    val main = MainThread()
    val worker = Executors.newSingleThreadExecutor()
    val session = Session(
        BundleStore(File(folder, "bundles")) { free },
        { asset?.inputStream() as InputStream? },
        File(folder, "cache"),
        worker,
        main,
        { sensors },
        loaders,
        signers,
        vault,
    )

    fun until(what: String, condition: (State) -> Boolean) = main.until({ "$what: ${session.state}" }) { condition(session.state) }

    /** Opens the built-in bundle. */
    fun opened() = apply {
        session.open()
        until("the bundle") { it.model is Model.Ready }
    }

    override fun close() {
        session.cancel()
        worker.shutdown()
        check(worker.awaitTermination(20, TimeUnit.SECONDS)) { "the worker does not end" }
    }

    private companion object {
        val clock = object : ThreadClock() {
            override fun nanos() = System.nanoTime()
        }
        val sensors = Sensors(
            Phone("Maker", "Model", null, "15", 35, "x86_64", "1.0"),
            clock,
            { PowerSample(clock.nanos() / 1_000_000, -250_000, null, 3900, 0, 3) },
            { ThermalSample(clock.nanos() / 1_000_000, 1, 0.5f) },
        )
    }
}

/** LiteRT, broken in one place. */
internal class Broken(
    private val missing: String? = null,
    private val onLoad: () -> Unit = {},
    private val onRun: () -> Unit = {},
) : EngineLoader {
    override val name = "litert"

    override fun unavailable() = missing

    override fun load(program: Program, contents: Contents, cache: File, threads: Int): Engine {
        onLoad()
        val whole = LiteRtEngine.load(program, contents, cache, threads)
        return object : Engine by whole {
            override fun run(ids: IntArray, mask: FloatArray): FloatArray {
                onRun()
                return whole.run(ids, mask)
            }
        }
    }
}
