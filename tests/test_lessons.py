"""What a student learns from: labels stay with their texts, and what is held out stays out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edgekit_converters.augmentation.augment import AugmentSettings
from edgekit_converters.checkpoint import ReadOptions, read_checkpoint
from edgekit_converters.data import LabelledText
from edgekit_converters.distillation import customs
from edgekit_converters.distillation.customs import distill_settings
from edgekit_converters.distillation.distill import DistillSettings
from edgekit_converters.distillation.lessons import lessons_of
from edgekit_converters.distillation.students import BertStudent, CnnStudent
from edgekit_converters.model import TextModel
from edgekit_converters.training.settings import TrainSettings
from edgekit_runtime.errors import OptionError
from edgekit_runtime.progress import LogListener

DOCUMENT = Path(__file__).parents[1] / "docs" / "students.md"
SHORT = tuple(
    f"the {thing} was {how}" for thing in ("film", "room", "phone", "meal", "story") for how in ("good", "bad")
)
LABELS = tuple(int(text.endswith("good")) for text in SHORT)


@pytest.fixture(scope="module")
def teacher(bert_checkpoint: Path) -> TextModel:
    return read_checkpoint(bert_checkpoint, ReadOptions(), lambda message: None)


def lessons(teacher, unlabelled=(), copies=0):
    data = LabelledText(SHORT, LABELS, "test", teacher.labels)
    return lessons_of(
        data,
        teacher,
        TrainSettings(held_out=0.2),
        unlabelled=unlabelled,
        augmentation=AugmentSettings(copies=copies),
        listener=LogListener(),
    )


def test_labels_stay_with_their_texts(teacher):
    made = lessons(teacher, ("so what", "who knows"), copies=3)
    truth = dict(zip(SHORT, LABELS, strict=True))
    assert [truth[text] for text in made.labelled] == list(made.labels)
    assert [truth[text] for text in made.held_out] == list(made.held_out_labels)
    assert {*made.labelled, *made.held_out} == {*SHORT}
    assert made.texts[len(made.labels) :][: made.unlabelled] == ("so what", "who knows")
    assert made.made > 3
    assert len(made.texts) == len(made.labels) + made.unlabelled + made.made


def test_what_is_held_out_is_learned_from_nowhere(teacher):
    made = lessons(teacher, (*SHORT, "so what", "so what"), copies=20)
    assert not {*made.texts} & {*made.held_out}
    assert made.unlabelled == 1
    assert len({*made.texts}) == len(made.texts)


def test_texts_that_differ_in_white_space_or_case_are_one(teacher):
    """Data comes with spaces behind, and what is made of it does not."""
    texts = tuple(f"{text} " for text in SHORT) + tuple(text.upper() for text in SHORT)
    data = LabelledText(texts, LABELS * 2, "test", teacher.labels)
    made = lessons_of(
        data,
        teacher,
        TrainSettings(held_out=0.2),
        unlabelled=[*SHORT, *(f"  {text}" for text in SHORT)],
        augmentation=AugmentSettings(copies=20, mask=0.0, swap=0.0, ngram=0.0, crop=0.5, join=0.0),
        listener=LogListener(),
    )
    plain = [text.strip().lower() for text in made.texts]
    assert not {*plain} & {text.strip().lower() for text in made.held_out}
    truth = dict(zip(SHORT, LABELS, strict=True))
    assert [truth[text.strip().lower()] for text in made.labelled] == list(made.labels)


def test_a_held_out_text_that_is_long_leaks_in_no_part(teacher):
    long = "It was good. It was really good, all of it, in the end and before. The end."
    texts = (*SHORT, long)
    data = LabelledText(texts, (*LABELS, 1), "test", teacher.labels)
    for seed in range(8):
        made = lessons_of(
            data,
            teacher,
            TrainSettings(held_out=0.3, seed=seed),
            unlabelled=texts,
            augmentation=AugmentSettings(copies=0),
            listener=LogListener(),
        )
        if long in made.held_out:
            assert not any(text.startswith("It was") for text in made.texts)
            return
    pytest.fail("the long text was never held out")


def test_long_texts_without_labels_are_cut_into_sentences(teacher):
    made = lessons(teacher, ("It was good. It was really good, all of it. The end.", "a. b"))
    assert made.texts[len(made.labels) :] == ("It was good.", "It was really good, all of it.", "The end.", "a. b")


# What suits a student


def test_what_is_not_said_is_as_it_suits_the_kind():
    assert distill_settings("cnn", epochs=None, copies=None).epochs == customs.CUSTOMS[CnnStudent]["epochs"]
    assert distill_settings("bert-3x384").augment.copies == customs.COPIES[BertStudent]
    said = distill_settings("cnn", epochs=9, copies=0, dropout=0.4, augment={"mask": 0.3})
    assert (said.epochs, said.dropout, said.augment) == (9, 0.4, AugmentSettings(copies=0, mask=0.3))
    assert isinstance(said, DistillSettings)
    with pytest.raises(OptionError, match="--epochs must be 1 or more"):
        distill_settings("cnn", epochs=0)
    with pytest.raises(OptionError, match="no student 'lstm'"):
        distill_settings("lstm")


def test_the_document_tells_what_suits_each_kind():
    rows = re.findall(r"^\| (CNN|BERT) \| (.*) \|$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    told = {kind: [cell.split(",")[0] for cell in cells.split(" | ")] for kind, cells in rows}
    for kind, student in (("CNN", CnnStudent), ("BERT", BertStudent)):
        fields = {"learning_rate": 5e-5, **customs.CUSTOMS[student], "copies": customs.COPIES[student]}
        order = ("epochs", "batch_size", "learning_rate", "warmup", "dropout", "clip", "copies")
        assert [float(cell) for cell in told[kind]] == [fields[name] for name in order]
