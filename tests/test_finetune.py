"""Fine-tuning keeps the best epoch, repeats itself by the seed, and refuses what it cannot use."""

from __future__ import annotations

import csv
import json
import sys

import numpy as np
import pytest
import torch
from sklearn.model_selection import train_test_split
from transformers import AutoConfig, AutoModelForMaskedLM

from conftest import PIECES, make_bert
from edgekit_converters.checkpoint import ReadOptions, read_checkpoint
from edgekit_converters.data import read_labelled
from edgekit_converters.training.finetune import FinetuneSettings, finetune
from edgekit_converters.training.wordpiece import train_wordpiece
from edgekit_runtime import jsonio
from edgekit_runtime.errors import CheckpointError, DataError, FileError, OptionError, TokenizerError
from edgekit_runtime.text import TextEncoder


class Heard:
    def __init__(self):
        self.stages, self.steps, self.said = [], [], []

    def stage(self, title):
        self.stages.append(title)

    def progress(self, done, total):
        self.steps.append((done, total))

    def say(self, message):
        self.said.append(message)


def cnn(**changes):
    return FinetuneSettings(**{"arch": "cnn", "epochs": 1, "batch_size": 16, "held_out": 0.25, **changes})


def read(path):
    return read_checkpoint(path, ReadOptions(), lambda message: None)


def accuracy(path, data, indices, max_length=128):
    """Of a saved checkpoint, by its network on each text alone."""
    model = read(path)
    texts = read_labelled(data, model.labels)
    encoder = TextEncoder(model.tokenizer.json, model.text_spec(max_length, (max_length,)))
    network = model.network()
    right = 0
    for index in indices:
        ids, mask = encoder.pad(encoder.ids(texts.texts[index]), None)
        right += int(network(torch.tensor(ids), torch.tensor(mask)).argmax()) == texts.labels[index]
    return right / len(indices)


def held_out(data, share, seed):
    labels = read_labelled(data, ("negative", "positive")).labels
    return train_test_split(range(len(labels)), test_size=share, stratify=labels, random_state=seed)[1]


def test_the_best_epoch_is_kept(labelled_csv, tmp_path):
    """Labels by lot cannot be learned: the accuracy jumps about, so that the last epoch is soon not the best."""
    lots = np.random.default_rng(0).permutation([0, 1] * 40)
    data = write(tmp_path, list(zip(read_labelled(labelled_csv, "01").texts, lots, strict=True)))
    for seed in range(8):
        made = finetune(data, tmp_path / "m.pt", cnn(epochs=4, seed=seed, learning_rate=0.02))
        assert made.accuracy == max(made.accuracy_by_epoch) == made.accuracy_by_epoch[made.best_epoch - 1]
        assert len(made.accuracy_by_epoch) == 4
        found = accuracy(tmp_path / "m.pt", data, held_out(data, 0.25, seed))
        assert found == pytest.approx(made.accuracy)
        if made.accuracy_by_epoch[-1] < made.accuracy:
            return
    pytest.fail("the last epoch was always the best, so that this test tells nothing")


def test_a_bert_keeps_its_best_epoch_too(labelled_csv, bert_base, tmp_path):
    settings = FinetuneSettings(
        base=bert_base, epochs=6, batch_size=8, learning_rate=1e-3, max_length=64, held_out=0.25, test=0.0
    )
    heard = Heard()
    made = finetune(labelled_csv, tmp_path / "m.pt", settings, listener=heard)
    assert accuracy(tmp_path / "m.pt", labelled_csv, held_out(labelled_csv, 0.25, 42), 64) == pytest.approx(
        made.accuracy
    )
    assert made.accuracy > made.accuracy_by_epoch[0]
    model = read(tmp_path / "m.pt")
    assert (model.architecture, model.config.heads, model.config.layers, model.position_limit) == ("bert", 4, 2, 96)
    assert model.history[0].stage == "finetune"
    assert model.history[0].settings["base"] == bert_base.name
    assert heard.stages[-1] == "Training on 60 texts"
    assert heard.steps[-1] == (48, 48)


def test_what_is_told_of_the_work(labelled_csv, tmp_path):
    made = finetune(labelled_csv, tmp_path / "m.pt", cnn(limit=40, epochs=2))
    assert (made.train_examples, made.held_out_examples, made.test_examples) == (26, 10, 4)
    assert (made.labels, made.curves, made.processes) == (("negative", "positive"), None, 1)
    assert set(jsonio.encode(made)) == {
        *("checkpoint", "labels", "train_examples", "held_out_examples", "test_examples", "processes", "curves"),
        *("accuracy_by_epoch", "best_epoch", "accuracy", "curve", "test"),
    }
    assert [epoch.accuracy for epoch in made.curve] == list(made.accuracy_by_epoch)
    assert [path.name for path in tmp_path.iterdir()] == ["m.pt"]


def test_a_seed_repeats_itself_and_another_does_not(labelled_csv, tmp_path):
    made = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        finetune(labelled_csv, tmp_path / name, cnn(seed=seed))
        made.append(read(tmp_path / name))
    first, again, other = made
    assert first.tokenizer == again.tokenizer
    assert all(torch.equal(first.weights[name], again.weights[name]) for name in first.weights)
    assert not torch.equal(first.weights["classifier.weight"], other.weights["classifier.weight"])


def test_the_same_texts_give_the_same_vocabulary(labelled_csv):
    """The trainer of tokenizers numbers pieces as a hash table lies, and breaks ties by the numbers."""
    texts = read_labelled(labelled_csv, "01").texts
    assert len({train_wordpiece(texts, 200, Heard()).json for _ in range(5)}) == 1


def test_an_existing_checkpoint_is_replaced(labelled_csv, tmp_path):
    (tmp_path / "m.pt").write_bytes(b"an older one")
    finetune(labelled_csv, tmp_path / "m.pt", cnn())
    assert read(tmp_path / "m.pt").architecture == "cnn"


def test_labels_keep_the_order_that_is_given(tmp_path):
    data = write(
        tmp_path, [(f"good {index}", "plus") for index in range(8)] + [(f"bad {i}", "minus") for i in range(8)]
    )
    assert finetune(data, tmp_path / "a.pt", cnn()).labels == ("minus", "plus")
    made = finetune(data, tmp_path / "b.pt", cnn(epochs=6, batch_size=4), labels=("plus", "minus"))
    assert made.labels == read(tmp_path / "b.pt").labels == ("plus", "minus")
    assert accuracy(tmp_path / "b.pt", data, range(16)) > 0.8
    with pytest.raises(DataError, match="line 2: the label 'plus' is none of good, bad"):
        finetune(data, tmp_path / "c.pt", cnn(), labels=("good", "bad"))


def test_three_classes(tmp_path):
    rows = [(f"{word} {index}", str(label)) for label, word in enumerate(("bad", "fair", "good")) for index in range(8)]
    made = finetune(write(tmp_path, rows), tmp_path / "m.pt", cnn())
    assert made.labels == ("0", "1", "2")
    assert read(tmp_path / "m.pt").config.classes == 3


# Where it starts


@pytest.mark.parametrize("family", ["bert", "distilbert", "electra"])
def test_an_encoder_of_each_family_gets_a_head(labelled_csv, tmp_path, family):
    """A folder as a pretrained model comes: no classifier, or that of another task."""
    sizes = {"vocab_size": len(PIECES), "max_position_embeddings": 64}
    if family == "distilbert":
        sizes |= {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 48}
    else:
        sizes |= {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
    if family == "electra":
        sizes |= {"embedding_size": 16}
    body = AutoModelForMaskedLM.from_config(AutoConfig.for_model(family, **sizes))
    body.save_pretrained(tmp_path / "base")
    (tmp_path / "base" / "vocab.txt").write_text("\n".join(PIECES) + "\n", encoding="utf-8")
    settings = FinetuneSettings(
        base=tmp_path / "base", epochs=1, max_length=32, held_out=0.25, learning_rate=1e-3, freeze=1
    )
    finetune(labelled_csv, tmp_path / "m.pt", settings)
    model = read(tmp_path / "m.pt")
    assert (model.config.family, model.config.hidden, model.config.layers) == (family, 32, 2)
    assert (model.config.embedding, model.labels) == (16 if family == "electra" else None, ("negative", "positive"))
    words = f"{family}.embeddings.word_embeddings.weight"
    assert torch.equal(model.weights[words], body.base_model.state_dict()[words.partition(".")[2]])


def test_a_checkpoint_is_trained_further(cnn_checkpoint, bert_checkpoint, labelled_csv, tmp_path):
    for path, architecture in ((cnn_checkpoint, "cnn"), (bert_checkpoint, "bert")):
        settings = FinetuneSettings(base=path, epochs=1, max_length=64, held_out=0.25, learning_rate=1e-6)
        made = finetune(labelled_csv, tmp_path / "m.pt", settings)
        assert made.accuracy >= 0.9, "it knew before"
        after, before = read(tmp_path / "m.pt"), read(path)
        assert after.architecture == architecture
        assert (after.tokenizer, after.labels) == (before.tokenizer, before.labels)
        assert [step.stage for step in after.history] == ["finetune", "finetune", "read"]
        assert after.history[1].settings["base"] == path.name
        for name, tensor in after.weights.items():
            assert torch.allclose(tensor, before.weights[name], atol=1e-3)


def test_a_classifier_keeps_its_labels_or_gets_a_head_for_others(cnn_checkpoint, tmp_path):
    rows = [(f"{word} {index}", word) for word in ("plus", "minus", "so-so") for index in range(8)]
    data, settings = write(tmp_path, rows), cnn(base=cnn_checkpoint)
    with pytest.raises(DataError, match="the label 'plus' is none of negative, positive"):
        finetune(data, tmp_path / "m.pt", settings)
    heard = Heard()
    finetune(data, tmp_path / "m.pt", settings, labels=("minus", "so-so", "plus"), listener=heard)
    assert any("tells 2 classes apart; for 3 its last layer begins anew" in message for message in heard.said)
    model = read(tmp_path / "m.pt")
    assert (model.labels, model.config.classes) == (("minus", "so-so", "plus"), 3)
    assert torch.allclose(model.weights["words.weight"], read(cnn_checkpoint).weights["words.weight"], atol=0.1)


def test_a_base_says_what_it_is(cnn_checkpoint, bert_base, labelled_csv, tmp_path):
    with pytest.raises(OptionError, match="is a cnn: drop --arch bert"):
        finetune(labelled_csv, tmp_path / "m.pt", FinetuneSettings(arch="bert", base=cnn_checkpoint))
    with pytest.raises(OptionError, match="is a bert: drop --arch cnn"):
        finetune(labelled_csv, tmp_path / "m.pt", cnn(base=bert_base))
    with pytest.raises(OptionError, match="--unfreeze is for BERTs"):
        finetune(labelled_csv, tmp_path / "m.pt", FinetuneSettings(base=cnn_checkpoint, unfreeze="gradual"))


# What comes out


def test_the_test_part_is_measured_on_the_finished_model(labelled_csv, tmp_path):
    made = finetune(labelled_csv, tmp_path / "m.pt", cnn(epochs=6, test=0.25))
    labels = read_labelled(labelled_csv, ("negative", "positive")).labels
    rest, _ = train_test_split(range(80), test_size=0.25, stratify=labels, random_state=42)
    _, part = train_test_split(rest, test_size=20, stratify=[labels[i] for i in rest], random_state=42)
    assert (made.test.examples, made.test_examples) == (20, 20)
    assert made.test.accuracy == pytest.approx(accuracy(tmp_path / "m.pt", labelled_csv, part))
    assert sum(map(sum, made.test.confusion)) == 20
    assert finetune(labelled_csv, tmp_path / "m.pt", cnn(test=0.0)).test is None


@pytest.mark.parametrize("suffix", ["svg", "png", "pdf"])
def test_learning_curves_are_a_picture(labelled_csv, tmp_path, suffix):
    picture = tmp_path / f"curves.{suffix}"
    made = finetune(labelled_csv, tmp_path / "m.pt", cnn(epochs=3), curves=picture)
    assert made.curves == str(picture)
    data = picture.read_bytes()
    assert data.startswith({"svg": b"<?xml", "png": b"\x89PNG", "pdf": b"%PDF"}[suffix])
    assert sorted(path.name for path in tmp_path.iterdir()) == [picture.name, "m.pt"]
    if suffix == "svg":
        text = data.decode()
        best = f"{made.accuracy:.2%} in epoch {made.best_epoch}"
        assert all(words in text for words in ("loss", "held-out accuracy", "learning rate", best))
        assert "matplotlib.pyplot" not in sys.modules, "it keeps figures for good"


def test_a_picture_that_cannot_be_drawn_is_refused_before_the_work(labelled_csv, tmp_path):
    heard = Heard()
    with pytest.raises(OptionError, match=r"--curves takes a file that ends in \.svg, \.png, \.pdf, not curves\.bmp"):
        finetune(labelled_csv, tmp_path / "m.pt", cnn(), curves=tmp_path / "curves.bmp", listener=heard)
    with pytest.raises(FileError, match="there is no folder"):
        finetune(labelled_csv, tmp_path / "m.pt", cnn(), curves=tmp_path / "no" / "curves.svg", listener=heard)
    assert heard.stages == []


# What is refused


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"arch": "lstm"}, "no architecture 'lstm'; --arch takes bert, cnn"),
        ({"arch": "bert"}, "needs a pretrained one: give its Hugging Face folder by --base"),
        ({"arch": "cnn", "freeze": 1}, "--freeze and --unfreeze are for BERTs"),
        ({"base": "folder", "unfreeze": "at once"}, "--unfreeze takes gradual"),
        ({"arch": "cnn", "test": 0.9}, "test share lies between 0 and what is not held out, 90%"),
        ({"arch": "cnn", "epochs": 0}, "--epochs must be 1 or more, not 0"),
        ({"arch": "cnn", "batch_size": 0}, "--batch-size must be 1 or more, not 0"),
        ({"arch": "cnn", "limit": -5}, "--limit must be 1 or more, not -5"),
        ({"arch": "cnn", "max_length": 0}, "--max-length must be 1 or more, not 0"),
        ({"arch": "cnn", "held_out": 0.0}, "held-out share lies between 0 and 1"),
        ({"arch": "cnn", "held_out": 1.0}, "held-out share lies between 0 and 1"),
    ],
)
def test_settings_that_make_no_sense(settings, message):
    with pytest.raises(OptionError, match=message):
        FinetuneSettings(**settings)


def test_an_out_that_cannot_be_written_is_refused_before_the_data_is_read(labelled_csv, tmp_path):
    heard = Heard()
    for out in (tmp_path, tmp_path / "missing" / "m.pt"):
        with pytest.raises(FileError, match=r"is a folder|no folder"):
            finetune(labelled_csv, out, cnn(), listener=heard)
    assert heard.stages == []


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("good", "1")] * 9, "all examples have the label '1'; a classifier needs two or more classes"),
        ([("good", "1"), ("bad", "0")], "2 examples cannot be split .*give more examples"),
        ([("good", "1")] * 9 + [("bad", "0")], "10 examples cannot be split .*give more examples"),
        ([("good", "1"), ("bad", "3")], "class ids must count from 0"),
        ([], "has a header and no examples"),
    ],
)
def test_data_that_cannot_train(tmp_path, rows, message):
    with pytest.raises(DataError, match=message):
        finetune(write(tmp_path, rows), tmp_path / "m.pt", cnn())
    assert not (tmp_path / "m.pt").exists()


def test_a_base_that_is_no_bert(labelled_csv, tmp_path):
    def tune(base, **changes):
        finetune(labelled_csv, tmp_path / "m.pt", FinetuneSettings(base=base, **changes))

    with pytest.raises(FileError, match=r"is no Hugging Face folder: it has no config.json"):
        tune(tmp_path / "missing")
    make_bert(base := tmp_path / "base")
    with pytest.raises(OptionError, match="--max-length 128 is over the 96 tokens that base reads: lower it"):
        tune(base, max_length=128)
    (base / "vocab.txt").unlink()
    with pytest.raises(TokenizerError, match=r"no tokenizer\.json or vocab\.txt lies in"):
        tune(base, max_length=64)
    (base / "model.safetensors").write_bytes(b"half")
    with pytest.raises(CheckpointError, match="cannot be read as a BERT"):
        tune(base, max_length=64)
    (base / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="cannot be read as a BERT"):
        tune(base, max_length=64)
    assert not (tmp_path / "m.pt").exists()


def test_a_base_of_another_family(labelled_csv, tmp_path):
    make_bert(tmp_path / "base")
    config = json.loads((tmp_path / "base" / "config.json").read_text())
    (tmp_path / "base" / "config.json").write_text(json.dumps({**config, "model_type": "roberta"}))
    with pytest.raises(CheckpointError, match="is a roberta; only BERTs"):
        finetune(labelled_csv, tmp_path / "m.pt", FinetuneSettings(base=tmp_path / "base", max_length=64))


def test_a_cnn_needs_room_for_its_widest_kernel(labelled_csv, tmp_path):
    with pytest.raises(OptionError, match="--max-length must be at least 5"):
        finetune(labelled_csv, tmp_path / "m.pt", cnn(max_length=4))


def write(folder, rows):
    path = folder / "rows.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    return path


def test_the_shared_checkpoints_know_their_data(cnn_checkpoint, bert_checkpoint, labelled_csv):
    for path in (cnn_checkpoint, bert_checkpoint):
        assert accuracy(path, labelled_csv, np.arange(80), 64) > 0.9
