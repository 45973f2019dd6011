"""Students have the sizes that they are asked for, and start from what their teacher has."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from conftest import PIECES, make_bert
from edgekit_converters.checkpoint import ReadOptions, read_checkpoint, save_checkpoint
from edgekit_converters.distillation.initialise import initial_student
from edgekit_converters.distillation.students import STUDENTS, BertStudent, CnnStudent, find_student, picked_layers
from edgekit_converters.distillation.word_vectors import DEVIATION, answers_to_pieces, principal, student_vectors
from edgekit_converters.model import TextModel
from edgekit_converters.networks.bert import BertConfig
from edgekit_converters.networks.head import HeadLayer
from edgekit_converters.training.learners import fresh_weights
from edgekit_runtime.errors import FileError, OptionError
from originals import network_answers, original_answers, random_rows

ROWS = random_rows(len(PIECES), [3, 9, 17, 30], seed=5)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> TextModel:
    """A random BERT of four layers, 64 wide."""
    folder = tmp_path_factory.mktemp("teacher")
    make_bert(folder, num_hidden_layers=4)
    return read_checkpoint(folder, ReadOptions(), lambda message: None)


@pytest.fixture(scope="module")
def cnn_teacher(cnn_checkpoint: Path) -> TextModel:
    return read_checkpoint(cnn_checkpoint, ReadOptions(), lambda message: None)


def start(student, teacher, seed=1):
    said = []
    return initial_student(student, teacher, seed=seed, say=said.append), said


def of_family(teacher: TextModel, **changes: object) -> TextModel:
    """A random model with the teacher's tokenizer and other sizes."""
    config = dataclasses.replace(teacher.config, **changes)
    return dataclasses.replace(teacher, config=config, weights=fresh_weights(config, seed=3))


def correlation(left, right) -> float:
    return float(np.corrcoef(np.ravel(left), np.ravel(right))[0, 1])


# Layers


@pytest.mark.parametrize(
    ("teacher_layers", "student_layers", "wanted"),
    [
        (6, 3, (2, 4, 6)),
        (12, 3, (4, 8, 12)),
        (6, 4, (2, 3, 5, 6)),
        (6, 1, (6,)),
        (4, 4, (1, 2, 3, 4)),
        (2, 3, (1, 2, 2)),
    ],
)
def test_layers_are_picked_evenly_and_the_last_one_always(teacher_layers, student_layers, wanted):
    assert tuple(layer + 1 for layer in picked_layers(teacher_layers, student_layers)) == wanted


def test_a_student_with_every_layer_answers_as_its_teacher(teacher):
    student, said = start(BertStudent(layers=4), teacher)
    np.testing.assert_allclose(network_answers(student, ROWS), network_answers(teacher, ROWS), atol=1e-6)
    assert said == []


def test_a_student_takes_every_second_layer_and_all_around_them(teacher):
    student, said = start(BertStudent(), teacher)
    assert student.config == dataclasses.replace(teacher.config, layers=2)
    for here, there in ((0, 1), (1, 3)):
        for part in ("attention.self.query.weight", "output.dense.bias", "output.LayerNorm.weight"):
            taken = student.weights[f"bert.encoder.layer.{here}.{part}"]
            assert torch.equal(taken, teacher.weights[f"bert.encoder.layer.{there}.{part}"])
    for name in ("bert.embeddings.word_embeddings.weight", "bert.pooler.dense.weight", "classifier.bias"):
        assert torch.equal(student.weights[name], teacher.weights[name])
    assert said == []
    assert (student.tokenizer, student.labels, student.history) == (teacher.tokenizer, teacher.labels, teacher.history)


def test_training_a_student_leaves_its_teacher_as_it_was(teacher):
    student, _ = start(BertStudent(layers=4), teacher)
    student.weights["classifier.weight"].zero_()
    assert teacher.weights["classifier.weight"].abs().sum() > 0


@pytest.mark.parametrize(
    "changes",
    [
        {"family": "distilbert"},
        {"family": "electra", "embedding": 32},
        {"heads_by_layer": (1, 2, 3, 4), "neurons_by_layer": (10, 20, 30, 40)},
        {"head": (HeadLayer(64, "tanh"), HeadLayer(16, "relu"))},
    ],
)
def test_every_kind_of_bert_can_teach_its_own_kind(teacher, changes):
    model = of_family(teacher, **changes)
    whole, said = start(BertStudent(layers=4), model)
    np.testing.assert_allclose(network_answers(whole, ROWS), network_answers(model, ROWS), atol=1e-6)
    half, _ = start(BertStudent(), model)
    np.testing.assert_allclose(network_answers(half, ROWS), original_answers(half, ROWS), atol=1e-5)
    if model.config.heads_by_layer:
        assert (half.config.heads_by_layer, half.config.neurons_by_layer) == ((2, 4), (20, 40))
    assert said == []


def test_a_student_of_other_heads_starts_its_layers_at_random_and_says_so(teacher):
    student, said = start(BertStudent(layers=2, heads=2, intermediate=100), teacher)
    assert (student.config.heads, student.config.intermediate) == (2, 100)
    assert torch.equal(student.weights["classifier.weight"], teacher.weights["classifier.weight"])
    assert [message for message in said if "its layers start at random" in message] == said != []
    network_answers(student, ROWS)


def test_a_narrow_student_takes_the_tables_along_their_main_directions(teacher):
    student, said = start(BertStudent(layers=2, hidden=32), teacher)
    assert (student.config.hidden, student.config.heads, student.config.intermediate) == (32, 1, 128)
    assert any("32 wide and its teacher 64" in message for message in said)
    mine, theirs = (model.weights["bert.embeddings.word_embeddings.weight"] for model in (student, teacher))
    lost = 1 - spread(mine) / spread(theirs)
    assert 0 < lost < 1 - 32 / 64, "the main directions hold more than their share"
    network_answers(student, ROWS)


def spread(vectors: Tensor) -> float:
    return float(vectors.var(dim=0).sum())


def test_factorised_tables_are_projected_to_what_the_layers_know(teacher):
    """The projection is fitted, so that the teacher's layers still read about what they did."""
    wanted = network_answers(teacher, ROWS)
    near, _ = start(BertStudent(layers=4, embedding=60), teacher)
    rough, _ = start(BertStudent(layers=4, embedding=16), teacher)
    assert (near.config.family, near.config.embedding, near.config.hidden) == ("electra", 60, 64)
    assert correlation(network_answers(near, ROWS), wanted) > 0.95
    assert np.abs(network_answers(near, ROWS) - wanted).mean() < np.abs(network_answers(rough, ROWS) - wanted).mean()
    np.testing.assert_allclose(network_answers(near, ROWS), original_answers(near, ROWS), atol=1e-4)


def test_a_factorised_student_is_a_checkpoint_as_any(teacher, tmp_path):
    student, _ = start(BertStudent(layers=2, embedding=32), teacher)
    save_checkpoint(student, tmp_path / "m.pt")
    again = read_checkpoint(tmp_path / "m.pt", ReadOptions(), lambda message: None)
    np.testing.assert_allclose(network_answers(again, ROWS), network_answers(student, ROWS), atol=1e-6)


def test_random_students_take_nothing_over_and_repeat_themselves_by_the_seed(teacher):
    for student in (BertStudent(init="random"), CnnStudent(init="random")):
        one, again, other = (start(student, teacher, seed)[0] for seed in (1, 1, 2))
        name = "bert.embeddings.word_embeddings.weight" if one.architecture == "bert" else "words.weight"
        assert torch.equal(one.weights[name], again.weights[name])
        assert not torch.equal(one.weights[name], other.weights[name])
        assert one.architecture == "cnn" or not torch.equal(one.weights[name], teacher.weights[name])


def test_a_student_wider_than_its_teacher_starts_at_random(teacher):
    student, said = start(BertStudent(layers=1, hidden=128), teacher)
    network_answers(student, ROWS)
    assert said


# Token vectors of CNNs


@pytest.mark.parametrize("init", ["contextual", "embedding"])
def test_token_vectors_keep_the_likeness_of_the_teachers(teacher, init):
    student, _ = start(CnnStudent(hidden=32, init=init), teacher)
    found = student.weights["words.weight"]
    assert found.shape == (len(PIECES), 32)
    assert float(found.std()) == pytest.approx(DEVIATION, rel=0.01)
    assert torch.allclose(found.mean(dim=0), torch.zeros(32), atol=1e-5)
    given = teacher.weights["bert.embeddings.word_embeddings.weight"]
    if init == "contextual":
        given = torch.cat([standard(given), standard(answers_to_pieces(teacher))], dim=1)
    assert correlation(torch.pdist(found), torch.pdist(given)) > 0.6  # random ones are at 0


def standard(vectors: Tensor) -> Tensor:
    return (vectors - vectors.mean(dim=0)) / vectors.std()


def test_what_a_teacher_makes_of_a_piece_is_what_its_head_reads(teacher):
    """The head of the teacher on these vectors gives its answers to texts of one piece."""
    ids = teacher.tokenizer.special_ids
    states = answers_to_pieces(teacher)[20:30]
    pooled = torch.tanh(
        states @ teacher.weights["bert.pooler.dense.weight"].T + teacher.weights["bert.pooler.dense.bias"]
    )
    logits = pooled @ teacher.weights["classifier.weight"].T + teacher.weights["classifier.bias"]
    wanted = original_answers(teacher, [[ids["cls"], piece, ids["sep"]] for piece in range(20, 30)])
    np.testing.assert_allclose(logits.numpy(), wanted, atol=0.3)  # in bfloat16 where the processor has it
    assert correlation(logits, wanted) > 0.99


def test_principal_directions_are_orthonormal_and_in_order():
    vectors = torch.randn(500, 8, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 9, 2, 8, 3, 7, 4, 6])
    directions = principal(vectors, 5)
    assert torch.allclose(directions.T @ directions, torch.eye(5), atol=1e-5)
    deviations = (vectors @ directions).std(dim=0)
    assert torch.equal(deviations, deviations.sort(descending=True).values)
    assert float(deviations[0]) == pytest.approx(9, rel=0.1)


def test_vectors_wider_than_the_teachers_are_filled_up(teacher):
    found = student_vectors(teacher, 80, contextual=False, seed=1)
    assert found.shape == (len(PIECES), 80)
    assert (found.std(dim=0) > 0).all()


def test_a_cnn_learns_from_a_cnn_and_a_bert_does_not(cnn_teacher):
    student, _ = start(CnnStudent(hidden=16, widths=(1, 2), filters=4, head=8), cnn_teacher)
    assert (student.config.filters, student.config.head) == ((4, 4), (HeadLayer(8, "relu"),))
    assert student.network()(torch.tensor([[2, 7, 3]]), torch.ones(1, 3)).shape == (1, 2)
    with pytest.raises(OptionError, match="a BERT student learns from a BERT, and model is a CNN: take --student cnn"):
        start(BertStudent(), cnn_teacher)


def test_a_teachers_padding_is_no_business_of_its_student(cnn_teacher):
    student, _ = start(CnnStudent(), dataclasses.replace(cnn_teacher, pad_to=12))
    assert student.pad_to is None


# By name and from a file


def test_the_names_say_the_sizes(teacher):
    wide = dataclasses.replace(teacher, config=BertConfig(30522, 384, 6, 12, 1536, 512, 2), name="minilm")
    sizes = {name: student.config(wide) for name, student in STUDENTS.items()}
    assert tuple(sizes) == ("cnn", "cnn-small", "bert-3x384", "bert-2x128")
    assert (sizes["bert-3x384"].layers, sizes["bert-3x384"].hidden) == (3, 384)
    assert (sizes["bert-2x128"].layers, sizes["bert-2x128"].hidden) == (2, 128)
    assert (sizes["bert-3x384"].heads, sizes["bert-3x384"].intermediate) == (12, 1536)
    assert (sizes["bert-2x128"].heads, sizes["bert-2x128"].intermediate) == (2, 512)
    assert sizes["cnn-small"].hidden * 2 <= sizes["cnn"].hidden


FULL_CNN = 'arch = "cnn"\nhidden = 24\nwidths = [1, 3]\nfilters = 20\nhead = 10\ninit = "embedding"'
FULL_BERT = 'arch = "bert"\nlayers = 2\nhidden = 96\nheads = 3\nintermediate = 100\nembedding = 48\ninit = "random"'


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (FULL_CNN, CnnStudent(24, (1, 3), 20, 10, "embedding")),
        (FULL_BERT, BertStudent(2, 96, 3, 100, 48, "random")),
        ('arch = "bert"', BertStudent()),
    ],
)
def test_a_student_of_ones_own(tmp_path, text, wanted):
    path = tmp_path / "my.toml"
    path.write_text(text)
    assert find_student(str(path)) == wanted


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", 'should say arch = "cnn" or arch = "bert", not None'),
        ('arch = "lstm"', 'should say arch = "cnn" or arch = "bert", not lstm'),
        ("arch = [1]", "should say arch"),
        (
            'arch = "cnn"\nfilter = 3',
            r"unknown key 'filter' \(did you mean filters\?\); a cnn can have hidden, widths, ",
        ),
        ('arch = "cnn"\nlayers = 3', "unknown key 'layers'.*; a cnn can have"),
        ('arch = "bert"\nwidths = [3]', "unknown key 'widths'; a bert can have layers, hidden"),
        ('arch = "cnn"\nhidden = "64"', "hidden should be a whole number, not '64'"),
        ('arch = "cnn"\nhidden = 64.0', "hidden should be a whole number"),
        ('arch = "cnn"\nfilters = true', "filters should be a whole number"),
        ('arch = "cnn"\nwidths = 3', "widths should be a list of whole numbers, not '3'"),
        ('arch = "cnn"\nwidths = [1, "2"]', "widths should be a list of whole numbers"),
        ('arch = "cnn"\nwidths = []', "a student's widths must be 1 or more, not 0"),
        ('arch = "cnn"\nhidden = 0', "a student's hidden must be 1 or more, not 0"),
        ('arch = "bert"\nlayers = -1', "a student's layers must be 1 or more, not -1"),
        ('arch = "cnn"\ninit = "pca"', "starts from contextual or embedding or random, not from 'pca'"),
        ('arch = "bert"\ninit = "contextual"', "starts from embedding or random, not from 'contextual'"),
        ('arch = "cnn', "is not valid TOML"),
        (b"arch = '\xff'", "is not valid TOML in UTF-8"),
    ],
)
def test_a_file_that_describes_no_student(tmp_path, text, message):
    path = tmp_path / "my.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(OptionError, match=message) as caught:
        find_student(str(path))
    assert str(caught.value).startswith(str(path))


def test_students_that_there_are_not(tmp_path, teacher):
    with pytest.raises(OptionError, match=r"no student 'lstm'; --student takes cnn, cnn-small, .* or a FILE\.toml"):
        find_student("lstm")
    with pytest.raises(FileError, match="there is no student"):
        find_student(str(tmp_path / "missing.toml"))
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(FileError, match="cannot read"):
        find_student(str(tmp_path / "folder.toml"))
    with pytest.raises(OptionError, match="no such student: 3 heads do not divide the width 64"):
        start(BertStudent(heads=3), teacher)
