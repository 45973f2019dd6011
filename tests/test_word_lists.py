"""Word lists, Keras' tokenizers and characters give the ids of the code that such models are trained with."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edgekit_converters.checkpoint import ReadOptions, read_checkpoint, save_checkpoint
from edgekit_converters.pipeline import convert
from edgekit_converters.recipe import Recipe
from edgekit_converters.sample import sample_texts
from edgekit_converters.tokenizer import describe_tokenizer, read_tokenizer
from edgekit_converters.tokenizer.word_level import WHITE_SPACE
from edgekit_runtime import load, open_bundle
from edgekit_runtime.errors import TokenizerError
from edgekit_runtime.manifest import TextSpec
from edgekit_runtime.text import TextEncoder
from originals import answers, text_cnn

DEFAULT_FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'
ODD = [
    *("", " ", "\t\n", "don't", "'don't'", "well-made", "a\u00a0b\u3000c", "good\rfilm", "one\u2028two", "x" * 500),
    *(
        "👍👍 good",
        "这个电影很好。",
        "很 好",
        "Ünïcode Straße ÇA",
        "<unk> [UNK] <pad> <OOV>",
        "3.14 1,000 a_b",
        "...",
        "’s “it”",
    ),
]
TEXTS = [*sample_texts(), *ODD, *(text.upper() for text in sample_texts()[:40])]
# Python lowers Σ by its neighbours, tokenizers each character for itself; newer Unicode has capitals that Python does not know
characters = st.characters(exclude_categories=("Cs", "Cn"), exclude_characters="Σ")
mixed = st.lists(
    st.sampled_from(
        [
            *("the", "The", "film", "good", "GOOD", "don't", "well-made", "[UNK]", "<OOV>", "好", "电影", "it's"),
            *DEFAULT_FILTERS,
            *" \r\xa0'，。",
        ]
    )
)
any_text = st.text(characters, max_size=40) | mixed.map(" ".join) | mixed.map("".join)


def words_of(rule, **settings):
    """What the list would be if training had counted the words of the sample by a rule, the commonest first."""
    counts: dict[str, int] = {}
    for text in sample_texts():
        for word in rule(text, **settings):
            counts[word] = counts.get(word, 0) + 1
    return sorted(counts, key=lambda word: (-counts[word], word))


def by_spaces(text):
    return text.lower().split()


def by_keras(text, filters=DEFAULT_FILTERS, lower=True, split=" "):
    """As text_to_word_sequence of Keras: each filtered character becomes the separator."""
    text = text.lower() if lower else text
    return [word for word in "".join(split if letter in filters else letter for letter in text).split(split) if word]


def by_marks(text):
    return re.findall(r"[^\W_]+|[^\w\s]|_", text.lower())


def keras_ids(text, config):
    """As texts_to_sequences of Keras."""
    index, oov, limit = config["word_index"], config["oov_token"], config["num_words"]
    if config["char_level"]:
        words = list(text.lower() if config["lower"] else text)
    else:
        words = by_keras(text, config["filters"], config["lower"], config["split"])
    ids = []
    for word in words:
        number = index.get(word)
        if number is not None and not (limit and number >= limit):
            ids.append(number)
        elif oov is not None:
            ids.append(index[oov])
    return ids


def keras_json(word_index, **changes):
    """What tokenizer.to_json() of Keras returns, and its config as the rule above reads it."""
    config = {
        "num_words": None,
        "filters": DEFAULT_FILTERS,
        "lower": True,
        "split": " ",
        "char_level": False,
        "oov_token": None,
        "document_count": 3,
        **changes,
    }
    if config["oov_token"]:
        word_index = {config["oov_token"]: 1, **{word: number + 1 for word, number in word_index.items()}}
    stored = {"word_counts": "{}", "word_docs": "{}", "index_docs": "{}", "index_word": "{}"}
    stored["word_index"] = json.dumps(word_index)
    return json.dumps({"class_name": "Tokenizer", "config": config | stored}), config | {"word_index": word_index}


def index_from(words, first):
    return {word: number for number, word in enumerate(words, start=first)}


def read(path, text, said=None):
    path.write_text(text, encoding="utf-8", newline="")
    return read_tokenizer(path, (lambda message: None) if said is None else said.append)


def encoder_of(tokenizer, max_length=256):
    """The runtime's own encoder, with limits that cut nothing here but the longest."""
    return TextEncoder(
        tokenizer.json,
        TextSpec(
            tokenizer="tokenizer.json",
            kind=tokenizer.kind,
            lower_case=tokenizer.lower_case,
            max_length=max_length,
            buckets=(max_length,),
            special_ids=tokenizer.special_ids,
            dropped=tokenizer.dropped,
        ),
    )


def agree(tokenizer, rule):
    """Ids equal those of the rule on the texts and on generated ones, alone and in a batch, and cut at last."""
    encoder, short = encoder_of(tokenizer), encoder_of(tokenizer, 2)
    assert encoder.ids_of(TEXTS) == [rule(text)[:256] for text in TEXTS]
    assert any(len(rule(text)) > 2 for text in TEXTS)

    @given(any_text)
    def check(text):
        assert encoder.ids(text) == rule(text)[:256]
        assert short.ids(text) == rule(text)[:2]

    check()
    found = describe_tokenizer(tokenizer.json, lambda message: None, "again")
    assert found == tokenizer, "the tokenizer.json alone tells all, as edgekit's own checkpoint needs"


# Keras


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"oov_token": "<OOV>"},
        {"num_words": 60},
        {"num_words": 60, "oov_token": "<OOV>"},
        {"num_words": 1, "oov_token": "<OOV>"},
        {"lower": False},
        {"filters": ""},
        {"filters": "。，！.,!\n", "oov_token": "[UNK]"},
        {"split": ",", "filters": "."},
        {"char_level": True},
        {"char_level": True, "oov_token": "UNK", "num_words": 40, "lower": False},
    ],
    ids=str,
)
def test_ids_are_those_of_keras(tmp_path, settings):
    rule = {key: settings[key] for key in ("filters", "lower", "split") if key in settings}
    words = words_of(list) if settings.get("char_level") else words_of(by_keras, **rule)
    words = [word for word in words if not re.search("[\u4e00-\u9fff]{2}", word)]
    text, config = keras_json(index_from(words, 1), **settings)
    said: list[str] = []
    tokenizer = read(tmp_path / "tokenizer.json", text, said)
    agree(tokenizer, lambda text: keras_ids(text, config))
    assert tokenizer.kind == ("char" if settings.get("char_level") else "wordlevel")
    assert tokenizer.lower_case is config["lower"]
    assert tokenizer.special_ids["pad"] == 0
    assert (tokenizer.dropped is None) == ("oov_token" in settings)
    assert len(said) == 1 and "is Keras' Tokenizer: " in said[0]


def test_a_string_within_json_is_what_json_dump_makes_of_to_json(tmp_path):
    text, _ = keras_json({"good": 1}, num_words=9)
    assert read(tmp_path / "a.json", json.dumps(text)) == read(tmp_path / "b.json", text)


@pytest.mark.parametrize("oov", [None, "<OOV>"])
def test_a_word_index_alone_is_read_by_keras_defaults(tmp_path, oov):
    words = [word for word in words_of(by_keras) if not re.search("[\u4e00-\u9fff]{2}", word)]
    assert any("'" in word for word in [*words, "don't"])
    _, config = keras_json(index_from([*words, "don't", "'tis", "“quoted”"], 1), oov_token=oov)
    said: list[str] = []
    tokenizer = read(tmp_path / "word_index.json", json.dumps(config["word_index"]), said)
    agree(tokenizer, lambda text: keras_ids(text, config))
    assert tokenizer.size == 1 + len(config["word_index"])
    assert len(said) == 1 and "word_index of Keras" in said[0] and "punctuation is dropped" in said[0]


def test_a_word_index_of_characters(tmp_path):
    _, config = keras_json(index_from(words_of(list), 1), char_level=True, lower=False)
    agree(read(tmp_path / "vocab.json", json.dumps(config["word_index"])), lambda text: keras_ids(text, config))


# Lists


@pytest.mark.parametrize("form", ["txt", "CRLF", "json"])
@pytest.mark.parametrize("unknown", ["<unk>", "[UNK]", None])
def test_a_list_with_punctuation_in_its_words_is_split_at_spaces(tmp_path, form, unknown):
    words = [word for word in words_of(by_spaces) if not re.search("[\u4e00-\u9fff]{2}", word)]
    lines = ["<pad>", *([unknown] if unknown else []), *words]
    said: list[str] = []
    tokenizer = read(tmp_path / "words", in_form(lines, form), said)
    table = index_from(lines, 0)
    agree(tokenizer, lambda text: looked_up(by_spaces(text), table, unknown))
    assert "white space alone parts words" in said[0]
    assert tokenizer.special_ids == {"pad": 0, **({"unk": 1} if unknown else {})}
    assert tokenizer.size == len(lines)


@pytest.mark.parametrize("unknown", ["<unk>", None])
def test_a_list_with_punctuation_marks_of_their_own_has_them_as_pieces(tmp_path, unknown):
    pieces = [piece for piece in words_of(by_marks) if not re.search("[\u4e00-\u9fff]", piece)]
    lines = ["[PAD]", *([unknown] if unknown else []), *pieces]
    said: list[str] = []
    encoder = encoder_of(read(tmp_path / "words.txt", "\n".join(lines), said))
    table = index_from(lines, 0)
    plain = [text for text in TEXTS if text.isascii() and "_" not in text and "'" not in text]
    assert len(plain) > 150
    for text in plain:
        assert encoder.ids(text) == looked_up(by_marks(text), table, unknown)[:256]
    assert "each punctuation mark counts as a word" in said[0]


def test_marks_within_words_stay_there_and_others_do_not(tmp_path):
    """Such lists come from patterns like [a-z]+(?:['-][a-z]+)*|[^ a-z]."""
    lines = ["<pad>", "<unk>", "don't", "well-made", ".", "'", "good", "好", "👍"]
    encoder = encoder_of(read(tmp_path / "words.txt", "\n".join(lines)))
    assert encoder.ids("Don't! 'good' well-made.") == [2, 1, 5, 6, 5, 3, 4]
    assert encoder.ids("-good good-") == [1, 6, 6, 1]
    assert encoder.ids("好好good👍👍") == [7, 7, 6, 8, 8]
    dropping = encoder_of(read(tmp_path / "words.txt", "\n".join(["<pad>", "<unk>", "don't", "well-made", "good"])))
    assert dropping.ids("Don't! 'good' well-made. -good") == [2, 4, 3, 4]


def test_a_list_without_punctuation_drops_it(tmp_path):
    words = [word for word in words_of(by_keras) if word.isascii() and "'" not in word]
    lines = ["<pad>", "<unk>", *words]
    said: list[str] = []
    encoder = encoder_of(read(tmp_path / "words.txt", "\n".join(lines), said))
    table = index_from(lines, 0)
    for text in (text for text in TEXTS if text.isascii() and not re.search("['\r]", text)):
        assert encoder.ids(text) == looked_up(by_keras(text), table, "<unk>")[:256]
    assert "punctuation is dropped; unknown ones become <unk>" in said[0]


@pytest.mark.parametrize(
    ("pieces", "lower"),
    [
        (("good", "Film"), False),
        (("good", "film"), True),
        (("good", "Ä"), False),
        ((*(f"word{n}" for n in range(99)), "NUM"), True),
    ],
)
def test_case_is_judged_by_the_pieces(tmp_path, pieces, lower):
    said: list[str] = []
    tokenizer = read(tmp_path / "words.txt", "\n".join(["<PAD>", "<UNK>", *pieces]), said)
    assert tokenizer.lower_case is lower
    assert ("lower case" if lower else "case kept") in said[0]
    assert encoder_of(tokenizer).ids(pieces[0].upper()) == ([2] if lower else [1])


@pytest.mark.parametrize("form", ["txt", "CRLF", "json"])
@pytest.mark.parametrize("unknown", ["[UNK]", None])
@pytest.mark.parametrize("space", [False, True], ids=["no space", "space"])
def test_characters(tmp_path, form, unknown, space):
    letters = [letter for letter in words_of(lambda text: list(text.lower())) if letter != " "]
    lines = ["[PAD]", *([unknown] if unknown else []), *([" "] if space else []), *letters]
    said: list[str] = []
    tokenizer = read(tmp_path / "chars", in_form(lines, form), said)
    table = index_from(lines, 0)
    agree(
        tokenizer,
        lambda text: looked_up([c for c in text.lower() if space or not c.isspace()], table, unknown),
    )
    assert tokenizer.kind == "char"
    assert ("spaces too" if space else "so spaces are dropped") in said[0]


def test_white_space_is_that_of_python():
    assert set(WHITE_SPACE) == {chr(code) for code in range(0x110000) if chr(code).isspace()}


def test_the_greek_capital_that_python_lowers_by_its_neighbours(tmp_path):
    """The one letter on which tokenizers and str.lower() differ: docs/bundle.md says so."""
    encoder = encoder_of(read(tmp_path / "words.txt", "<pad>\n<unk>\nοδοσ\nοδος\ngood"))
    assert encoder.ids("ΟΔΟΣ") == [2]
    assert "ΟΔΟΣ".lower() == "οδος"


def in_form(lines, form):
    if form == "json":
        return json.dumps(index_from(lines, 0), ensure_ascii=False)
    end = "\r\n" if form == "CRLF" else "\n"
    return end.join(lines) + end


def looked_up(words, table, unknown):
    ids = [table.get(word, table.get(unknown)) for word in words]
    return [number for number in ids if number is not None]


# What is refused


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "holds no pieces"),
        (b"\n", "holds no pieces"),
        (b"<pad>\n\ngood\n", "line 2 of .* is empty; if its id is the padding's, put <pad> there"),
        (b"<pad>\nthe 500\n", r"line 2 of .* holds white space \('the 500'\)"),
        (b"<pad>\ngood\nbad\ngood\n", "line 4 of .* is 'good', as is line 2"),
        (
            "<pad>\n[UNK]\n电影\n房间\n好\n".encode(),
            "2 words of several Chinese characters, such as 电影: .* segmenter",
        ),
        (b"a\n##b\n##c\nabc\n", "begin with ##, so it is no word list but a WordPiece vocabulary without"),
        ("a\nĠthe\nĠof\nabc\n".encode(), "begin with Ġ, so it is no word list but a BPE vocabulary"),
        ("a\n▁the\n▁of\nabc\n".encode(), "a SentencePiece vocabulary"),
        (b"<pad>\n[DROPPED]\ngood", r"\[DROPPED\] is a reserved name"),
        ("<pad>\n很".encode("gb18030"), "is no tokenizer in UTF-8"),
    ],
)
def test_a_list_that_cannot_be_used(tmp_path, content, match):
    (tmp_path / "words.txt").write_bytes(content)
    with pytest.raises(TokenizerError, match=match):
        read_tokenizer(tmp_path / "words.txt", lambda message: None)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("{", "cannot be read as JSON"),
        ('{"good": 1', "cannot be read as JSON"),
        ("[]", "holds no JSON object"),
        ('"no object"', "cannot be read as JSON"),
        ("{}", "holds no object word → id"),
        ('{"good": 1.0, "bad": 2}', "has 1.0 for 'good'; ids are whole numbers"),
        ('{"good": "1"}', "has \"1\" for 'good'"),
        ('{"good": true, "bad": 0}', "has true for 'good'"),
        ('{"good": -1}', "has -1 for 'good'"),
        ('{"0": "good", "1": "bad"}', "has \"good\" for '0'"),
        ('{"good": 1, "bad": 1}', "gives the id 1 to 'good' and to 'bad'"),
        ('{"good": 1, "bad": 3}', "no piece with the id 2, but ids up to 3"),
        ('{"good": 2, "bad": 3}', "begin at 2: put what stands before them into it, such as <pad> 0 and <unk> 1"),
        ('{"电影": 1, "房间": 2, "好": 3}', "segmenter"),
        ('{"class_name": "TextVectorization", "config": {}}', "is a TextVectorization and no Tokenizer of Keras"),
        ('{"class_name": "Tokenizer", "config": {}}', "has no word_index"),
        (keras_json({})[0], "holds no object word → id"),
        (keras_json({"good": 1, "bad": 3})[0], "no piece with the id 2"),
        (keras_json({"good": 1}, split="")[0], "parts words at ''; only a single character"),
        (keras_json({"good": 1}, split=", ")[0], "parts words at ', '"),
        (keras_json({"good": 1}, num_words="9")[0], "broken num_words, filters or split"),
        (
            keras_json({"good": 1})[0].replace('"oov_token": null', '"oov_token": "UNK"'),
            "no index for its oov_token 'UNK'",
        ),
        (keras_json({"电影": 1, "房间": 2})[0], "segmenter"),
    ],
)
def test_json_that_cannot_be_used(tmp_path, content, match):
    (tmp_path / "vocab.json").write_text(content, encoding="utf-8")
    with pytest.raises(TokenizerError, match=match):
        read_tokenizer(tmp_path / "vocab.json", lambda message: None)


def test_a_few_chinese_words_among_many_others_do_not_matter(tmp_path):
    lines = ["<pad>", "<unk>", "电影", *(f"w{number}" for number in range(200))]
    assert encoder_of(read(tmp_path / "words.txt", "\n".join(lines))).ids("w7 电影 新电影") == [10, 2, 1]


@pytest.mark.parametrize("first", ["{", '"'])
def test_a_list_that_begins_like_json(tmp_path, first):
    assert encoder_of(read(tmp_path / "chars.txt", f"{first}\n[UNK]\na")).ids(f"a{first}") == [2, 0]


# From text to answer


@pytest.mark.parametrize("kind", ["words", "keras", "characters"])
def test_a_bundle_answers_as_the_original_module_on_texts(tmp_path, kind):
    keep = [word for word in words_of(by_keras) if not re.search("[\u4e00-\u9fff]{2}", word)]
    if kind == "keras":
        text, config = keras_json(index_from(keep, 1), num_words=90)
        name, rows = "tokenizer.json", 90
    elif kind == "words":
        lines = ["<pad>", "<unk>", *(word for word in words_of(by_spaces) if word.isascii())]
        name, text, rows = "words.txt", "\n".join(lines), len(lines)
    else:
        lines = ["[PAD]", "[UNK]", *(c for c in words_of(lambda text: list(text.lower())) if not c.isspace())]
        name, text, rows = "chars.txt", "\n".join(lines), len(lines)

    def original_ids(text):
        if kind == "keras":
            return keras_ids(text, config)
        parts = by_spaces(text) if kind == "words" else [c for c in text.lower() if not c.isspace()]
        return looked_up(parts, index_from(lines, 0), lines[1])

    (tmp_path / name).write_text(text, encoding="utf-8")
    module = text_cnn(rows, (2, 3))
    torch.save(module.state_dict(), tmp_path / "cnn.pt")
    made = convert(tmp_path / "cnn.pt", recipe=Recipe(max_length=16, buckets=(16,), quantize="none"))
    with load(made.bundle) as classify:
        for text in [*TEXTS[::7], *ODD]:
            ids = original_ids(text)[:16]
            expected = answers(module, [ids + [0] * (3 - len(ids))])
            np.testing.assert_allclose(classify.logits(classify.encoder.ids(text))[None], expected, atol=1e-4)
    spec = open_bundle(made.bundle).manifest.main.text
    assert (spec.kind, spec.dropped is not None) == ({"characters": "char"}.get(kind, "wordlevel"), kind == "keras")

    model = read_checkpoint(tmp_path / "cnn.pt", ReadOptions(), lambda message: None)
    again = read_checkpoint(save_checkpoint(model, tmp_path / "own.pt"), ReadOptions(), lambda message: None)
    assert again.tokenizer == model.tokenizer
