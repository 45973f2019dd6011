package dev.edgekit.profile

import dev.edgekit.energy.SOURCE
import dev.edgekit.energy.word
import kotlinx.serialization.json.JsonObject

/** What only a phone has: who made it, and all that battery, rails and heat said, as it was read. */
internal fun android(profile: Profile): JsonObject = profile.run {
    val trace = measured?.trace
    val samples = trace?.samples.orEmpty()
    json(
        "manufacturer" to phone.manufacturer,
        "model" to phone.model,
        "soc" to phone.soc,
        "version" to phone.version,
        "sdk" to phone.sdk,
        "abi" to phone.abi,
        "app" to phone.app,
        "settings" to settings.run {
            json(
                "seconds" to seconds,
                "runs" to runs,
                "warmup" to warmup,
                "energy" to energy?.run { json("windows" to windows, "window_s" to windowS) },
            )
        },
        "calibration" to measured?.judgement?.run {
            json(
                "source" to SOURCE,
                "unit" to calibration?.unit,
                "sign" to calibration?.let { "${word(it.sign)} while discharging" },
                "update_ms" to calibration?.updateMs,
                "step" to calibration?.step,
                "found" to calibration?.found,
                "reason" to uncalibrated,
            )
        },
        "phases" to trace?.phases.orEmpty().map {
            json(
                "activity" to it.activity.name.lowercase(),
                "begin_ms" to it.beginMs,
                "end_ms" to it.endMs,
                "inferences" to it.inferences,
            )
        },
        "power" to json(
            "columns" to listOf("elapsed_ms", "current_raw", "charge_raw", "voltage_mv", "plugged", "status"),
            "rows" to samples.map {
                listOf(it.elapsedMs, it.currentRaw, it.chargeRaw, it.voltageMv, it.plugged, it.status)
            },
        ),
        "rails" to samples.flatMap { it.rails }.groupBy { it.name to it.measured }.map { (rail, readings) ->
            json(
                "name" to rail.first,
                "measured" to rail.second,
                "columns" to listOf("timestamp_ms", "energy_uws"),
                "rows" to readings.map { listOf(it.timestampMs, it.energyUws) },
            )
        },
        "thermal" to thermal.map {
            json("elapsed_ms" to it.elapsedMs, "status" to it.status, "headroom" to it.headroom)
        },
    )
}
