"""The small models that a teacher is distilled into: by name, or from a TOML file (docs/students.md)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgekit_converters.model import TextModel
from edgekit_converters.networks.bert import BertConfig
from edgekit_converters.networks.cnn import CnnConfig
from edgekit_converters.networks.head import HeadLayer
from edgekit_runtime.errors import CheckpointError, OptionError

INITS = ("contextual", "embedding", "random")
"""What a student's word table may start from."""

HEAD_WIDTH = 64
"""Of attention heads, by BERT's custom, where a student does not say how many it has."""


def _check(sizes: dict[str, int], init: str, inits: tuple[str, ...]) -> None:
    for name, size in sizes.items():
        if size < 1:
            raise OptionError(f"a student's {name} must be 1 or more, not {size}")
    if init not in inits:
        raise OptionError(f"a student starts from {' or '.join(inits)}, not from {init!r}; correct init")


@dataclass(frozen=True)
class CnnStudent:
    """A CNN by Kim (2014).

    Attributes:
        hidden: Width of the token vectors.
        widths: Kernel widths, in tokens.
        filters: Filters of each kernel width.
        head: Width of one layer with a ReLU between the filters' maxima and the classifier; None has none.
        init: What the token vectors start from, one of INITS (``distillation.word_vectors``).
    """

    hidden: int = 64
    widths: tuple[int, ...] = (1, 2, 3, 4, 5)
    filters: int = 100
    head: int | None = None
    init: str = "contextual"

    def __post_init__(self) -> None:
        sizes = {"hidden": self.hidden, "widths": min(self.widths, default=0), "filters": self.filters}
        _check(sizes | {"head": 1 if self.head is None else self.head}, self.init, INITS)

    def config(self, teacher: TextModel) -> CnnConfig:
        """Its sizes, for the teacher's vocabulary and labels."""
        return CnnConfig(
            vocab_size=teacher.config.vocab_size,
            hidden=self.hidden,
            widths=self.widths,
            filters=(self.filters,) * len(self.widths),
            classes=teacher.config.classes,
            head=() if self.head is None else (HeadLayer(self.head, "relu"),),
        )


@dataclass(frozen=True)
class BertStudent:
    """A BERT with fewer layers, and perhaps narrower; what is None is the teacher's.

    Attributes:
        layers: Number of encoder layers; None takes half of the teacher's.
        hidden: Width of the token vectors.
        heads: Attention heads of a layer; None takes the teacher's, in another width one for each 64 of ``hidden``.
        intermediate: Width of the feed-forward layers; None takes the teacher's, in another width four times ``hidden``.
        embedding: Width of the tables, whose vectors are projected to ``hidden`` as ELECTRA's are; None is ``hidden``.
        init: ``embedding`` takes over what of the teacher fits (``distillation.initialise``), ``random`` nothing.
    """

    layers: int | None = None
    hidden: int | None = None
    heads: int | None = None
    intermediate: int | None = None
    embedding: int | None = None
    init: str = "embedding"

    def __post_init__(self) -> None:
        sizes = {name: getattr(self, name) for name in ("layers", "hidden", "heads", "intermediate", "embedding")}
        _check({name: 1 if size is None else size for name, size in sizes.items()}, self.init, INITS[1:])

    def config(self, teacher: TextModel) -> BertConfig:
        """Its sizes, beside the teacher's.

        Raises:
            OptionError: The teacher is a CNN, or the heads do not divide the width.
        """
        given = teacher.config
        if not isinstance(given, BertConfig):
            raise OptionError(
                f"a BERT student learns from a BERT, and {teacher.name} is a CNN: take --student cnn or cnn-small"
            )
        hidden = self.hidden or given.hidden
        same = hidden == given.hidden
        heads = self.heads or (given.heads if same else max(1, hidden // HEAD_WIDTH))
        intermediate = self.intermediate or (given.intermediate if same else 4 * hidden)
        width = self.embedding or (given.embedding if same else None) or hidden
        layers = self.layers or max(1, given.layers // 2)
        alike = same and (heads, intermediate) == (given.heads, given.intermediate)
        family = given.family if width == hidden or width == given.embedding else "electra"
        taken = picked_layers(given.layers, layers)
        try:
            return BertConfig(
                vocab_size=given.vocab_size,
                hidden=hidden,
                layers=layers,
                heads=heads,
                intermediate=intermediate,
                positions=given.positions,
                classes=given.classes,
                layer_norm_eps=given.layer_norm_eps,
                activation=given.activation,
                family=family,
                embedding=None if width == hidden else width,
                head=None if not same else given.head if family == given.family else given.head_layers,
                heads_by_layer=_of(given.heads_by_layer, taken) if alike else None,
                neurons_by_layer=_of(given.neurons_by_layer, taken) if alike else None,
            )
        except CheckpointError as error:
            raise OptionError(f"no such student: {error}") from error


Student = CnnStudent | BertStudent

STUDENTS: dict[str, Student] = {
    "cnn": CnnStudent(),
    "cnn-small": CnnStudent(hidden=32, widths=(1, 2, 3, 4), filters=64),
    "bert-3x384": BertStudent(layers=3, hidden=384),
    "bert-2x128": BertStudent(layers=2, hidden=128),
}


def find_student(name: str) -> Student:
    """The student with that name, or in that TOML file.

    Raises:
        FileError: There is no such file, or it cannot be read.
        OptionError: There is no such student, or the file describes none.
    """
    if name in STUDENTS:
        return STUDENTS[name]
    if Path(name).suffix != ".toml":
        raise OptionError(f"there is no student {name!r}; --student takes {', '.join(STUDENTS)} or a FILE.toml")
    from edgekit_converters.distillation.student_file import read_student

    return read_student(Path(name))


def picked_layers(teacher: int, student: int) -> tuple[int, ...]:
    """Which of the teacher's layers each of the student's follows, counted from 0: evenly, the last one always.

    Three of six are the second, fourth and sixth. A deeper student follows some of them twice.
    """
    return tuple(-(-(index + 1) * teacher // student) - 1 for index in range(student))


def _of(values: tuple[int, ...] | None, layers: tuple[int, ...]) -> tuple[int, ...] | None:
    return None if values is None else tuple(values[layer] for layer in layers)
