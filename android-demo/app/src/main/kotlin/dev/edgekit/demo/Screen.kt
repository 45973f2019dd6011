package dev.edgekit.demo

/**
 * The widgets of one screen by their resource ids, so that an Activity's flow runs in tests without widgets.
 * All calls are on the main thread.
 */
interface Screen {
    /** Inflates [layout]. */
    fun show(layout: Int)

    /** A string resource with its arguments, in the user's language. */
    fun string(id: Int, vararg arguments: Any): String

    /** What stands in a text field. */
    fun read(id: Int): String

    /** Puts [text] into a label; null hides the label. */
    fun write(id: Int, text: CharSequence?)

    fun enable(id: Int, enabled: Boolean)

    fun visible(id: Int, visible: Boolean)

    fun checked(id: Int): Boolean

    fun onClick(id: Int, action: () -> Unit)

    /** Fills a drop-down list; [chosen] hears what the user takes, not what is set here. */
    fun choices(id: Int, items: List<String>, selected: Int, chosen: (Int) -> Unit)

    /** Sets a progress bar; [total] 0: how far it is is not known. */
    fun progress(id: Int, done: Int, total: Int)

    /** Draws timed calls, and what a screen reader says of them. */
    fun plot(id: Int, plot: Plot, description: String)

    /** Keeps the phone's screen on. */
    fun keepOn(on: Boolean)
}

/** Shows [failure] in the labels that every screen has for it, or hides them. */
fun Screen.showFailure(failure: Failure?) {
    write(R.id.failure, failure?.let { string(it.headline) })
    write(R.id.failure_message, failure?.message)
}

/** An engine's name as its makers write it. */
fun Screen.engineName(engine: String): String = when (engine) {
    "litert" -> string(R.string.litert)
    "executorch" -> string(R.string.executorch)
    else -> engine
}
