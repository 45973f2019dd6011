"""A vocab.txt gives the ids of transformers' BertTokenizer; a tokenizer.json gives its own."""

from __future__ import annotations

import json

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertTokenizer

from conftest import PIECES
from edgekit_converters.tokenizer import read_tokenizer
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
    found = read_tokenizer(write(tmp_path, ("[PAD]", "[UNK]", "good")), lambda message: None)
    assert ids(found, "good bad") == [2, 1]
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


@pytest.mark.parametrize("content", [b"{", b"{}", b'{"model": 3}'])
def test_a_broken_tokenizer_json_is_refused(tmp_path, content):
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(TokenizerError, match=r"tokenizer\.json cannot be read"):
        read_tokenizer(tmp_path / "tokenizer.json", print)


@pytest.mark.parametrize("content", [b"", b"good\nbad\n", b"some other text", b"\n"])
def test_a_vocabulary_without_unk_is_refused(tmp_path, content):
    (tmp_path / "vocab.txt").write_bytes(content)
    with pytest.raises(TokenizerError, match=r"has no \[UNK\], so it is no WordPiece vocabulary"):
        read_tokenizer(tmp_path / "vocab.txt", print)


def test_a_vocabulary_that_names_pieces_twice_is_refused(tmp_path):
    with pytest.raises(TokenizerError, match="names 2 pieces twice"):
        read_tokenizer(write(tmp_path, (*PIECES, "good", "bad")), print)


def test_a_vocabulary_that_is_not_utf_8_is_refused(tmp_path):
    (tmp_path / "vocab.txt").write_bytes("[UNK]\n很".encode("gb18030"))
    with pytest.raises(TokenizerError, match=r"neither a tokenizer.json nor a vocab.txt in UTF-8"):
        read_tokenizer(tmp_path / "vocab.txt", print)


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(FileError, match="cannot read the tokenizer"):
        read_tokenizer(tmp_path, print)
