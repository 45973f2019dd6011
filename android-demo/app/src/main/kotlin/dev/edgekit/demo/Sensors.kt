package dev.edgekit.demo

import android.content.Context
import android.content.Intent
import android.content.IntentFilter
import android.os.BatteryManager
import android.os.Build
import android.os.PowerManager
import android.os.Process
import android.os.SystemClock
import dev.edgekit.profile.Clock
import dev.edgekit.profile.Phone
import dev.edgekit.profile.PowerGauge
import dev.edgekit.profile.PowerSample
import dev.edgekit.profile.RailReading
import dev.edgekit.profile.ThermalGauge
import dev.edgekit.profile.ThermalSample
import dev.edgekit.profile.ThreadClock

/** What a benchmark reads of the phone. */
class Sensors(val phone: Phone, val clock: Clock, val power: PowerGauge?, val thermal: ThermalGauge?) {
    companion object {
        /** Those of Android. */
        fun of(context: Context) = Sensors(
            phone(context),
            object : ThreadClock() {
                override fun nanos() = SystemClock.elapsedRealtimeNanos()
            },
            BatteryGauge(context),
            HeatGauge(context),
        )

        private fun phone(context: Context) = Phone(
            manufacturer = Build.MANUFACTURER,
            model = Build.MODEL,
            soc = if (Build.VERSION.SDK_INT >= 31) "${Build.SOC_MANUFACTURER} ${Build.SOC_MODEL}" else null,
            version = Build.VERSION.RELEASE,
            sdk = Build.VERSION.SDK_INT,
            abi = (if (Process.is64Bit()) Build.SUPPORTED_64_BIT_ABIS else Build.SUPPORTED_32_BIT_ABIS).first(),
            app = context.packageManager.getPackageInfo(context.packageName, 0).versionName ?: "unknown",
        )
    }
}

/** The battery, and the rails where the phone measures them. */
private class BatteryGauge(private val context: Context) : PowerGauge {
    private val battery = context.getSystemService(BatteryManager::class.java)

    /** Null where there are none. Android before 15 does not know the class that this names, so it is not loaded there. */
    private val rails: (() -> List<RailReading>)? by lazy {
        if (Build.VERSION.SDK_INT >= 35) RailGauge.of(context)?.let { it::read } else null
    }

    override fun sample(): PowerSample {
        // Nothing is registered: the last state comes back at once.
        val state = context.registerReceiver(null, IntentFilter(Intent.ACTION_BATTERY_CHANGED))
        return PowerSample(
            elapsedMs = SystemClock.elapsedRealtime(),
            currentRaw = property(BatteryManager.BATTERY_PROPERTY_CURRENT_NOW),
            chargeRaw = property(BatteryManager.BATTERY_PROPERTY_CHARGE_COUNTER),
            voltageMv = state?.told(BatteryManager.EXTRA_VOLTAGE),
            plugged = state?.told(BatteryManager.EXTRA_PLUGGED),
            status = state?.told(BatteryManager.EXTRA_STATUS),
            rails = rails?.invoke().orEmpty(),
        )
    }

    private fun property(id: Int): Long? = try {
        battery?.getLongProperty(id)
    } catch (_: RuntimeException) {
        null // some makers' battery services throw on what they do not know
    }

    private fun Intent.told(extra: String): Int? = getIntExtra(extra, -1).takeIf { it >= 0 }
}

private class HeatGauge(context: Context) : ThermalGauge {
    private val power = context.getSystemService(PowerManager::class.java)

    override fun sample() = ThermalSample(
        elapsedMs = SystemClock.elapsedRealtime(),
        status = if (Build.VERSION.SDK_INT >= 29) power?.currentThermalStatus else null,
        headroom = if (Build.VERSION.SDK_INT >= 30) power?.getThermalHeadroom(0)?.takeUnless { it.isNaN() } else null,
    )
}
