package dev.edgekit.text

/**
 * How text becomes ids, as the manifest has it (docs/bundle.md).
 *
 * @property kind `wordpiece`, `wordlevel` or `char`.
 * @property lowerCase Whether the tokenizer lowers case.
 * @property maxLength Longest input in tokens, special tokens included; longer texts are cut.
 * @property buckets Padded lengths in tokens, ascending; the last one is [maxLength].
 * @property specialIds Ids of `pad`, `unk`, `cls` and `sep`, those that the tokenizer has.
 * @property clean Names of the cleaning steps that run before the tokenizer, in order.
 * @property stopWords The words that the step `stop-words` drops; empty without that step.
 * @property minLength Shorter texts are padded to this length, and that padding counts as text (a CNN's widest kernel).
 * @property dropped Id that the tokenizer gives to unknown words and that is taken out again; null if they count.
 * @property tokenizer The bundle's entry with the tokenizer.json.
 * @property vocabSize Rows of the program's word table, so that every id lies below it; null if the bundle does not tell.
 */
data class TextSpec(
    val kind: String,
    val lowerCase: Boolean,
    val maxLength: Int,
    val buckets: List<Int>,
    val specialIds: Map<String, Int>,
    val clean: List<String>,
    val stopWords: List<String>,
    val minLength: Int,
    val dropped: Int?,
    val tokenizer: String,
    val vocabSize: Int? = null,
)
