"""A vocab.txt gives the ids of transformers' BertTokenizer, a tokenizer.json its own; both must fit the embedding table."""

from __future__ import annotations

import json

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertTokenizer

from conftest import PIECES
from edgekit_converters.tokenizer.reading import LIST_NAMES, check_fits, find_tokenizer, read_tokenizer
from edgekit_runtime.errors import FileError, TokenizerError
from edgekit_runtime.text import load_tokenizer

UNCASED = (*PIECES, "cafe", "##afe", "\u2028", "naive", "9", "##9", "(", ")", "👍", "-", "'", "一")
CASED = (*UNCASED, "The", "Film", "A", "##B", "É", "café", "Ä")

TEXTS = [
    "",
    " ",
    "the film was good.",
    "The FILM was Good!",
    "what a wonderful, really wonderful film - it was great in the end!",
    "这个电影很好。 房间很差，not good",
    "Café naïve façade Ärger É",
    "👍 good 👍👍 🧑‍🚀",
    "a\tb\nc\r\nd\x00e\x07f\u200bg\ufeffh\x7f",
    "one\u2028two \u2028 three\u2029four\x85five",
    "don't (do) it... ok?!",
    "[CLS] the [MASK] was [SEP] good [PAD] [UNK] [mask]",
    "٣ три ３ 99 ½ ﬁ ｆｉｌｍ",
    "한국어 ไทย हिन्दी עברית",
    "x" * 101 + " " + "y" * 100,
    "supercalifragilistic " * 9,
    "\ufffd good",
]


def ids(tokenizer, text):
    return load_tokenizer(tokenizer.json).encode(text).ids


def write(folder, pieces, end="\n"):
    path = folder / "vocab.txt"
    path.write_bytes((end.join(pieces) + end).encode())
    return path


def expected(pieces, text, **settings):
    """By the dictionary, since transformers' own reader of vocab.txt may split lines otherwise."""
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    return BertTokenizer(vocab=vocabulary, **settings)(text)["input_ids"]


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: ascii(text)[:30])
@pytest.mark.parametrize(("pieces", "lower"), [(UNCASED, True), (CASED, False)], ids=["uncased", "cased"])
def test_a_vocab_txt_gives_the_ids_of_transformers(tmp_path, pieces, lower, text):
    tokenizer = read_tokenizer(write(tmp_path, pieces), lambda message: None)
    assert tokenizer.lower_case is lower
    assert ids(tokenizer, text) == expected(pieces, text, do_lower_case=lower)


def test_the_texts_tell_cased_from_uncased(tmp_path):
    assert expected(CASED, "The FILM", do_lower_case=True) != expected(CASED, "The FILM", do_lower_case=False)


@pytest.mark.parametrize(
    "settings",
    [
        {"do_lower_case": True},
        {"do_lower_case": False},
        {"do_lower_case": True, "strip_accents": False},
        {"do_lower_case": False, "strip_accents": True},
        {"do_lower_case": True, "tokenize_chinese_chars": False},
    ],
    ids=str,
)
def test_switches_come_from_the_tokenizer_config_beside_it(tmp_path, settings):
    path = write(tmp_path, CASED)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 512, **settings}))
    said: list[str] = []
    tokenizer = read_tokenizer(path, said.append)
    assert tokenizer.lower_case is settings["do_lower_case"]
    assert not said
    for text in TEXTS:
        assert ids(tokenizer, text) == expected(CASED, text, **settings)


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"do_lower_case": null}', b'{"do_lower_case": "no"}'])
def test_without_a_word_on_case_the_pieces_decide_said_aloud(tmp_path, content):
    path = write(tmp_path, UNCASED)
    (tmp_path / "tokenizer_config.json").write_bytes(content)
    said: list[str] = []
    assert read_tokenizer(path, said.append).lower_case is True
    assert said == ["vocab.txt is taken for uncased, judging by its pieces"]


def test_what_a_vocab_txt_is_known_by(tmp_path):
    found = read_tokenizer(write(tmp_path, UNCASED), lambda message: None)
    assert (found.kind, found.size) == ("wordpiece", len(UNCASED))
    assert found.special_ids == {"pad": 0, "unk": 1, "cls": 2, "sep": 3}


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "BOM"])
def test_line_ends_and_byte_order_marks_shift_no_id(tmp_path, end, mark):
    path = write(tmp_path, UNCASED, end)
    path.write_bytes(mark + path.read_bytes() + b"\n\n")
    found = read_tokenizer(path, lambda message: None)
    assert found.size == len(UNCASED)
    assert ids(found, "电影 good") == expected(UNCASED, "电影 good")


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c"], ids=ascii)
def test_a_piece_that_is_a_line_separator_shifts_no_id(tmp_path, separator):
    pieces = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", f"a{separator}b", separator, "good")
    found = read_tokenizer(write(tmp_path, pieces), lambda message: None)
    assert ids(found, "good") == [2, 6, 3]


def test_a_vocabulary_without_cls_gets_none(tmp_path):
    found = read_tokenizer(write(tmp_path, ("[PAD]", "[UNK]", "good", "##s")), lambda message: None)
    assert ids(found, "goods bad") == [2, 3, 1]
    assert found.special_ids == {"pad": 0, "unk": 1}


def test_the_content_decides_and_not_the_name(tmp_path):
    (tmp_path / "words").write_bytes(read_tokenizer(write(tmp_path, UNCASED), print).json)
    found = read_tokenizer(tmp_path / "words", lambda message: None)
    assert ids(found, "good") == expected(UNCASED, "good")


# tokenizer.json


def test_a_tokenizer_json_keeps_its_own_ways(tmp_path):
    """It lowers no case and adds its special tokens at one end only, which BERT's tokenizer would not."""
    words = Tokenizer(models.WordLevel({"<unk>": 5, "good": 1, "Good": 2, "<pad>": 7, "<s>": 9}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words.save(str(tmp_path / "tokenizer.json"))
    said: list[str] = []
    found = read_tokenizer(tmp_path / "tokenizer.json", said.append)
    assert ids(found, "good Good bad") == [1, 2, 5]
    assert (found.kind, found.lower_case, found.size) == ("wordlevel", False, 10)
    assert found.special_ids == {"pad": 7, "unk": 5}
    assert not said


def test_a_tokenizer_json_of_transformers_gives_its_ids(tmp_path):
    theirs = BertTokenizer(vocab={piece: index for index, piece in enumerate(UNCASED)})
    theirs.save_pretrained(tmp_path)
    found = read_tokenizer(tmp_path / "tokenizer.json", lambda message: None)
    for text in TEXTS:
        assert ids(found, text) == theirs(text)["input_ids"]


def wordpiece(pieces, **settings):
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def test_a_missing_post_processor_gets_cls_and_sep_said_aloud(tmp_path):
    wordpiece(PIECES).save(str(tmp_path / "tokenizer.json"))
    said: list[str] = []
    found = read_tokenizer(tmp_path / "tokenizer.json", said.append)
    assert ids(found, "good") == [2, PIECES.index("good"), 3]
    assert [message for message in said if "adds no [CLS] and [SEP]; they are added" in message] == said


def test_a_missing_padding_token_is_id_0_said_aloud(tmp_path):
    wordpiece(("good", "[UNK]")).save(str(tmp_path / "tokenizer.json"))
    said: list[str] = []
    assert read_tokenizer(tmp_path / "tokenizer.json", said.append).special_ids["pad"] == 0
    assert any("no padding token; id 0" in message for message in said)


def test_padding_and_truncation_of_the_file_are_set_aside(tmp_path):
    tokenizer = wordpiece(PIECES)
    tokenizer.enable_truncation(3)
    tokenizer.enable_padding(length=20)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    found = read_tokenizer(tmp_path / "tokenizer.json", lambda message: None)
    assert len(ids(found, "the film was good")) == 6


# What is refused


@pytest.mark.parametrize("model", [models.BPE({"a": 0}, []), models.Unigram([("a", -1.0)])], ids=["BPE", "Unigram"])
def test_a_tokenizer_of_another_kind_is_refused(tmp_path, model):
    Tokenizer(model).save(str(tmp_path / "tokenizer.json"))
    name = type(model).__name__
    with pytest.raises(TokenizerError, match=f"is a {name} tokenizer; supported are WordPiece, WordLevel"):
        read_tokenizer(tmp_path / "tokenizer.json", print)


@pytest.mark.parametrize("content", [b'{"model": {}}', b'{"version": "1.0", "model": {"type": "Unheard"}}'])
def test_a_broken_tokenizer_json_is_refused(tmp_path, content):
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(TokenizerError, match=r"tokenizer\.json cannot be read"):
        read_tokenizer(tmp_path / "tokenizer.json", print)


def test_a_vocabulary_that_names_pieces_twice_is_refused(tmp_path):
    with pytest.raises(TokenizerError, match="names 2 pieces twice"):
        read_tokenizer(write(tmp_path, (*PIECES, "good", "bad")), print)


def test_a_vocabulary_that_is_not_utf_8_is_refused(tmp_path):
    (tmp_path / "vocab.txt").write_bytes("[UNK]\n很".encode("gb18030"))
    with pytest.raises(TokenizerError, match="is no tokenizer in UTF-8"):
        read_tokenizer(tmp_path / "vocab.txt", print)


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(FileError, match="cannot read the tokenizer"):
        read_tokenizer(tmp_path, print)


def test_a_word_level_tokenizer_that_cannot_encode_unknown_words_is_refused(tmp_path):
    words = Tokenizer(models.WordLevel({"good": 0}, unk_token="[UNK]"))
    words.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(TokenizerError, match="cannot encode unknown words"):
        read_tokenizer(tmp_path / "tokenizer.json", print)


# Where it is looked for


def lay(folder, **files):
    """Files by name, __ standing for the dot."""
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(content, encoding="utf-8")
    return folder


@pytest.mark.parametrize("name", ["tokenizer.json", "vocab.txt", *LIST_NAMES])
def test_every_usual_name_is_found(tmp_path, name):
    (tmp_path / name).write_text("anything")
    assert find_tokenizer(None, tmp_path) == tmp_path / name
    assert find_tokenizer(tmp_path, tmp_path / "elsewhere") == tmp_path / name


def test_a_given_file_goes_before_what_lies_there(tmp_path):
    lay(tmp_path, words__txt="a", vocab__txt="b")
    assert find_tokenizer(tmp_path / "words.txt", tmp_path) == tmp_path / "words.txt"


def test_of_the_two_forms_of_a_hugging_face_vocabulary_the_first_is_taken(tmp_path):
    lay(tmp_path, vocab__txt="a", tokenizer__json="b")
    assert find_tokenizer(None, tmp_path).name == "tokenizer.json"


@pytest.mark.parametrize("other", ["tokenizer__json", "vocab__txt", "word_index__json"])
def test_several_that_differ_are_refused_by_name(tmp_path, other):
    lay(tmp_path, words__txt="a", **{other: "b"})
    with pytest.raises(
        TokenizerError, match=r"several tokenizers that differ \(.*words\.txt.*\): give the one .* --tokenizer"
    ):
        find_tokenizer(None, tmp_path)
    lay(tmp_path, words__txt="b")
    assert find_tokenizer(None, tmp_path).name == (
        "words.txt" if other.startswith("word_") else other.replace("__", ".")
    )


def test_nothing_that_is_known_as_a_tokenizer(tmp_path):
    lay(tmp_path, readme__txt="a")
    with pytest.raises(
        TokenizerError, match=r"no tokenizer\.json or vocab\.txt lies in .*, and no word list .* --tokenizer PATH"
    ):
        find_tokenizer(None, tmp_path)
    with pytest.raises(FileError, match="there is no tokenizer"):
        find_tokenizer(tmp_path / "vocab.txt", tmp_path)


# Against the embedding table


def read(folder, name, content):
    (folder / name).write_text(content, encoding="utf-8")
    return read_tokenizer(folder / name, lambda message: None)


def fits(tokenizer, rows):
    said: list[str] = []
    check_fits(tokenizer, rows, "it", said.append)
    return said


def test_a_vocabulary_fits_a_table_of_its_size_or_one_rounded_up(tmp_path):
    wordpiece_of_69 = read_tokenizer(write(tmp_path, PIECES[:69]), lambda message: None)
    assert fits(wordpiece_of_69, 69) == []
    assert "3 rows more than it has pieces; they are taken for padding" in fits(wordpiece_of_69, 72)[0]
    for rows in (68, 70, 71, 69 + 128 + 3, 1000):
        with pytest.raises(TokenizerError, match=f"has 69 pieces and the model's embedding table {rows} rows"):
            fits(wordpiece_of_69, rows)


@pytest.mark.parametrize(
    ("pieces", "rows", "missing"),
    [
        ("good bad ok a b c", 7, "<pad> and <unk>"),
        ("good bad ok a b c", 8, "<pad> and <unk>"),
        ("[PAD] good bad ok a b c", 8, "<unk>"),
        ("<unk> good bad ok a b c", 9, "<pad>"),
    ],
)
def test_rows_that_training_kept_for_padding_and_unknown_words_are_not_guessed(tmp_path, pieces, rows, missing):
    words = read(tmp_path, "words.txt", pieces.replace(" ", "\n"))
    with pytest.raises(
        TokenizerError, match=f"put {missing} into the list where their ids are, 0 being the first line"
    ):
        fits(words, rows)


def test_the_piece_for_dropped_words_needs_no_row(tmp_path):
    words = read(tmp_path, "words.txt", "<pad>\ngood\nbad")
    assert (words.size, words.dropped) == (3, 3)
    assert fits(words, 3) == []


def test_ids_from_1_may_leave_rows_of_the_table_unused(tmp_path):
    words = read(tmp_path, "word_index.json", '{"good": 1, "bad": 2}')
    assert fits(words, 3) == []
    assert fits(words, 1000) == ["the embedding table has 997 rows more than it has ids; no text will use them"]
    with pytest.raises(TokenizerError, match="for Keras with num_words give what"):
        fits(words, 2)


def test_tokens_added_after_training_are_named(tmp_path):
    tokenizer = wordpiece(PIECES)
    tokenizer.add_tokens(["<url>", "<user>"])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    found = read_tokenizer(tmp_path / "tokenizer.json", lambda message: None)
    assert fits(found, len(PIECES) + 2) == []
    with pytest.raises(TokenizerError, match=r"past the .* table \(<user>\): take them out of its added_tokens"):
        fits(found, len(PIECES) + 1)
    with pytest.raises(TokenizerError, match=rf"past the {len(PIECES)} rows of .* \(<url>, <user>\)"):
        fits(found, len(PIECES))
    with pytest.raises(TokenizerError, match="not the tokenizer that the model was trained with"):
        fits(found, len(PIECES) - 1)
