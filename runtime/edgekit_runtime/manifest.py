"""What a bundle says of itself: ``manifest.json`` as frozen dataclasses (docs/bundle.md)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from edgekit_runtime import jsonio
from edgekit_runtime.cleaning import STOP_WORDS
from edgekit_runtime.combination import MAIN, Combination
from edgekit_runtime.errors import BundleError, BundleVersionError
from edgekit_runtime.filepart import MOST_BYTES
from edgekit_runtime.monitoring.reference import Reference
from edgekit_runtime.trust.sealed import SCHEMA_VERSION as SEALED_SCHEMA_VERSION
from edgekit_runtime.trust.sealed import Sealed

SCHEMA_VERSION = 3
"""The newest schema that is read; raised when a reader of the former version would answer wrongly. A bundle gets the oldest
one that will do: 3 is for sealed programs and for golden texts without words, 2 for models whose answers are averaged, 1 for
all others."""

_INT32_MAX = 2**31 - 1


@dataclass(frozen=True)
class TensorSpec:
    """One input or output of a program.

    Attributes:
        name: The tensor's name in the program.
        role: ``ids``, ``mask`` or ``logits``.
        dtype: numpy's name of the element type.
        shape: Sizes; ``"L"`` stands for the length of the padded text.
    """

    name: str
    role: str
    dtype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True)
class Program:
    """One lowered form of a model.

    Attributes:
        engine: Name of the engine that runs it.
        file: Its entry in the bundle.
        scheme: How weights and activations are stored (``int8``, ``int8-per-tensor``, ``none``).
        min_engine: Oldest distribution known to run it, "NAME VERSION".
        right_on: Distributions on which its golden texts are known to come out right.
        inputs: Its inputs, by role.
        outputs: Its outputs, by role.
    """

    engine: str
    file: str
    scheme: str
    min_engine: str
    right_on: tuple[str, ...]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


@dataclass(frozen=True)
class TextSpec:
    """How text becomes ids.

    Attributes:
        tokenizer: The bundle's entry with a Hugging Face ``tokenizer.json``.
        kind: ``wordpiece``, ``wordlevel`` or ``char``: what a reader without the tokenizers library must implement.
        lower_case: Whether the tokenizer lowers case.
        clean: Names of the cleaning steps that run before the tokenizer, in order.
        stop_words: The words that the step ``stop-words`` drops; empty without that step.
        max_length: Longest input in tokens, special tokens included; longer texts are cut.
        buckets: Padded lengths in tokens, ascending; the last one is ``max_length``.
        special_ids: Ids of ``pad``, ``unk``, ``cls`` and ``sep``, those that the tokenizer has.
        min_length: Shorter texts are padded to this length, and that padding counts as text (a CNN's widest kernel).
        dropped: Id that the tokenizer gives to unknown words and that is taken out of its answer; None if they count.
        vocab_size: Rows of the model's word table, which no id may reach; None in bundles of an older edgekit.
    """

    tokenizer: str
    kind: str
    lower_case: bool
    max_length: int
    buckets: tuple[int, ...]
    special_ids: dict[str, int]
    clean: tuple[str, ...] = ()
    stop_words: tuple[str, ...] = ()
    min_length: int = 1
    dropped: int | None = None
    vocab_size: int | None = None


@dataclass(frozen=True)
class ModelEntry:
    """One model of the bundle: its role, which no other has, its text, its golden texts and its lowered forms."""

    role: str
    text: TextSpec
    golden: str
    programs: tuple[Program, ...]


@dataclass(frozen=True)
class FileEntry:
    """Checksum (lower-case hexadecimal) and size of one entry of the bundle."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class HistoryStep:
    """One stage that made the bundle, with its settings and the versions of the tools that it used."""

    stage: str
    settings: dict[str, Any] = field(default_factory=dict)
    tools: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Verification:
    """A lowered program against the original, as measured at conversion.

    Attributes:
        engine: Engine that ran the program.
        role: Role of the model in the bundle.
        examples: Number of texts.
        agreement: Share of texts on which the program and the float network give the same label.
        max_abs_logit_diff: Largest difference of any logit between the two.
        accuracy: Of the program; null without labels, as the next three are.
        accuracy_float: Of the network that was lowered, truncated as the program is.
        accuracy_original: Of the checkpoint as it was given, run by its own code at its own length limit.
        f1: Macro average of the program's F1.
        truncated: Share of texts that were longer than ``max_length``.
        distribution: The package that ran the program, and its version; empty in bundles that did not record it.
    """

    engine: str
    role: str
    examples: int
    agreement: float
    max_abs_logit_diff: float
    accuracy: float | None
    accuracy_float: float | None
    accuracy_original: float | None
    f1: float | None
    truncated: float
    distribution: str = ""


@dataclass(frozen=True)
class Manifest:
    """The whole of ``manifest.json``. Without ``combine`` the model of role ``main`` answers, whatever others there are.

    ``reference`` is how the bundle answered the labelled texts that it was verified on, for monitors.
    """

    name: str
    labels: tuple[str, ...]
    models: tuple[ModelEntry, ...]
    combine: Combination | None = None
    files: dict[str, FileEntry] = field(default_factory=dict)
    history: tuple[HistoryStep, ...] = ()
    verify: tuple[Verification, ...] = ()
    sealed: Sealed | None = None
    reference: Reference | None = None
    schema_version: int = 1

    @property
    def program_files(self) -> tuple[str, ...]:
        """The entries that are programs, each once."""
        return tuple(dict.fromkeys(program.file for model in self.models for program in model.programs))

    @property
    def main(self) -> ModelEntry:
        """The model that answers; of several that answer as one, the one whose role is ``main``."""
        return next(model for model in self.models if model.role == MAIN)

    @property
    def answering(self) -> tuple[ModelEntry, ...]:
        """The models that answer, in the order in which they are asked."""
        if self.combine is None:
            return (self.main,)
        by_role = {model.role: model for model in self.models}
        return tuple(by_role[role] for role in self.combine.order)

    def to_bytes(self) -> bytes:
        """The manifest as UTF-8 JSON."""
        return jsonio.to_bytes(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> Manifest:
        """Reads and checks a manifest.

        Raises:
            BundleVersionError: It was written by a newer edgekit.
            BundleError: It is malformed; the message names the place.
        """
        raw = parse_json(data, "manifest.json")
        version = raw.get("schema_version") if isinstance(raw, dict) else None
        if isinstance(version, int) and version > SCHEMA_VERSION:
            raise BundleVersionError(
                f"the bundle has schema version {version}, and this edgekit reads up to {SCHEMA_VERSION}: "
                "upgrade it (pip install -U edgekit)"
            )
        manifest = jsonio.decode(cls, raw, "manifest.json")
        if not manifest.schema_version >= 1:
            raise BundleError(f"manifest.json has schema version {manifest.schema_version}; versions begin at 1")
        _check(manifest)
        return manifest


def parse_json(data: bytes, where: str) -> Any:
    """Reads UTF-8 JSON out of a bundle, or raises a BundleError that names the place."""
    if len(data) > MOST_BYTES:
        raise BundleError(f"{where} has {len(data)} bytes; no bundle needs that")
    try:
        return json.loads(data.decode())  # of bytes alone json would guess UTF-16 and UTF-32, too
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{where} is not valid JSON ({error}); the file is damaged or was edited") from error


def _check(manifest: Manifest) -> None:
    """Refuses a manifest whose parts do not fit together."""
    if len(manifest.labels) < 2 or len(set(manifest.labels)) != len(manifest.labels):
        raise BundleError(f"manifest.json needs two or more different labels, not {list(manifest.labels)}")
    roles = [model.role for model in manifest.models]
    if roles.count(MAIN) != 1:
        raise BundleError("manifest.json needs exactly one model of role 'main'")
    if len(set(roles)) != len(roles):
        raise BundleError(f"manifest.json has two models of one role ({', '.join(roles)}); each needs its own")
    if manifest.combine is not None:
        manifest.combine.check(roles)
        if manifest.schema_version < manifest.combine.schema_version:
            raise BundleError(
                f"manifest.json has an {manifest.combine.kind}, which needs schema version "
                f"{manifest.combine.schema_version}, not {manifest.schema_version}"
            )
    if manifest.reference is not None:
        manifest.reference.check(len(manifest.labels), "manifest.json.reference")
    for model in manifest.models:
        buckets = model.text.buckets
        if not buckets or list(buckets) != sorted(set(buckets)) or buckets[0] < 1:
            raise BundleError(f"manifest.json: buckets must be positive and ascend, not {list(buckets)}")
        if buckets[-1] != model.text.max_length:
            raise BundleError("manifest.json: the largest bucket must equal max_length")
        if not 1 <= model.text.min_length <= model.text.max_length:
            raise BundleError("manifest.json: min_length must lie between 1 and max_length")
        if "pad" not in model.text.special_ids:
            raise BundleError("manifest.json: special_ids has no 'pad'")
        numbers = (*model.text.special_ids.values(), *buckets, model.text.dropped or 0)
        if not all(0 <= number <= _INT32_MAX for number in numbers):
            raise BundleError("manifest.json: buckets, special_ids and dropped must be 32-bit integers from 0")
        rows = model.text.vocab_size
        if rows is not None and not max(model.text.special_ids.values()) < rows <= _INT32_MAX:
            raise BundleError(f"manifest.json: vocab_size must be a 32-bit integer above special_ids, not {rows}")
        if model.text.dropped in model.text.special_ids.values():
            raise BundleError("manifest.json: the id that is dropped must not be one of special_ids")
        if bool(model.text.stop_words) != (STOP_WORDS in model.text.clean):
            raise BundleError(
                f"manifest.json must have both stop_words and the step {STOP_WORDS!r} in clean, or neither"
            )
        for output in (output for program in model.programs for output in program.outputs if output.role == "logits"):
            if output.shape[-1:] != (len(manifest.labels),):
                raise BundleError(
                    f"manifest.json names {len(manifest.labels)} labels, and logits of shape {list(output.shape)}"
                )
        named = {model.text.tokenizer, model.golden, *(program.file for program in model.programs)}
        if missing := sorted(named - manifest.files.keys()):
            raise BundleError(f"manifest.json names {', '.join(missing)}, but not under 'files'")
    if manifest.sealed is not None:
        manifest.sealed.check(manifest.program_files, {name: entry.bytes for name, entry in manifest.files.items()})
        if manifest.schema_version < SEALED_SCHEMA_VERSION:
            raise BundleError(
                f"manifest.json has sealed programs, which need schema version {SEALED_SCHEMA_VERSION}, "
                f"not {manifest.schema_version}"
            )
