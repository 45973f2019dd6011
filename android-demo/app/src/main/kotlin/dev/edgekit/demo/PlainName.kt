package dev.edgekit.demo

import dev.edgekit.FileException
import java.io.File
import java.io.IOException

/** File names that other apps or adb may give: never a path, so that nothing outside a folder can be reached. */
object PlainName {
    private val ALLOWED = Regex("[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")

    /**
     * The file [name] directly in [folder], whether it exists or not.
     *
     * @throws FileException if [name] is a path, a URI or hidden, or if the file is a link that leads elsewhere.
     */
    fun of(name: String, folder: File): File {
        if (!ALLOWED.matches(name)) {
            throw FileException(
                "\"${name.take(80)}\" is no plain file name: give one of letters, digits, . _ and -, without a folder"
            )
        }
        val file = File(folder, name)
        try {
            // The app's own folder may itself be reached by a link (/data/user/0), so only what lies below it counts.
            if (file.canonicalFile != File(folder.canonicalFile, name)) {
                throw FileException("$name is a symbolic link: put the file itself there")
            }
        } catch (error: IOException) {
            throw FileException("$name cannot be looked up (${error.message}): name another file", error)
        }
        return file
    }

    /** As [of], and it must be a file that can be read. */
    fun existing(name: String, folder: File): File {
        val file = of(name, folder)
        if (!file.isFile) throw FileException("$name is not in the folder ${folder.name}: copy it there first")
        if (!file.canRead()) {
            throw FileException("$name cannot be read by this app: copy it there as the app's own file")
        }
        return file
    }
}
