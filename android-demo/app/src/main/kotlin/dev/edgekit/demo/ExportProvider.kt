package dev.edgekit.demo

import android.content.ContentProvider
import android.content.ContentValues
import android.database.Cursor
import android.database.MatrixCursor
import android.net.Uri
import android.os.ParcelFileDescriptor
import android.provider.OpenableColumns
import dev.edgekit.FileException
import java.io.File
import java.io.FileNotFoundException

/** Lets another app read one exported profile that the user shares with it; nothing else, and nothing can be changed. */
class ExportProvider : ContentProvider() {
    override fun onCreate() = true

    override fun getType(uri: Uri) = "text/json"

    override fun openFile(uri: Uri, mode: String): ParcelFileDescriptor {
        if (mode != "r") throw SecurityException("exports can only be read")
        return ParcelFileDescriptor.open(file(uri), ParcelFileDescriptor.MODE_READ_ONLY)
    }

    override fun query(
        uri: Uri,
        projection: Array<String>?,
        selection: String?,
        selectionArgs: Array<String>?,
        sortOrder: String?,
    ): Cursor {
        val file = file(uri)
        val columns = (projection ?: arrayOf(OpenableColumns.DISPLAY_NAME, OpenableColumns.SIZE))
            .filter { it == OpenableColumns.DISPLAY_NAME || it == OpenableColumns.SIZE }
        val row = columns.map<String, Any> { if (it == OpenableColumns.SIZE) file.length() else file.name }
        return MatrixCursor(columns.toTypedArray(), 1).apply { addRow(row) }
    }

    override fun insert(uri: Uri, values: ContentValues?): Uri = throw readOnly()

    override fun update(uri: Uri, values: ContentValues?, selection: String?, selectionArgs: Array<String>?): Int =
        throw readOnly()

    override fun delete(uri: Uri, selection: String?, selectionArgs: Array<String>?): Int = throw readOnly()

    private fun readOnly() = UnsupportedOperationException("exports can only be read")

    private fun file(uri: Uri): File {
        val name = uri.pathSegments.singleOrNull() ?: throw FileNotFoundException("name one exported file")
        val folder = File(context?.filesDir ?: throw FileNotFoundException("the app has not started"), FOLDER)
        return try {
            PlainName.existing(name, folder)
        } catch (error: FileException) {
            throw FileNotFoundException(error.message)
        }
    }

    companion object {
        /** Folder of the exported files, below the app's own. */
        const val FOLDER = "export"

        fun uriOf(file: File): Uri =
            Uri.Builder().scheme("content").authority("dev.edgekit.demo.export").appendPath(file.name).build()
    }
}
