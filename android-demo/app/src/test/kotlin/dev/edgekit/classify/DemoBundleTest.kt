package dev.edgekit.classify

import dev.edgekit.bundle.TestFiles
import java.io.File
import org.junit.Assert.assertEquals
import org.junit.Assume.assumeTrue
import org.junit.Test

/** The bundle that `make apk` puts into the app. */
class DemoBundleTest {
    private val bundle = File(TestFiles.root, "android-demo/build/assets/demo.edgekit")

    /** Loading has its golden texts answered, too. */
    @Test
    fun eachOfItsProgramsAnswersOnItsEngine() {
        assumeTrue("make apk, or scripts/apk bundle, makes $bundle", bundle.exists())
        for (engine in listOf("litert", "executorch")) {
            load(bundle, TestFiles.folder(), engine).use { classifier ->
                assertEquals(engine, classifier.engineNames)
                val (good, bad) = listOf("a wonderful, moving film", "dull, lifeless and far too long")
                    .map { classifier.classify(it).label }
                assertEquals("positive", good)
                assertEquals("negative", bad)
            }
        }
    }
}
