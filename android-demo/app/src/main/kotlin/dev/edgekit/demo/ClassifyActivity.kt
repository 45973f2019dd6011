package dev.edgekit.demo

import android.app.Activity
import android.content.ActivityNotFoundException
import android.content.ContentResolver
import android.content.Intent
import android.net.Uri
import android.os.Bundle
import android.provider.OpenableColumns
import dev.edgekit.FileException
import java.io.IOException

/** Classifies what the user types, with the bundle and on the engine of their choice. */
open class ClassifyActivity : Activity() {
    private lateinit var session: Session
    private lateinit var screen: Screen
    private val watcher = ::render

    protected open fun session(): Session = (application as App).session

    protected open fun screen(): Screen = WidgetScreen(this)

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        session = session()
        screen = screen()
        screen.show(R.layout.classify)
        screen.onClick(R.id.classify) { session.classify(screen.read(R.id.text)) }
        screen.onClick(R.id.pick) { pick(PICK) }
        screen.onClick(R.id.add_key) { pick(PICK_KEY) }
        screen.onClick(R.id.built_in) { session.openBuiltIn() }
        screen.onClick(R.id.benchmark) { startActivity(Intent(this, BenchmarkActivity::class.java)) }
    }

    override fun onStart() {
        super.onStart()
        session.watch(watcher)
        session.open()
    }

    override fun onStop() {
        session.unwatch(watcher)
        super.onStop()
    }

    private fun pick(request: Int) {
        val intent = Intent(Intent.ACTION_OPEN_DOCUMENT)
        intent.addCategory(Intent.CATEGORY_OPENABLE)
        intent.type = "*/*" // no app knows the type of a bundle
        try {
            startActivityForResult(intent, request)
        } catch (error: ActivityNotFoundException) {
            session.show(FileException("this device has no app to pick files with: install a file manager", error))
        }
    }

    @Deprecated("The platform's own way, which needs no library")
    override fun onActivityResult(requestCode: Int, resultCode: Int, data: Intent?) {
        val uri = data?.data
        if (resultCode != RESULT_OK || uri == null) return
        val resolver = applicationContext.contentResolver // not this screen's: the copying may outlive it
        when (requestCode) {
            PICK -> session.pick { picked(resolver, uri) }
            PICK_KEY -> session.addKey { picked(resolver, uri) }
        }
    }

    private fun render(state: State) {
        val model = state.model
        val ready = model as? Model.Ready
        screen.write(R.id.about, about(model))
        screen.write(R.id.trust, ready?.let(::trust))
        screen.write(R.id.added_key, state.addedKey?.let { screen.string(R.string.key_added, it) })
        screen.enable(R.id.classify, ready != null && !state.classifying)
        screen.enable(R.id.benchmark, ready != null)
        screen.enable(R.id.pick, model != Model.Opening && model != Model.Unknown)
        screen.visible(R.id.built_in, model == Model.None || ready?.builtIn == false)
        screen.visible(R.id.choices, ready != null)
        if (ready != null) {
            val engines = ready.engines.map { screen.engineName(it) }
            screen.choices(R.id.engine, engines, ready.engines.indexOf(ready.engine).coerceAtLeast(0)) {
                session.choose(ready.engines[it], ready.threads)
            }
            val threads = (1..Runtime.getRuntime().availableProcessors()).map { it.toString() }
            screen.choices(R.id.threads, threads, ready.threads - 1) { session.choose(ready.engine, it + 1) }
        }
        val answer = state.answer
        val prediction = answer?.prediction
        screen.write(
            R.id.answer,
            if (prediction == null) null else screen.string(R.string.answer, prediction.label, 100 * prediction.score),
        )
        screen.write(
            R.id.detail,
            if (answer == null) null else screen.string(R.string.answer_detail, answer.ms, answer.tokens, answer.prediction.model),
        )
        screen.showFailure(state.failure)
    }

    private fun about(model: Model): String = when (model) {
        Model.Unknown, Model.Opening -> screen.string(R.string.opening)
        Model.None -> screen.string(R.string.no_bundle)
        is Model.Ready -> screen.string(R.string.about_bundle, model.name, model.distribution, model.scheme)
    }

    /** Who signed the bundle, and whether it is sealed. */
    private fun trust(ready: Model.Ready): String {
        val ids = ready.signers.keyIds.joinToString()
        val signed = when {
            ids.isEmpty() -> screen.string(R.string.unsigned)
            ready.signers.checked -> screen.string(R.string.signed, ids)
            else -> screen.string(R.string.signed_unchecked, ids)
        }
        return if (ready.sealed) screen.string(R.string.also_sealed, signed) else signed
    }

    private companion object {
        const val PICK = 1
        const val PICK_KEY = 2

        fun picked(resolver: ContentResolver, uri: Uri): Picked = try {
            val size = resolver.query(uri, arrayOf(OpenableColumns.SIZE), null, null, null)?.use { row ->
                val column = row.getColumnIndex(OpenableColumns.SIZE) // some apps answer with other columns
                if (column >= 0 && row.moveToFirst() && !row.isNull(column)) row.getLong(column) else null
            }
            val stream = resolver.openInputStream(uri) ?: throw IOException("its app gives nothing")
            Picked(stream, size)
        } catch (error: IOException) {
            throw FileException("the file cannot be opened (${error.message}): pick it from another place", error)
        } catch (error: SecurityException) {
            throw FileException("the file may not be read (${error.message}): pick it again", error)
        }
    }
}
