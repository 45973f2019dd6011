package dev.edgekit.demo

import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test

class PlotScaleTest {
    @Test
    fun ticksAreRoundAndNothingLiesAbove() {
        assertEquals(listOf(0.0, 0.5, 1.0, 1.5, 2.0), PlotScale(1.7, 4).ticks)
        for (highest in listOf(0.0, 1e-4, 0.013, 0.999, 1.0, 3.0, 47.1, 1e5)) {
            for (ticks in 1..6) {
                val scale = PlotScale(highest, ticks)
                assertTrue("$highest", scale.top >= highest && scale.ticks.size in 2..ticks + 2)
                assertEquals(scale.top, scale.ticks.last(), scale.top * 1e-9)
                val shown = scale.ticks.map { "%.${scale.digits}f".format(it) }
                assertEquals("$highest: $shown", shown.size, shown.toSet().size)
            }
        }
        assertEquals(0.5f, PlotScale(2.0, 2).at(1.0))
    }

    @Test
    fun columnsKeepOutliers() {
        val values = DoubleArray(1000) { 1.0 }.also { it[617] = 9.0 }
        val columns = PlotScale.columns(values, 10)
        assertEquals(20, columns.size)
        assertEquals(9.0, columns[2 * 6 + 1], 0.0)
        assertArrayEquals(doubleArrayOf(3.0, 3.0, 4.0, 4.0), PlotScale.columns(doubleArrayOf(3.0, 4.0), 100), 0.0)
    }
}
