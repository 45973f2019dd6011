package dev.edgekit.demo

import android.app.Application
import android.os.Handler
import android.os.HandlerThread
import android.os.Looper
import android.util.Log
import dev.edgekit.engine.Engines
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import java.io.File
import java.io.FileNotFoundException
import java.io.InputStream
import java.util.concurrent.Executor

/** The process: it holds the work, so that screens may come and go. */
class App : Application() {
    val session: Session by lazy {
        val worker = executor(Handler(HandlerThread("edgekit-worker").apply { start() }.looper))
        worker.execute { Engines.distributions = distributions() } // before all other work, and off the main thread
        Session(
            store = BundleStore(File(filesDir, "bundles")),
            asset = { asset("demo.edgekit") },
            cache = cacheDir,
            worker = worker,
            main = executor(Handler(Looper.getMainLooper())),
            sensors = { Sensors.of(this) },
        )
    }

    val headless: Headless by lazy { Headless(File(filesDir, "bench"), session) { Log.i("edgekit-bench", it) } }

    /** What may be shared: see [ExportProvider]. */
    val exports: File get() = File(filesDir, ExportProvider.FOLDER)

    /** What the build says that brings each engine. */
    private fun distributions(): Map<String, String> {
        val json = asset("engines.json")?.use { it.readBytes() } ?: return emptyMap()
        return Json.parseToJsonElement(json.toString(Charsets.UTF_8)).jsonObject.mapValues { it.value.jsonPrimitive.content }
    }

    /** A file that the build put into the app; null where it did not. */
    private fun asset(name: String): InputStream? = try {
        assets.open(name)
    } catch (_: FileNotFoundException) {
        null
    }

    private fun executor(handler: Handler) = Executor { handler.post(it) }
}
