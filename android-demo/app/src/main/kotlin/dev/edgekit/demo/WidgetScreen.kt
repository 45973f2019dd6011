package dev.edgekit.demo

import android.app.Activity
import android.view.View
import android.view.WindowManager
import android.widget.AdapterView
import android.widget.ArrayAdapter
import android.widget.CheckBox
import android.widget.ProgressBar
import android.widget.Spinner
import android.widget.TextView

/** The platform's own widgets of [activity]. */
class WidgetScreen(private val activity: Activity) : Screen {
    private fun <T : View> find(id: Int): T =
        activity.findViewById<T>(id) ?: error("the layout has no ${activity.resources.getResourceName(id)}")

    override fun show(layout: Int) = activity.setContentView(layout)

    override fun string(id: Int, vararg arguments: Any): String = activity.getString(id, *arguments)

    override fun read(id: Int) = find<TextView>(id).text.toString()

    override fun write(id: Int, text: CharSequence?) {
        val label = find<TextView>(id)
        label.visibility = if (text == null) View.GONE else View.VISIBLE
        // A live region speaks whenever its text is set, so only what has changed is set.
        if (text != null && text.toString() != label.text.toString()) label.text = text
    }

    override fun enable(id: Int, enabled: Boolean) {
        find<View>(id).isEnabled = enabled
    }

    override fun visible(id: Int, visible: Boolean) {
        find<View>(id).visibility = if (visible) View.VISIBLE else View.GONE
    }

    override fun checked(id: Int) = find<CheckBox>(id).isChecked

    override fun onClick(id: Int, action: () -> Unit) = find<View>(id).setOnClickListener { action() }

    override fun choices(id: Int, items: List<String>, selected: Int, chosen: (Int) -> Unit) {
        val list = find<Spinner>(id)
        val shown = list.adapter
        if (shown == null || (0 until shown.count).map { shown.getItem(it) } != items) {
            val adapter = ArrayAdapter(activity, android.R.layout.simple_spinner_item, items)
            adapter.setDropDownViewResource(android.R.layout.simple_spinner_dropdown_item)
            list.adapter = adapter
        }
        list.onItemSelectedListener = null
        if (list.selectedItemPosition != selected) list.setSelection(selected, false)
        list.onItemSelectedListener = object : AdapterView.OnItemSelectedListener {
            override fun onItemSelected(parent: AdapterView<*>?, view: View?, position: Int, row: Long) {
                // The platform also reports the selection above, after the next layout.
                if (position != selected) chosen(position)
            }

            override fun onNothingSelected(parent: AdapterView<*>?) = Unit
        }
    }

    override fun progress(id: Int, done: Int, total: Int) {
        val bar = find<ProgressBar>(id)
        bar.isIndeterminate = total <= 0
        bar.max = total
        bar.progress = done
    }

    override fun plot(id: Int, plot: Plot, description: String) {
        val drawing = find<LatencyPlot>(id)
        drawing.contentDescription = description
        drawing.show(plot)
    }

    override fun keepOn(on: Boolean) {
        val flag = WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON
        if (on) activity.window.addFlags(flag) else activity.window.clearFlags(flag)
    }
}
