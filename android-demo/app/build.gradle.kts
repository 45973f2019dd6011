// Android Studio's build. `make apk` builds the same sources without Gradle (scripts/apk); tests/test_apk.py holds the two equal.

import org.jetbrains.kotlin.gradle.dsl.JvmTarget

plugins {
    alias(libs.plugins.android.application)
    alias(libs.plugins.kotlin.android)
}

val checkout = rootDir.parentFile
val edgekitVersion = Regex("""__version__ = "(.+)"""")
    .find(checkout.resolve("runtime/edgekit_runtime/__init__.py").readText())!!.groupValues[1]

android {
    namespace = "dev.edgekit.demo"
    compileSdk = libs.versions.compileSdk.get().toInt()

    defaultConfig {
        applicationId = "dev.edgekit.demo"
        minSdk = libs.versions.minSdk.get().toInt()
        targetSdk = libs.versions.targetSdk.get().toInt()
        versionCode = 1
        versionName = edgekitVersion
        ndk { abiFilters += listOf("arm64-v8a", "x86_64") }
    }

    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_1_8
        targetCompatibility = JavaVersion.VERSION_1_8
    }

    // Bundles are mapped straight from the APK, so they are stored. The native libraries are compressed in it: 60 MB if not.
    androidResources { noCompress += "edgekit" }
    packaging { jniLibs { useLegacyPackaging = true } }

    // What `python scripts/apk bundle` makes, if it was run, and which engines this build has.
    sourceSets["main"].assets.srcDirs("../build/assets", "build/engines")

    testOptions {
        unitTests {
            isReturnDefaultValues = true
            all { it.systemProperty("edgekit.root", checkout.path) }
        }
    }
}

kotlin {
    compilerOptions { jvmTarget = JvmTarget.JVM_1_8 }
}

dependencies {
    implementation(libs.kotlinx.serialization.json)
    implementation(libs.tink.android)
    implementation(libs.litert)
    implementation(libs.executorch.android)
    implementation(libs.fbjni)
    implementation(libs.nativeloader)
    testImplementation(libs.junit)
    testImplementation(libs.tensorflow.lite.desktop)
    testImplementation(variantOf(libs.tensorflow.lite.desktop) { classifier("linux-x86_64") })
    testImplementation(variantOf(libs.javacpp) { classifier("linux-x86_64") })
}

val writeEngines by tasks.registering {
    val file = layout.projectDirectory.file("build/engines/engines.json").asFile
    val text = """{"litert": "litert ${libs.versions.litert.get()}", "executorch": "executorch-android ${libs.versions.executorch.get()}"}"""
    inputs.property("engines", text)
    outputs.file(file)
    doLast { file.writeText(text) }
}
tasks.named("preBuild") { dependsOn(writeEngines) }
