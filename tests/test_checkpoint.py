"""Whatever the user has is read by what is in it, and answers as the module that it came from."""

from __future__ import annotations

import json
import os
import pickle
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from transformers import MobileBertConfig, MobileBertForSequenceClassification, RobertaConfig
from transformers import RobertaForSequenceClassification as Roberta

from conftest import PIECES, make_bert
from edgekit_converters.checkpoint import ReadOptions, read_checkpoint, save_checkpoint
from edgekit_runtime.errors import (
    CheckpointError,
    FileError,
    OptionError,
    TokenizerError,
    UntrustedCheckpointError,
)
from originals import ArticleBert, TextCnn, answers, network_answers, original_answers, random_rows, sharpened, text_cnn

ROWS = random_rows(len(PIECES), [4, 5, 9, 30, 64])
NAMES = ("negative", "positive")


@pytest.fixture
def folder(tmp_path, bert, bert_base):
    """A Hugging Face folder of ``bert``, one for each test."""
    folder = shutil.copytree(bert_base, tmp_path / "bert")
    save_file(dict(bert.state_dict()), folder / "model.safetensors")
    return folder


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    """A random BERT of width 64 with 4 heads that matter, named by no file."""
    return sharpened(make_bert(tmp_path_factory.mktemp("bert")))


@pytest.fixture
def lone(tmp_path, vocabulary):
    """A folder that holds only the vocabulary, for a state dict to be put there."""
    shutil.copy(vocabulary, tmp_path)
    return tmp_path


def read(path, said=None, **options):
    return read_checkpoint(path, ReadOptions(**options), (said if said is not None else []).append)


def assert_answers_as(model, module, rows=ROWS):
    expected = answers(module, rows)
    assert np.ptp(expected, axis=0).min() > 0.01, "the texts must not all get one answer"
    np.testing.assert_allclose(network_answers(model, rows), expected, atol=1e-5, rtol=1e-5)
    np.testing.assert_allclose(original_answers(model, rows), expected, atol=1e-5, rtol=1e-5)


def with_prefix(state):
    return {f"module.{name}": tensor for name, tensor in state.items()}


# Forms of a BERT


def test_a_folder_with_safetensors(folder, bert):
    model = read(folder)
    assert_answers_as(model, bert)
    assert (model.name, model.architecture, model.labels) == ("bert", "bert", NAMES)
    assert (model.config.heads, model.position_limit, model.min_length) == (4, 96, 1)


def test_a_folder_with_pytorch_model_bin(folder, bert):
    (folder / "model.safetensors").unlink()
    torch.save(bert.state_dict(), folder / "pytorch_model.bin")
    assert_answers_as(read(folder), bert)


@pytest.mark.parametrize("name", ["model.pt", "model.pth", "model.bin", "model.safetensors", "model.txt", "model"])
@pytest.mark.parametrize("change", [dict, with_prefix], ids=["plain", "DDP"])
def test_a_state_dict_by_any_name(lone, bert, name, change):
    torch.save(change(bert.state_dict()), lone / name)
    assert_answers_as(read(lone / name, heads=4), bert)


def test_a_state_dict_in_the_format_before_torch_1_6(lone, bert):
    torch.save(bert.state_dict(), lone / "model.pt", _use_new_zipfile_serialization=False)
    assert_answers_as(read(lone / "model.pt", heads=4), bert)


@pytest.mark.parametrize("name", ["model.safetensors", "model.pt"])
def test_safetensors_by_any_name(lone, bert, name):
    save_file(dict(bert.state_dict()), lone / name)
    assert_answers_as(read(lone / name, heads=4), bert)


@pytest.mark.parametrize("change", [dict, with_prefix], ids=["plain", "DDP"])
@pytest.mark.parametrize("name", ["model.pth", "model.safetensors"])
def test_the_class_that_the_articles_write(lone, bert, name, change):
    torch.manual_seed(1)
    module = ArticleBert(bert.config, 3).eval()
    with torch.no_grad():
        module.fc.weight.mul_(20)
        module.bert.embeddings.word_embeddings.weight.mul_(8)
    state = change(module.state_dict())
    (save_file(state, lone / name) if name.endswith("safetensors") else torch.save(state, lone / name))
    model = read(lone / name, heads=4, labels=("bad", "so so", "good"))
    assert_answers_as(model, module)
    assert model.labels == ("bad", "so so", "good")


def test_float16_weights_are_read_as_float32(lone, bert):
    torch.save({name: tensor.half() for name, tensor in bert.state_dict().items()}, lone / "model.pt")
    model = read(lone / "model.pt", heads=4)
    module = type(bert)(bert.config).eval()
    module.load_state_dict({name: tensor.half().float() for name, tensor in bert.state_dict().items()})
    assert {tensor.dtype for tensor in model.weights.values()} == {torch.float32}
    assert_answers_as(model, module)


def test_what_shapes_do_not_say_comes_from_the_config_beside_the_file(tmp_path):
    module = make_bert(tmp_path, hidden_act="gelu_new", layer_norm_eps=0.05, num_attention_heads=8)
    torch.save(module.state_dict(), tmp_path / "weights.pt")
    model = read(tmp_path / "weights.pt")
    assert (model.config.activation, model.config.layer_norm_eps, model.config.heads) == ("gelu_new", 0.05, 8)
    assert_answers_as(model, module)


# Forms of a CNN


@pytest.mark.parametrize("name", ["cnn.pt", "cnn.safetensors"])
@pytest.mark.parametrize("change", [dict, with_prefix], ids=["plain", "DDP"])
def test_a_text_cnn_under_its_own_names(lone, name, change):
    module = text_cnn(len(PIECES), (4, 2, 3))
    state = change(module.state_dict())
    (save_file(state, lone / name) if name.endswith("safetensors") else torch.save(state, lone / name))
    model = read(lone / name)
    assert (model.architecture, model.config.widths, model.min_length) == ("cnn", (4, 2, 3), 4)
    assert (model.position_limit, model.labels) == (None, NAMES)
    assert_answers_as(model, module)


@pytest.mark.parametrize("name", ["cnn.pt", "cnn.safetensors"])
def test_eleven_convolutions_keep_the_order_of_their_filters(lone, name):
    """Sorted as text, ``convs.10`` would come before ``convs.2``, and the head would read other filters."""
    module = text_cnn(len(PIECES), (2,) * 11, classes=4)
    (save_file if name.endswith("safetensors") else torch.save)(module.state_dict(), lone / name)
    assert_answers_as(read(lone / name, labels=tuple("abcd")), module)


def test_a_cnn_without_biases(lone):
    module = text_cnn(len(PIECES))
    module.convs = nn.ModuleList(nn.Conv1d(12, 8, width, bias=False) for width in (2, 3, 4))
    torch.save(module.state_dict(), lone / "cnn.pt")
    assert_answers_as(read(lone / "cnn.pt"), module)


def test_a_table_as_wide_as_the_head_is_not_taken_for_it(lone):
    module = TextCnn(len(PIECES), 120, (2, 3, 4), 40, 2).eval()
    torch.save(module.state_dict(), lone / "cnn.pt")
    assert_answers_as(read(lone / "cnn.pt"), module)


def test_convolutions_without_numbers_need_a_file_that_keeps_their_order(lone):
    """Sorted by name ``wide`` comes behind ``narrow``, where the module may have it first."""
    renamed = {"convs.0.": "wide.", "convs.1.": "narrow."}
    module = text_cnn(len(PIECES), (3, 2))
    state = {}
    for name, tensor in module.state_dict().items():
        new = next((name.replace(old, new) for old, new in renamed.items() if name.startswith(old)), name)
        state[new] = tensor
    torch.save(state, lone / "cnn.pt")
    assert_answers_as(read(lone / "cnn.pt"), module)
    save_file(state, lone / "cnn.safetensors")
    with pytest.raises(CheckpointError, match="keeps no order"):
        read(lone / "cnn.safetensors")


def test_pad_to_lengthens_what_short_texts_are_padded_to(lone):
    torch.save(text_cnn(len(PIECES)).state_dict(), lone / "cnn.pt")
    assert read(lone / "cnn.pt", pad_to=30).min_length == 30
    assert read(lone / "cnn.pt", pad_to=2).min_length == 4


# edgekit's own file


@pytest.mark.parametrize("kind", ["bert", "cnn"])
def test_the_own_format_keeps_everything(tmp_path, folder, lone, kind):
    if kind == "bert":
        before = read(folder, labels=("schlecht", "gut"))
    else:
        torch.save(text_cnn(len(PIECES)).state_dict(), lone / "cnn.pt")
        before = read(lone / "cnn.pt", labels=("schlecht", "gut"), pad_to=7)
    (alone := tmp_path / "alone").mkdir()
    said: list[str] = []
    after = read(save_checkpoint(before, alone / "own.anything"), said)

    assert (after.name, after.config, after.labels, after.pad_to) == (
        "own",
        before.config,
        ("schlecht", "gut"),
        before.pad_to,
    )
    assert after.tokenizer == before.tokenizer
    assert after.weights.keys() == before.weights.keys()
    assert all(torch.equal(after.weights[name], before.weights[name]) for name in before.weights)
    assert [step.stage for step in after.history] == ["read", "read"]
    assert not said
    assert [path.name for path in alone.iterdir()] == ["own.anything"]
    np.testing.assert_allclose(network_answers(after, ROWS), network_answers(before, ROWS), atol=1e-5)


def test_the_own_format_takes_what_is_given_instead(folder, tmp_path, vocabulary):
    path = save_checkpoint(read(folder), tmp_path / "own.pt")
    assert read(path, labels=("no", "yes")).labels == ("no", "yes")
    assert read(path, tokenizer=vocabulary, heads=4).config.heads == 4


def test_the_own_format_refuses_what_contradicts_it(folder, lone, bert_checkpoint, cnn_checkpoint):
    with pytest.raises(OptionError, match=r"--heads 2 contradicts .*says 4"):
        read(bert_checkpoint, heads=2)
    with pytest.raises(OptionError, match="--pad-to is for CNNs"):
        read(bert_checkpoint, pad_to=32)
    with pytest.raises(OptionError, match="--heads is for BERTs"):
        read(cnn_checkpoint, heads=2)
    with pytest.raises(OptionError, match="3 labels are given and the head has 2 outputs"):
        read(cnn_checkpoint, labels=("a", "b", "c"))
    with pytest.raises(TokenizerError, match="pieces and the model's embedding table"):
        short = lone / "short.txt"
        short.write_text("\n".join(PIECES[:40]))
        read(bert_checkpoint, tokenizer=short)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "checkpoint version 2, and this edgekit reads 1: upgrade"),
        ({"architecture": "mamba"}, "holds a 'mamba', which this edgekit does not know"),
        ({"config": {"vocab_size": 3}}, "has no 'hidden'"),
        ({"weights": {}}, "holds no weights"),
        ({"tokenizer": "{}"}, "tokenizer.json cannot be read"),
    ],
)
def test_an_own_file_that_is_newer_or_damaged_is_refused(cnn_checkpoint, tmp_path, change, message):
    content = torch.load(cnn_checkpoint, weights_only=True)
    torch.save({**content, **change}, tmp_path / "own.pt")
    with pytest.raises((CheckpointError, TokenizerError), match=message):
        read(tmp_path / "own.pt")


# Attention heads


def test_a_known_width_has_heads_of_64_said_aloud(lone):
    module = make_bert(lone / "made", hidden_size=128, num_hidden_layers=1, num_attention_heads=2)
    torch.save(module.state_dict(), lone / "model.pt")
    said: list[str] = []
    model = read(lone / "model.pt", said)
    assert model.config.heads == 2
    assert any("2 are taken, the custom at width 128" in message and "--heads" in message for message in said)
    assert_answers_as(model, module)


@pytest.mark.parametrize(("width", "plausible"), [(96, "3, 1, 2, 4, 6"), (384, "6, 12, 3, 4, 8, 16, 24")])
def test_any_other_width_wants_to_be_told_and_names_what_is_plausible(lone, width, plausible):
    module = make_bert(lone / "made", hidden_size=width, num_hidden_layers=1, num_attention_heads=4)
    torch.save(module.state_dict(), lone / "model.pt")
    with pytest.raises(
        OptionError, match=f"how many attention heads.*config.json.*--heads.* plausible are {plausible}$"
    ):
        read(lone / "model.pt")
    assert_answers_as(read(lone / "model.pt", heads=4), module)


def test_heads_change_the_answer_so_that_a_silent_guess_would_be_wrong(lone, bert):
    torch.save(bert.state_dict(), lone / "model.pt")
    wrong = network_answers(read(lone / "model.pt", heads=2), ROWS)
    assert np.abs(wrong - answers(bert, ROWS)).max() > 0.05


def test_heads_that_contradict_the_config_are_refused(folder):
    assert read(folder, heads=4).config.heads == 4
    with pytest.raises(OptionError, match=r"--heads 8 contradicts .*config\.json, which says 4"):
        read(folder, heads=8)


@pytest.mark.parametrize("heads", [0, -4, 5, 65])
def test_heads_that_do_not_divide_the_width_are_refused(lone, bert, heads):
    torch.save(bert.state_dict(), lone / "model.pt")
    with pytest.raises(OptionError, match=f"--heads {heads} does not divide the width 64; plausible are 1, 2, 4"):
        read(lone / "model.pt", heads=heads)


def test_heads_of_a_config_that_do_not_divide_the_width_are_refused(folder):
    edit(folder / "config.json", num_attention_heads=5)
    with pytest.raises(CheckpointError, match="says 5 heads, which do not divide the width 64"):
        read(folder)


# Labels


def test_labels_come_from_the_config_in_the_order_of_the_head(folder):
    edit(folder / "config.json", id2label={"1": "gut", "0": "schlecht"})
    said: list[str] = []
    assert read(folder, said).labels == ("schlecht", "gut")
    assert not any("label" in message for message in said)
    assert read(folder, labels=("a", "b")).labels == ("a", "b")


@pytest.mark.parametrize("by_id", [{"0": "LABEL_0", "1": "LABEL_1"}, None])
def test_two_classes_without_names_are_negative_and_positive_said_aloud(folder, by_id):
    edit(folder / "config.json", id2label=by_id)
    said: list[str] = []
    assert read(folder, said).labels == NAMES
    assert any("class 0 is taken for negative, 1 for positive" in message for message in said)


@pytest.mark.parametrize("state_dict", [False, True])
def test_three_classes_without_names_are_refused(tmp_path, state_dict):
    module = make_bert(tmp_path, classes=3)
    path = tmp_path
    if state_dict:
        (tmp_path / "config.json").unlink()
        torch.save(module.state_dict(), path := tmp_path / "model.pt")
    with pytest.raises(OptionError, match="does not name its 3 classes: give --labels"):
        read(path, heads=4 if state_dict else None)
    assert read(path, heads=4, labels=("a", "b", "c")).labels == ("a", "b", "c")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (("a",), "1 labels are given and the head has 2 outputs"),
        (("a", "b", "c"), "3 labels are given and the head has 2 outputs"),
        (("a", "a"), "must differ"),
        (("a", ""), "none may be empty"),
    ],
)
def test_labels_that_do_not_match_the_head_are_refused(folder, labels, message):
    with pytest.raises(OptionError, match=message):
        read(folder, labels=labels)


def test_labels_of_the_config_that_do_not_match_the_head_are_refused(folder):
    edit(folder / "config.json", id2label={"0": "a", "1": "b", "2": "c"})
    with pytest.raises(CheckpointError, match="names 3 labels and the head has 2 outputs"):
        read(folder)


# Tokenizer


def test_the_tokenizer_is_found_beside_the_file_or_given_as_file_or_folder(tmp_path, bert, vocabulary):
    torch.save(bert.state_dict(), tmp_path / "model.pt")
    with pytest.raises(TokenizerError, match=r"no tokenizer\.json or vocab\.txt lies in .*--tokenizer"):
        read(tmp_path / "model.pt", heads=4)
    by_file = read(tmp_path / "model.pt", heads=4, tokenizer=vocabulary)
    by_folder = read(tmp_path / "model.pt", heads=4, tokenizer=vocabulary.parent)
    shutil.copy(vocabulary, tmp_path)
    beside = read(tmp_path / "model.pt", heads=4)
    assert by_file.tokenizer == by_folder.tokenizer == beside.tokenizer
    assert beside.tokenizer.size == len(PIECES)


def test_a_given_tokenizer_that_is_not_there_is_refused(folder):
    with pytest.raises(FileError, match=r"there is no tokenizer .*nowhere; check --tokenizer"):
        read(folder, tokenizer=folder / "nowhere")


@pytest.mark.parametrize("pieces", [PIECES[:-1], (*PIECES, "surplus")], ids=["too small", "too large"])
def test_a_vocabulary_of_another_size_is_refused(folder, pieces):
    (folder / "vocab.txt").write_text("\n".join(pieces), encoding="utf-8")
    with pytest.raises(TokenizerError, match=f"has {len(pieces)} pieces and .* {len(PIECES)} rows: .*--tokenizer"):
        read(folder)


def test_a_table_rounded_up_is_accepted_and_said(tmp_path):
    rows = -(-len(PIECES) // 8) * 8
    make_bert(tmp_path, vocab_size=rows)
    said: list[str] = []
    assert rows > len(PIECES)
    assert read(tmp_path, said).config.vocab_size == rows
    assert any(f"has {rows - len(PIECES)} rows more" in message for message in said)


def test_a_table_far_over_the_vocabulary_is_refused(tmp_path):
    make_bert(tmp_path, vocab_size=len(PIECES) // 8 * 8 + 160)
    with pytest.raises(TokenizerError, match="not the tokenizer that the model was trained with"):
        read(tmp_path)


def test_a_bert_needs_cls_and_sep(folder):
    pieces = [{"[CLS]": "x1", "[SEP]": "x2"}.get(piece, piece) for piece in PIECES]
    (folder / "vocab.txt").write_text("\n".join(pieces), encoding="utf-8")
    with pytest.raises(TokenizerError, match=r"has no \[CLS\] and \[SEP\], which a BERT needs"):
        read(folder)


# What is refused


class Code:
    """Reading this out of a pickle writes a file."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return (os.system, (f"touch '{self.marker}'",))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("wrap", [lambda code: code, lambda code: {"bert.x": code}], ids=["alone", "in a dict"])
def test_code_in_a_raw_pickle_does_not_run(lone, protocol, wrap):
    (lone / "model.pt").write_bytes(pickle.dumps(wrap(Code(lone / "marker")), protocol=protocol))
    assert_refused_and_not_run(lone)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_file_of_torch_save_does_not_run(lone, zipped):
    content = {"bert.x": torch.ones(2), "config": Code(lone / "marker")}
    torch.save(content, lone / "model.pt", _use_new_zipfile_serialization=zipped)
    assert_refused_and_not_run(lone)


def test_code_behind_a_hugging_face_folder_does_not_run(folder):
    (folder / "model.safetensors").unlink()
    torch.save({"bert.x": Code(folder / "marker")}, folder / "pytorch_model.bin")
    with pytest.raises(UntrustedCheckpointError):
        read(folder)
    assert not (folder / "marker").exists()


def assert_refused_and_not_run(folder):
    with pytest.raises(UntrustedCheckpointError, match=r"would run code .*save model\.state_dict\(\)"):
        read(folder / "model.pt")
    assert not (folder / "marker").exists()


def test_a_whole_module_is_refused_and_its_class_named(lone):
    torch.save(nn.Linear(2, 2), lone / "model.pt")
    with pytest.raises(UntrustedCheckpointError, match=r"torch\.nn\.modules\.linear\.Linear.*state_dict"):
        read(lone / "model.pt")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchscript_is_refused(lone):
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), lone / "model.pt")
    with pytest.raises(UntrustedCheckpointError, match="TorchScript archive, which carries code"):
        read(lone / "model.pt")


def test_nothing_there(tmp_path):
    with pytest.raises(FileError, match=r"there is no checkpoint .*model\.pt"):
        read(tmp_path / "model.pt")


@pytest.mark.parametrize("left", [(), ("config.json", "vocab.txt")], ids=["empty", "no weights"])
def test_a_folder_that_is_no_model(folder, left):
    for file in list(folder.iterdir()):
        if file.name not in left:
            file.unlink()
    with pytest.raises(CheckpointError, match=r"a folder without model\.safetensors or pytorch_model\.bin"):
        read(folder)


def test_a_folder_without_a_config(folder):
    (folder / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"a folder without config\.json"):
        read(folder)


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"not a model at all, only text\n", b"{}", b"GIF89a" + bytes(99)], ids=repr
)
def test_a_file_of_something_else(lone, content):
    (lone / "model.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"is no checkpoint: it is neither a file of torch.save nor safetensors"):
        read(lone / "model.pt")


@pytest.mark.parametrize("name", ["zip.pt", "legacy.pt", "model.safetensors"])
@pytest.mark.parametrize("share", [0.0005, 0.01, 0.1, 0.3, 0.5, 0.9, 0.999])
def test_a_file_cut_short(lone, bert, name, share):
    whole = lone / name
    if name == "model.safetensors":
        save_file(dict(bert.state_dict()), whole)
    else:
        torch.save(bert.state_dict(), whole, _use_new_zipfile_serialization=name == "zip.pt")
    read(whole, heads=4)
    data = whole.read_bytes()
    whole.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(CheckpointError, match=r"cut short|would run code|no checkpoint"):
        read(whole, heads=4)


def test_a_damaged_zip_directory(lone, bert):
    torch.save(bert.state_dict(), lone / "model.pt")
    data = bytearray((lone / "model.pt").read_bytes())
    start = data.rindex(b"PK\x01\x02")
    data[start : start + 46] = b"\xff" * 46
    (lone / "model.pt").write_bytes(data)
    with pytest.raises(CheckpointError, match="damaged or was cut short"):
        read(lone / "model.pt", heads=4)


@pytest.mark.parametrize(
    "content", [["a"], [torch.ones(2)], torch.ones(2), "text"], ids=["list", "tensors", "tensor", "str"]
)
def test_something_else_than_a_dict(lone, content):
    torch.save(content, lone / "model.pt")
    with pytest.raises(CheckpointError, match=r"holds a (list|Tensor|str), not a state dict"):
        read(lone / "model.pt")


def test_a_dict_without_weights(lone):
    torch.save({"epoch": 3, "steps": torch.arange(3)}, lone / "model.pt")
    with pytest.raises(CheckpointError, match="holds no weights"):
        read(lone / "model.pt")


def test_a_bundle_is_no_checkpoint(bundle):
    with pytest.raises(CheckpointError, match="is already a bundle"):
        read(bundle)


SMALL = {
    "vocab_size": len(PIECES),
    "hidden_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "intermediate_size": 64,
}


def test_a_roberta(tmp_path, vocabulary):
    module = Roberta(RobertaConfig(**SMALL, type_vocab_size=1))
    module.save_pretrained(tmp_path)
    shutil.copy(vocabulary, tmp_path)
    with pytest.raises(CheckpointError, match=r"config\.json says roberta, which is not supported; supported are BERT"):
        read(tmp_path)
    (tmp_path / "config.json").unlink()
    with pytest.raises(CheckpointError, match="is a roberta model, which is not supported; supported are BERT"):
        read(tmp_path / "model.safetensors", heads=4)
    state = {f"bert.{name.removeprefix('roberta.')}": tensor for name, tensor in module.state_dict().items()}
    torch.save(state | head(), tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match=r"1 token type\(s\).*looks like a RoBERTa"):
        read(tmp_path / "x.pt", heads=4)


def head(classes=2):
    return {"classifier.weight": torch.ones(classes, 64), "classifier.bias": torch.zeros(classes)}


def test_a_mobilebert(tmp_path, vocabulary):
    sizes = MobileBertConfig(**SMALL, embedding_size=32, intra_bottleneck_size=32, true_hidden_size=32)
    MobileBertForSequenceClassification(sizes).save_pretrained(tmp_path)
    shutil.copy(vocabulary, tmp_path)
    with pytest.raises(CheckpointError, match=r"config\.json says mobilebert, which is not supported"):
        read(tmp_path)
    (tmp_path / "config.json").unlink()
    with pytest.raises(CheckpointError, match="is a mobilebert model, which is not supported"):
        read(tmp_path / "model.safetensors", heads=4)


def test_an_unknown_architecture_and_half_a_cnn(lone):
    torch.save(nn.LSTM(4, 4).state_dict(), lone / "model.pt")
    with pytest.raises(CheckpointError, match=r"a recurrent network"):
        read(lone / "model.pt")
    state = text_cnn(len(PIECES)).state_dict()
    for gone in ("embedding.weight", "fc.weight", "convs.1.weight"):
        torch.save({name: tensor for name, tensor in state.items() if name != gone}, lone / "model.pt")
        with pytest.raises(CheckpointError, match="is no Kim TextCNN"):
            read(lone / "model.pt")
    torch.save({**state, "norm.weight": torch.ones(24), "norm.bias": torch.ones(24)}, lone / "model.pt")
    with pytest.raises(CheckpointError, match=r"is no Kim TextCNN.*norm\.weight"):
        read(lone / "model.pt")


@pytest.mark.parametrize(
    ("key", "value", "match"),
    [
        ("hidden_size", 128, "hidden_size 128, and the weights have 64"),
        ("num_hidden_layers", 12, "num_hidden_layers 12, and the weights have 2"),
        ("vocab_size", 30522, "vocab_size 30522"),
        ("intermediate_size", 3072, "intermediate_size 3072"),
        ("max_position_embeddings", 512, "max_position_embeddings 512"),
        ("hidden_act", "silu", "the activation silu is not supported; supported are gelu"),
        ("position_embedding_type", "relative_key", "relative positions"),
        ("problem_type", "multi_label_classification", "only one label a text"),
        ("model_type", "electra", "says electra, and the weights are a bert's"),
        ("model_type", "albert", "says albert, which is not supported"),
    ],
)
def test_a_config_of_another_model_is_refused(folder, key, value, match):
    edit(folder / "config.json", **{key: value})
    with pytest.raises(CheckpointError, match=match):
        read(folder)


@pytest.mark.parametrize("content", [b"{", b"[1]", b"\xff"])
def test_a_config_that_is_none(folder, content):
    (folder / "config.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"config\.json is (not valid JSON|no Hugging Face config)"):
        read(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_diverged(lone, bert, value):
    state = {name: tensor.clone() for name, tensor in bert.state_dict().items()}
    state["bert.pooler.dense.weight"][3, 4] = value
    torch.save(state, lone / "model.pt")
    with pytest.raises(CheckpointError, match=r"bert\.pooler\.dense\.weight .*holds NaN or infinity"):
        read(lone / "model.pt", heads=4)


@pytest.mark.parametrize(
    "gone",
    [
        "bert.embeddings.position_embeddings.weight",
        "bert.encoder.layer.0.attention.self.query.weight",
        "bert.encoder.layer.1.output.dense.bias",
        "bert.pooler.dense.weight",
    ],
)
def test_a_missing_tensor(lone, bert, gone):
    torch.save({name: tensor for name, tensor in bert.state_dict().items() if name != gone}, lone / "model.pt")
    with pytest.raises(CheckpointError, match=f"lacks {gone}"):
        read(lone / "model.pt", heads=4)


def test_a_bert_without_a_head(lone, bert):
    state = {name: tensor for name, tensor in bert.state_dict().items() if name.startswith("bert.")}
    torch.save(state, lone / "model.pt")
    with pytest.raises(CheckpointError, match="has an encoder and no classification head"):
        read(lone / "model.pt", heads=4)


def test_more_than_a_classifier_is_refused(lone, bert):
    """A classifier on top of something else would answer otherwise without an error."""
    for name, match in (
        ("lstm.weight_ih_l0", r"holds lstm\.weight_ih_l0, which no such classifier has"),
        ("fc2.weight", "do not follow one another from width 64"),
    ):
        torch.save({**bert.state_dict(), name: torch.ones(3, 5)}, lone / "model.pt")
        with pytest.raises(CheckpointError, match=match):
            read(lone / "model.pt", heads=4)


def test_two_encoders(lone, bert):
    twice = {f"left.{name}": tensor.clone() for name, tensor in bert.state_dict().items()}
    torch.save({**bert.state_dict(), **twice}, lone / "model.pt")
    with pytest.raises(CheckpointError, match="holds 2 encoders"):
        read(lone / "model.pt", heads=4)


def test_a_tensor_of_another_shape(lone, bert):
    torch.save({**bert.state_dict(), "bert.pooler.dense.bias": torch.ones(3)}, lone / "model.pt")
    with pytest.raises(CheckpointError, match=r"bert\.pooler\.dense\.bias .* is \(3,\), where \(64,\) is expected"):
        read(lone / "model.pt", heads=4)


def test_one_output_is_said_to_be_taken_for_a_sigmoid(lone, bert):
    torch.save({**bert.state_dict(), **head(1)}, lone / "model.pt")
    said = []
    model = read(lone / "model.pt", said, heads=4)
    assert model.labels == NAMES
    assert any("the head has one output; it is taken for the sigmoid's input" in message for message in said)


def test_options_of_the_other_architecture_are_refused(folder, lone):
    with pytest.raises(OptionError, match="--pad-to is for CNNs"):
        read(folder, pad_to=32)
    torch.save(text_cnn(len(PIECES)).state_dict(), lone / "cnn.pt")
    with pytest.raises(OptionError, match="--heads is for BERTs"):
        read(lone / "cnn.pt", heads=4)
    for length in (0, -1):
        with pytest.raises(OptionError, match=f"--pad-to must lie between 1 and 4096, not at {length}"):
            read(lone / "cnn.pt", pad_to=length)


def edit(path, **changes):
    content = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))
