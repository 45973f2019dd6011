package dev.edgekit.profile

import java.io.File
import java.io.IOException
import kotlinx.serialization.json.JsonObject

/** What the kernel tells an app; that differs by phone and by Android's version. What may not be read is null. */
class Linux(private val root: File = File("/")) {
    /** The phone with the keys of Python's Device. */
    fun device(phone: Phone): JsonObject {
        val machine = MACHINES[phone.abi] ?: phone.abi
        val told = fields("proc/cpuinfo").let { it["flags"] ?: it["Features"] }?.split(' ')?.toSet()
        val cores = Runtime.getRuntime().availableProcessors()
        return json(
            "system" to "Android ${phone.version} (API ${phone.sdk}) $machine",
            "processor" to listOfNotNull("${phone.manufacturer} ${phone.model}", phone.soc).joinToString(", "),
            "features" to if (told == null) emptyMap() else FEATURES[machine].orEmpty().associateWith { it in told },
            "cores" to cores,
            "usable_cores" to (affinity().size.takeIf { it > 0 } ?: cores),
            "memory_mib" to mib("proc/meminfo", "MemTotal")?.toInt(),
            "available_mib" to mib("proc/meminfo", "MemAvailable")?.toInt(),
        )
    }

    /** Resident memory of this process with the keys of Python's Memory. */
    fun memory(): JsonObject = json(
        "rss_anon" to mib(STATUS, "RssAnon"),
        "rss_file" to mib(STATUS, "RssFile"),
        "peak_rss" to mib(STATUS, "VmHWM"),
        "before_anon" to null,
    )

    /** The state now with the keys of Python's Conditions. The battery's temperature is not the processor's. */
    fun conditions(thermal: ThermalSample?): JsonObject {
        val affinity = affinity()
        val folders = affinity.map { "sys/devices/system/cpu/cpu$it/cpufreq" }
        val governors = folders.mapNotNull { text("$it/scaling_governor") }.toSortedSet()
        val megahertz = folders.mapNotNull { text("$it/scaling_cur_freq")?.toLongOrNull() }.map { it / 1000.0 }
        return json(
            "governor" to governors.joinToString(", ").ifEmpty { null },
            "frequency_mhz" to if (megahertz.isEmpty()) null else megahertz.average(),
            "load_average" to text("proc/loadavg")?.substringBefore(' ')?.toDoubleOrNull(),
            "temperature_c" to null,
            "throttled" to thermal?.status?.let { it >= SEVERE },
            "affinity" to affinity,
        )
    }

    private fun mib(file: String, key: String): Double? =
        fields(file)[key]?.substringBefore(' ')?.toLongOrNull()?.let { it / 1024.0 }

    /** Numbers of the processors that this process may use. */
    private fun affinity(): List<Int> = fields(STATUS)["Cpus_allowed_list"].orEmpty().split(',').flatMap { part ->
        val ends = part.split('-').mapNotNull { it.trim().toIntOrNull() }
        if (ends.isEmpty()) emptyList() else ends.first()..ends.last()
    }

    private fun fields(file: String): Map<String, String> {
        val found = LinkedHashMap<String, String>()
        for (line in text(file).orEmpty().lines()) {
            val key = line.substringBefore(':').trim()
            if (':' in line && key !in found) found[key] = line.substringAfter(':').trim()
        }
        return found
    }

    private fun text(path: String): String? = try {
        File(root, path).readText().trim().ifEmpty { null }
    } catch (_: IOException) { // not of this phone, or not for apps
        null
    }

    private companion object {
        const val STATUS = "proc/self/status"
        val MACHINES = mapOf("arm64-v8a" to "aarch64", "x86_64" to "x86_64", "armeabi-v7a" to "armv7l", "x86" to "i686")

        /** Instruction sets that int8 kernels make use of, as /proc/cpuinfo spells them. */
        val FEATURES = mapOf(
            "x86_64" to listOf("avx2", "avx_vnni", "avx512_vnni", "amx_int8"),
            "aarch64" to listOf("asimddp", "i8mm", "sve"),
        )
    }
}

/** `PowerManager.THERMAL_STATUS_SEVERE`: "severe throttling where UX is largely impacted". */
const val SEVERE = 3
