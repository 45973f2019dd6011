package dev.edgekit.demo

import android.app.Activity
import android.content.Intent
import android.os.Build
import android.os.Bundle
import android.view.WindowManager

/**
 * The entry of `edgekit android bench`: an intent with extras in, a file of JSON out (docs/android.md has the protocol).
 * It is a visible screen, since Android stops work that nobody sees, and it closes itself.
 */
open class HeadlessActivity : Activity() {
    private lateinit var session: Session
    private lateinit var headless: Headless
    private lateinit var screen: Screen
    private val watcher = ::render
    private var seen = false

    protected open fun session(): Session = (application as App).session

    protected open fun headless(): Headless = (application as App).headless

    protected open fun screen(): Screen = WidgetScreen(this)

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        session = session()
        headless = headless()
        screen = screen()
        showOverLock()
        screen.show(R.layout.headless)
        screen.onClick(R.id.cancel) { session.cancel() }
        // A rotated screen has had its intent answered, or its run goes on.
        if (savedInstanceState == null) headless.start(extrasOf(intent))
        if (!headless.atWork) finish()
    }

    /** A second request while this screen is there: it is answered, and the run goes on. */
    override fun onNewIntent(intent: Intent) {
        super.onNewIntent(intent)
        headless.start(extrasOf(intent))
    }

    /** Not in onStart, which comes before onNewIntent: a screen without work closes itself. */
    override fun onResume() {
        super.onResume()
        session.watch(watcher)
    }

    override fun onWindowFocusChanged(hasFocus: Boolean) {
        super.onWindowFocusChanged(hasFocus)
        if (hasFocus) seen = true
    }

    override fun onStop() {
        session.unwatch(watcher)
        // While the phone's screen turns on for it, this one may be stopped and started again before anybody sees it.
        if (seen && !isChangingConfigurations && headless.atWork) session.cancel()
        super.onStop()
    }

    private fun render(state: State) {
        val running = state.benchmark as? BenchmarkState.Running
        screen.keepOn(running != null)
        screen.write(R.id.stage, running?.let { screen.stageOf(it) })
        screen.visible(R.id.progress, running != null)
        if (running != null) screen.progress(R.id.progress, running.done, running.total)
        if (!headless.atWork) finish()
    }

    @Suppress("DEPRECATION") // the flags are for Android 8.0
    private fun showOverLock() {
        if (Build.VERSION.SDK_INT >= 27) {
            setShowWhenLocked(true)
            setTurnScreenOn(true)
        } else {
            val flags = WindowManager.LayoutParams.FLAG_SHOW_WHEN_LOCKED or WindowManager.LayoutParams.FLAG_TURN_SCREEN_ON
            window?.addFlags(flags)
        }
    }

    private companion object {
        /** Every extra as text, whatever its type; none where they cannot be read, which the answer to them tells. */
        @Suppress("DEPRECATION") // the typed getters would have to know the type
        fun extrasOf(intent: Intent): Map<String, String> = try {
            val extras = intent.extras
            extras?.keySet().orEmpty().associateWith { extras?.get(it).toString() }
        } catch (_: RuntimeException) {
            emptyMap() // another app's own classes, which this one cannot read
        }
    }
}
