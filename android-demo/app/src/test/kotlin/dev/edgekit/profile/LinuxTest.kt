package dev.edgekit.profile

import java.io.File
import java.nio.file.Files
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.jsonPrimitive
import org.junit.After
import org.junit.Assert.assertEquals
import org.junit.Test

class LinuxTest {
    private val root: File = Files.createTempDirectory("edgekit-linux").toFile()
    private val linux = Linux(root)

    @After
    fun clean() {
        root.deleteRecursively()
    }

    private fun put(path: String, text: String) = File(root, path).run {
        checkNotNull(parentFile).mkdirs()
        writeText(text)
    }

    @Test
    fun `what the kernel tells`() {
        put("proc/cpuinfo", "processor\t: 0\nFeatures\t: fp asimd asimddp i8mm\nprocessor\t: 1\nFeatures\t: fp\n")
        put("proc/self/status", "Name:\tedgekit\nRssAnon:\t   20480 kB\nCpus_allowed:\t0d\nCpus_allowed_list:\t0,2-3\n")
        put("proc/loadavg", "1.25 0.9 0.7 2/900 4242\n")
        val processors = listOf(Triple(0, "sched_pixel", 1_000_000), Triple(3, "powersave", 2_000_000))
        for ((cpu, governor, kilohertz) in processors) {
            put("sys/devices/system/cpu/cpu$cpu/cpufreq/scaling_governor", "$governor\n")
            put("sys/devices/system/cpu/cpu$cpu/cpufreq/scaling_cur_freq", "$kilohertz\n")
        }
        put("sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "not ours")
        put("proc/meminfo", "MemTotal:        7864320 kB\nMemAvailable:    3932160 kB\n")
        val device = linux.device(VirtualPhone.PHONE.copy(soc = null))
        assertEquals("Android 15 (API 35) aarch64", device.text("system"))
        assertEquals("Example Model One", device.text("processor"))
        assertEquals("""{"asimddp":true,"i8mm":true,"sve":false}""", device.getValue("features").toString())
        val told = listOf("usable_cores", "memory_mib", "available_mib").map { device.text(it) }
        assertEquals(listOf("3", "7680", "3840"), told)
        val memory = """{"rss_anon":20.0,"rss_file":null,"peak_rss":null,"before_anon":null}"""
        assertEquals(memory, linux.memory().toString())
        val expected = """{"governor":"powersave, sched_pixel","frequency_mhz":1500.0,"load_average":1.25,""" +
            """"temperature_c":null,"throttled":false,"affinity":[0,2,3]}"""
        assertEquals(expected, linux.conditions(ThermalSample(0, 2, null)).toString())
        assertEquals("true", linux.conditions(ThermalSample(0, 3, null)).text("throttled"))
    }

    private fun JsonObject.text(key: String) = getValue(key).jsonPrimitive.content

    @Test
    fun `what it does not tell is not invented`() {
        val device = linux.device(VirtualPhone.PHONE)
        assertEquals("{}", device.getValue("features").toString())
        assertEquals("null", device.text("memory_mib"))
        assertEquals(setOf("null"), linux.memory().values.map { it.toString() }.toSet())
        val untold = linux.conditions(ThermalSample(0, null, 0.5f))
        assertEquals(setOf("null", "[]"), untold.values.map { it.toString() }.toSet())
        assertEquals(untold, linux.conditions(null))
    }
}
