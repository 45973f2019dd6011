package dev.edgekit.demo

import android.content.Context
import android.graphics.Canvas
import android.graphics.Paint
import android.util.AttributeSet
import android.util.TypedValue
import android.view.View
import java.util.Locale

/** Milliseconds of every timed call in their order, with lines at the median and the 95th percentile. */
class LatencyPlot(context: Context, attributes: AttributeSet?) : View(context, attributes) {
    private val sampleInk = ink(R.color.plot_sample)
    private val gridInk = ink(R.color.plot_grid)
    private val medianInk = ink(R.color.plot_p50)
    private val tailInk = ink(R.color.plot_p95)
    private val textInk = ink(R.color.plot_text)
    private val dp = resources.displayMetrics.density
    private var plot: Plot? = null

    init {
        // Labels grow with the user's text size, and the plot with them.
        textInk.textSize = TypedValue.applyDimension(TypedValue.COMPLEX_UNIT_SP, 12f, resources.displayMetrics)
        sampleInk.strokeWidth = 1.5f * dp
        sampleInk.strokeCap = Paint.Cap.ROUND
        gridInk.strokeWidth = dp
        medianInk.strokeWidth = 2 * dp
        tailInk.strokeWidth = 2 * dp
    }

    fun show(plot: Plot) {
        this.plot = plot
        invalidate()
    }

    override fun onMeasure(widthMeasureSpec: Int, heightMeasureSpec: Int) {
        val wanted = (160 * dp + 5 * textInk.textSize).toInt()
        setMeasuredDimension(getDefaultSize(suggestedMinimumWidth, widthMeasureSpec), resolveSize(wanted, heightMeasureSpec))
    }

    override fun onDraw(canvas: Canvas) {
        val plot = plot ?: return
        val line = textInk.textSize * 1.4f
        val ticks = ((height - 3 * line) / (2.5f * line)).toInt().coerceIn(1, 6)
        val scale = PlotScale(maxOf(plot.samplesMs.max(), plot.p95Ms), ticks)
        val labels = scale.ticks.map { format(it, scale.digits) }
        val left = labels.maxOf(textInk::measureText) + 8 * dp
        val right = width - 4 * dp
        val top = 1.5f * line
        val bottom = height - 1.6f * line
        fun y(ms: Double) = bottom - (bottom - top) * scale.at(ms)

        textInk.textAlign = Paint.Align.RIGHT
        scale.ticks.forEachIndexed { index, tick ->
            canvas.drawLine(left, y(tick), right, y(tick), gridInk)
            canvas.drawText(labels[index], left - 4 * dp, y(tick) + textInk.textSize * 0.35f, textInk)
        }
        val pairs = PlotScale.columns(plot.samplesMs, ((right - left) / (2 * dp)).toInt())
        val count = pairs.size / 2
        for (column in 0 until count) {
            val x = left + (right - left) * (column + 0.5f) / count
            canvas.drawLine(x, y(pairs[2 * column]) + dp / 2, x, y(pairs[2 * column + 1]) - dp / 2, sampleInk)
        }
        canvas.drawLine(left, y(plot.p50Ms), right, y(plot.p50Ms), medianInk)
        canvas.drawLine(left, y(plot.p95Ms), right, y(plot.p95Ms), tailInk)

        // The two lines are named above the plot, where no sample hides the names.
        textInk.textAlign = Paint.Align.LEFT
        canvas.drawText(context.getString(R.string.plot_axis_ms), 0f, textInk.textSize, textInk)
        var x = right
        val tail = named(R.string.plot_p95, plot.p95Ms)
        for ((name, ink) in listOf(tail to tailInk, named(R.string.plot_p50, plot.p50Ms) to medianInk)) {
            x -= textInk.measureText(name)
            canvas.drawText(name, x, textInk.textSize, textInk)
            canvas.drawLine(x - 20 * dp, textInk.textSize * 0.65f, x - 4 * dp, textInk.textSize * 0.65f, ink)
            x -= 32 * dp
        }
        canvas.drawText("1", left, height - 0.4f * line, textInk)
        textInk.textAlign = Paint.Align.RIGHT
        val calls = context.getString(R.string.plot_axis_calls, plot.samplesMs.size)
        canvas.drawText(calls, right, height - 0.4f * line, textInk)
    }

    private fun named(name: Int, ms: Double) = context.getString(name, format(ms, 2))

    private fun format(value: Double, digits: Int) = String.format(Locale.getDefault(), "%.${digits}f", value)

    private fun ink(color: Int) = Paint(Paint.ANTI_ALIAS_FLAG).apply { this.color = context.getColor(color) }
}
