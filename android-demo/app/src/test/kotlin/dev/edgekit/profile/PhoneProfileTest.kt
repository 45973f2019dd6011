package dev.edgekit.profile

import dev.edgekit.energy.EnergySettings
import java.io.File
import java.nio.file.Files
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.jsonObject
import org.junit.After
import org.junit.Assert.assertTrue
import org.junit.Assert.fail
import org.junit.Test

/**
 * Holds phone-profile.json, which Python's tests read, equal to what a benchmark gives: a real one, on a phone whose
 * clock and battery are virtual.
 */
class PhoneProfileTest {
    private val root: File = Files.createTempDirectory("edgekit-phone").toFile()

    @After
    fun clean() {
        root.deleteRecursively()
    }

    private fun made(): JsonObject {
        val files = mapOf(
            "proc/cpuinfo" to "Features\t: fp asimd asimddp i8mm\n",
            "proc/meminfo" to "MemTotal:        7864320 kB\nMemAvailable:    3932160 kB\n",
            "proc/self/status" to
                "RssAnon:\t 65536 kB\nRssFile:\t 98304 kB\nVmHWM:\t 180224 kB\nCpus_allowed_list:\t0-8\n",
        )
        for ((path, text) in files) {
            File(root, path).run {
                checkNotNull(parentFile).mkdirs()
                writeText(text)
            }
        }
        val settings = BenchmarkSettings(runs = 240, energy = EnergySettings(windows = 5, windowS = 4.0))
        return VirtualPhone(Linux(root)).benchmark(settings).run().toJson()
    }

    @Test
    fun `the committed profile is what a benchmark gives`() {
        val now = stated(made())
        val committed = Json.parseToJsonElement(resource("phone-profile.json").readText())
        if (now != committed) {
            val kept = File(ROOT, "android-demo/build/phone-profile.json")
            checkNotNull(kept.parentFile).mkdirs()
            kept.writeText("$now\n")
            fail("$kept is what it gives now: put it into src/test/resources if that is right")
        }
    }

    @Test
    fun `when it was made is a time with its zone`() {
        val date = made().getValue("date").toString()
        assertTrue(date, Regex("\"\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(Z|[+-]\\d\\d:\\d\\d)\"").matches(date))
    }

    /** With a stated date and number of processors, which are this machine's; as it is read again. */
    private fun stated(profile: JsonObject): JsonElement {
        val device = JsonObject(profile.getValue("device").jsonObject + json("cores" to 9))
        val whole = JsonObject(profile + json("date" to "2026-11-22T12:00:00Z", "device" to device))
        return Json.parseToJsonElement(whole.toString())
    }
}
