package dev.edgekit.demo

import dev.edgekit.FileException
import dev.edgekit.profile.Stage
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.buildJsonObject
import kotlinx.serialization.json.put
import java.io.File

/**
 * Answers the intents that `edgekit android bench` sends: files in the run's folder, and one line in the log.
 *
 * @param bench The folder that has a folder for each run.
 * @param log Takes the line.
 */
class Headless(private val bench: File, private val session: Session, private val log: (String) -> Unit) {
    /** The run that is going on; null where none is. */
    @Volatile
    private var running: String? = null

    /** Whether a run of this entry is going on. */
    val atWork: Boolean get() = running != null

    /** Starts what [extras] ask for; false where it was refused, which has been answered then. */
    fun start(extras: Map<String, String>): Boolean {
        val request = try {
            HeadlessRequest.of(extras, bench)
        } catch (error: Exception) {
            tell(null, Failure.of(error))
            return false
        }
        if (request.id == running) { // its files belong to the one that runs
            tell(request.id, Failure.BUSY)
            return false
        }
        val answer = Answering(request)
        val order = try {
            request.order(answer)
        } catch (error: Exception) {
            answer.failed(Failure.of(error))
            return false
        }
        if (session.state.benchmark is BenchmarkState.Running) {
            answer.failed(Failure.BUSY)
            return false
        }
        request.out.delete()
        running = request.id
        return session.benchmark(order)
    }

    private inner class Answering(private val request: HeadlessRequest) : BenchmarkOrder.Listener {
        private var told = 0L
        private var stage: Stage? = null

        override fun progress(stage: Stage, done: Int, total: Int) {
            val now = System.nanoTime()
            if (stage == this.stage && now - told < EVERY_NS) return
            told = now
            this.stage = stage
            val progress = buildJsonObject {
                put("stage", stage.name.lowercase())
                put("done", done)
                put("total", total)
            }
            write(File(request.folder, "progress.json"), progress, sync = false)
        }

        override fun done() {
            running = null
            tell(request.id, null)
        }

        override fun failed(failure: Failure) {
            if (running == request.id) running = null
            val answer = buildJsonObject {
                put("error", failure.message)
                put("kind", failure.kind)
            }
            try {
                write(request.out, answer)
                tell(request.id, failure)
            } catch (error: FileException) { // then the log line is the only answer
                tell(request.id, Failure.of(error))
            }
        }
    }

    private fun write(file: File, json: JsonElement, sync: Boolean = true) =
        writeWhole(file, sync) { it.write(json.toString().toByteArray()) }

    private fun tell(id: String?, failure: Failure?) {
        val line = buildJsonObject {
            put("id", id)
            put("status", if (failure == null) "done" else "error")
            put("kind", failure?.kind)
            put("error", failure?.message)
        }
        log(line.toString())
    }

    private companion object {
        const val EVERY_NS = 1_000_000_000L
    }
}
