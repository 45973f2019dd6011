package dev.edgekit.demo

import dev.edgekit.bundle.TestFiles
import java.io.File
import javax.xml.parsers.DocumentBuilderFactory
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import org.w3c.dom.Element

class ResourcesTest {
    private val main = File(TestFiles.root, "android-demo/app/src/main")

    private fun elements(file: File): List<Element> {
        val nodes = DocumentBuilderFactory.newInstance().newDocumentBuilder().parse(file).getElementsByTagName("*")
        return (0 until nodes.length).map { nodes.item(it) as Element }
    }

    private fun layouts() = File(main, "res/layout").listFiles()!!.filter { it.extension == "xml" }

    @Test
    fun everyStringIsInBothLanguages() {
        val fixed = elements(File(main, "res/values/strings.xml")).filter { it.getAttribute("translatable") == "false" }
        val english = strings("values") - fixed.map { it.getAttribute("name") }.toSet()
        val chinese = strings("values-zh")
        assertEquals(english.keys, chinese.keys)
        val placeholder = Regex("""%(\d+\$[-.\d]*[a-z]|%)""")
        for ((name, text) in english) {
            val other = chinese.getValue(name)
            assertEquals(name, placeholder.findAll(text).map { it.value }.sorted().toList(), placeholder.findAll(other).map { it.value }.sorted().toList())
            assertEquals("$name has a stray %", 0, placeholder.replace(text, "").count { it == '%' })
            assertTrue("$name is empty", other.isNotBlank())
        }
    }

    @Test
    fun everyStringIsUsed() {
        val used = (main.walk().filter { it.extension == "kt" || (it.extension == "xml" && it.name != "strings.xml") })
            .joinToString("\n") { it.readText() }
        for (name in strings("values").keys) {
            assertTrue("$name is not used", Regex("""(R\.string\.|@string/)$name\b""").containsMatchIn(used))
        }
    }

    @Test
    fun layoutsHaveNoTextAndNoFixedHeights() {
        for (file in layouts()) {
            for (element in elements(file)) {
                for (name in listOf("text", "hint", "contentDescription", "prompt")) {
                    val text = element.getAttribute("android:$name")
                    assertTrue("$text in ${file.name}", text.isEmpty() || text.startsWith("@string/"))
                }
                // A screen's state goes through one transaction of a megabyte, with all that was pasted into it.
                if (element.tagName == "EditText") assertTrue(file.name, element.getAttribute("android:maxLength").toInt() <= 20_000)
                val height = element.getAttribute("android:layout_height")
                assertTrue("$height in ${file.name}", height in listOf("", "wrap_content", "match_parent"))
                if (element.tagName in listOf("Button", "EditText", "Spinner", "CheckBox")) {
                    assertEquals("${element.tagName} in ${file.name}", "48dp", element.getAttribute("android:minHeight"))
                }
                for (index in 0 until element.attributes.length) {
                    val attribute = element.attributes.item(index).nodeName
                    assertTrue("$attribute in ${file.name}: say Start or End", !Regex("(Left|Right)$").containsMatchIn(attribute))
                }
            }
        }
    }

    @Test
    fun screensWriteNoTextOfTheirOwn() {
        val shown = Regex("""(write|setText|string)\((R\.id\.\w+, )?"""")
        for (file in File(main, "kotlin/dev/edgekit/demo").listFiles()!!) {
            assertTrue(file.name, !shown.containsMatchIn(file.readText()))
        }
    }

    @Test
    fun everyWidgetThatAScreenUsesIsInItsLayout() {
        val shared = setOf("failure", "failure_message") // Screen.showFailure
        for (name in listOf("Classify", "Benchmark", "Headless")) {
            val code = File(main, "kotlin/dev/edgekit/demo/${name}Activity.kt").readText()
            val used = Regex("""R\.id\.(\w+)""").findAll(code).map { it.groupValues[1] }.toSet() +
                if ("showFailure" in code) shared else emptySet()
            assertTrue(name, used.isNotEmpty())
            val layouts = main.resolve("res").walk().filter { it.name == "${name.lowercase()}.xml" }.toList()
            assertTrue(name, layouts.isNotEmpty())
            for (layout in layouts) {
                val ids = elements(layout).map { it.getAttribute("android:id").removePrefix("@+id/") }.toSet()
                assertEquals("$layout", emptySet<String>(), used - ids)
            }
        }
    }

    @Test
    fun darkHasEveryColourOfLightButTheIcon() {
        fun names(folder: String) = elements(File(main, "res/$folder/colors.xml")).map { it.getAttribute("name") }.toSet() - ""
        assertEquals(names("values") - "icon", names("values-night"))
    }

    @Test
    fun onlyTheHeadlessEntryAndTheLauncherAreExported() {
        val exported = elements(File(main, "AndroidManifest.xml")).filter { it.getAttribute("android:exported") == "true" }
        assertEquals(
            mapOf("ClassifyActivity" to "", "HeadlessActivity" to "android.permission.DUMP"),
            exported.associate { it.getAttribute("android:name").substringAfterLast('.') to it.getAttribute("android:permission") },
        )
    }
}
