package dev.edgekit.profile

import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.double
import kotlinx.serialization.json.int
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNotNull
import org.junit.Assert.assertNull
import org.junit.Test

/** The numbers of latency.json were made by the Python runtime, whose test holds them equal to what it gives now. */
class LatencyTest {
    @Test
    fun `figures and intervals are those of Python`() {
        val cases = Json.parseToJsonElement(resource("latency.json").readText()).jsonArray
        assertEquals(5, cases.size)
        for (case in cases) {
            val rounds = case.jsonObject.getValue("rounds").jsonArray.map { round ->
                val times = round.jsonObject.getValue("milliseconds").jsonArray.map { it.jsonPrimitive.double }
                val models = round.jsonObject.getValue("models").jsonArray.map { it.jsonPrimitive.content }
                Round(times.toDoubleArray(), models)
            }
            same(case.jsonObject.getValue("latency_ms").jsonObject, summarise(rounds))
        }
    }

    @Test
    fun `the groups keep their order`() {
        val times = listOf(doubleArrayOf(3.0, 1.0, 2.0), doubleArrayOf(5.0))
        val rounds = times.map { Round(it, List(it.size) { "main" }) }
        summarise(rounds)
        assertEquals(listOf(3.0, 1.0, 2.0), rounds[0].milliseconds.toList())
    }

    @Test
    fun `of one round no interval is claimed`() = assertNull(bootstrap(listOf(doubleArrayOf(1.0, 2.0))) { it })

    @Test
    fun `of two rounds one is claimed`() = assertNotNull(bootstrap(List(2) { doubleArrayOf(1.0) }) { it })

    private fun same(python: JsonObject, kotlin: Latency) {
        fun figure(name: String) = python.getValue(name).jsonPrimitive.double
        assertEquals(python.getValue("count").jsonPrimitive.int, kotlin.count)
        assertEquals(figure("mean"), kotlin.mean, CLOSE)
        assertEquals(figure("p50"), kotlin.p50, CLOSE)
        assertEquals(figure("p90"), kotlin.p90, CLOSE)
        assertEquals(figure("p95"), kotlin.p95, CLOSE)
        assertEquals(figure("p99"), kotlin.p99, CLOSE)
        assertEquals(figure("max"), kotlin.max, CLOSE)
        val ci95 = python.getValue("ci95").jsonObject
        assertEquals(ci95.keys, kotlin.ci95.keys)
        for ((name, ends) in ci95) {
            assertEquals(ends.jsonArray[0].jsonPrimitive.double, kotlin.ci95.getValue(name).low, CLOSE)
            assertEquals(ends.jsonArray[1].jsonPrimitive.double, kotlin.ci95.getValue(name).high, CLOSE)
        }
        val byModel = python.getValue("by_model").jsonObject
        assertEquals(byModel.keys, kotlin.byModel.keys)
        for ((role, each) in byModel) same(each.jsonObject, kotlin.byModel.getValue(role))
    }

    private companion object {
        const val CLOSE = 1e-9
    }
}
