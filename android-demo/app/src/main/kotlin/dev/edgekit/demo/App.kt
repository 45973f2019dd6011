package dev.edgekit.demo

import android.app.Application
import android.os.Handler
import android.os.HandlerThread
import android.os.Looper
import android.util.Log
import dev.edgekit.engine.Engines
import dev.edgekit.engine.ExecuTorchEngine
import dev.edgekit.trust.PublicKey
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
        worker.execute { // before all other work, and off the main thread
            Engines.distributions = distributions()
            ExecuTorchEngine.tidy(cacheDir)
        }
        Session(
            store = BundleStore(File(filesDir, "bundles")),
            asset = { asset("demo.edgekit") },
            cache = cacheDir,
            worker = worker,
            main = executor(Handler(Looper.getMainLooper())),
            sensors = { Sensors.of(this) },
            signers = ::trustedKeys,
            vault = KeystoreVault(),
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

    /** The keys that the build put into the app; one that cannot be read is an error. */
    private fun trustedKeys(): List<PublicKey> = assets.list(TRUSTED_KEYS).orEmpty().map { name ->
        val pem = assets.open("$TRUSTED_KEYS/$name").use { it.readBytes() }
        PublicKey.ofPem(pem.toString(Charsets.ISO_8859_1), name)
    }

    /** A file that the build put into the app; null where it did not. */
    private fun asset(name: String): InputStream? = try {
        assets.open(name)
    } catch (_: FileNotFoundException) {
        null
    }

    private fun executor(handler: Handler) = Executor { handler.post(it) }

    private companion object {
        const val TRUSTED_KEYS = "trusted-keys"
    }
}
