package dev.edgekit.energy

import dev.edgekit.profile.PowerSample
import dev.edgekit.profile.RailReading
import dev.edgekit.profile.ThermalSample
import dev.edgekit.profile.resource
import java.util.Locale

/** Reads a trace of resources/traces; make.py there says how it was made. */
fun traceOf(name: String): Trace {
    val rows = resource("traces/$name.csv").readLines().filterNot { it.startsWith("#") }.map { it.split(',') }
    fun of(kind: String) = rows.filter { it[0] == kind }
    return Trace(
        of("power").map { row ->
            PowerSample(
                row[1].toLong(), row[2].toLong(), row[3].toLong(), row[4].toInt(), row[5].toInt(), row[6].toInt(),
                row.drop(7).map { it.split(':') }.map { (rail, measured, energy, time) ->
                    RailReading(rail, measured == "1", energy.toLong(), time.toLong())
                },
            )
        },
        of("phase").map { row ->
            Phase(Activity.valueOf(row[1].uppercase(Locale.ROOT)), row[2].toLong(), row[3].toLong(), row[4].toInt())
        },
        of("thermal").map { row -> ThermalSample(row[1].toLong(), row[2].toInt(), row[3].toFloat()) },
    )
}

/** The same trace with other readings. */
fun Trace.with(change: (PowerSample) -> PowerSample) = Trace(samples.map(change), phases, thermal)
