"""Packing: verified models become one bundle. It needs no torch, so that bundles can be fused without."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgekit_converters.stripping import stripped
from edgekit_runtime import jsonio
from edgekit_runtime.bundle import open_bundle, write_bundle_file
from edgekit_runtime.combination import MAIN, Combination
from edgekit_runtime.errors import BundleError, FileError, SealError
from edgekit_runtime.golden import Golden, GoldenText, file_of_key
from edgekit_runtime.manifest import HistoryStep, Manifest, ModelEntry, Program, TextSpec, Verification
from edgekit_runtime.monitoring.reference import Reference
from edgekit_runtime.selftest import run_golden_texts

GOLDEN = "golden.json"


@dataclass(frozen=True)
class Part:
    """A verified model, ready to be packed. ``Verified.part`` makes one, and ``read_part`` from a bundle.

    Attributes:
        name: What the user calls it, for messages and for the history.
        labels: Names of the classes, in the order of the logits.
        text: How text becomes ids.
        tokenizer: Its ``tokenizer.json``.
        golden: The texts for the self-test, with each program's logits.
        programs: The programs, each with its contents under its file's name in ``contents``.
        contents: Program file to contents.
        reports: What verification measured, one report a program.
        history: The stages that made it.
        reference: How its answers to labelled texts are spread; None without such texts.
    """

    name: str
    labels: tuple[str, ...]
    text: TextSpec
    tokenizer: bytes
    golden: Golden
    programs: tuple[Program, ...]
    contents: Mapping[str, bytes]
    reports: tuple[Verification, ...]
    history: tuple[HistoryStep, ...]
    reference: Reference | None = None

    @property
    def size_bytes(self) -> int:
        """The size of its programs and its tokenizer."""
        return len(self.tokenizer) + sum(map(len, self.contents.values()))


def read_part(path: str | os.PathLike[str]) -> Part:
    """A bundle's model as it was packed, every checksum compared.

    Raises:
        FileError, BundleError: The file is missing, damaged or no bundle; it holds several models; or it does not say how
            each of its programs was verified.
    """
    bundle = open_bundle(path)
    manifest, model = bundle.manifest, bundle.manifest.main
    if manifest.sealed is not None:
        raise SealError(
            f"the programs of {path} are sealed; give the bundle as it was before, and seal what is made of it"
        )
    if len(manifest.models) > 1:
        raise BundleError(f"{path} holds several models already; give the bundles that it was made of")
    verified = {report.engine for report in manifest.verify}
    if unverified := [program.engine for program in model.programs if program.engine not in verified]:
        raise BundleError(
            f"{path} does not say how its program for {', '.join(unverified)} was verified; convert the model anew"
        )
    golden = Golden.from_bytes(bundle.read(model.golden), model.golden)
    for program in model.programs:
        if any(program.file not in item.logits for item in golden.texts):
            raise BundleError(f"{path} has golden texts without logits for {program.file}; convert the model anew")
    return Part(
        name=manifest.name,
        labels=manifest.labels,
        text=model.text,
        tokenizer=bundle.read(model.text.tokenizer),
        golden=golden,
        programs=model.programs,
        contents={program.file: bundle.read(program.file) for program in model.programs},
        reports=manifest.verify,
        history=manifest.history,
        reference=manifest.reference,
    )


def join_programs(one: Part, other: Part) -> Part:
    """One part with the programs of two that were made of the same model, by one scheme an engine for example.

    Raises:
        BundleError: They are of different models, or both have a program for the same engine.
    """
    if (one.labels, one.text, one.tokenizer) != (other.labels, other.text, other.tokenizer) or not _same_texts(
        one.golden, other.golden
    ):
        raise BundleError(f"{one.name} and {other.name} are not of one model: their programs cannot share a bundle")
    if twice := one.contents.keys() & other.contents.keys():
        raise BundleError(f"{one.name} and {other.name} both have {', '.join(sorted(twice))}: convert one without it")
    texts = zip(one.golden.texts, other.golden.texts, strict=True)
    return replace(
        one,
        golden=Golden(
            tuple(
                GoldenText(None if second.text is None else first.text, first.ids, first.logits | second.logits)
                for first, second in texts
            )
        ),
        programs=(*one.programs, *other.programs),
        contents={**one.contents, **other.contents},
        reports=(*one.reports, *other.reports),
        history=(*one.history, *(step for step in other.history if step not in one.history)),
    )


def _same_texts(one: Golden, other: Golden) -> bool:
    """Whether golden texts are the same; of what was stripped off the ids suffice."""
    return len(one.texts) == len(other.texts) and all(
        first.ids == second.ids and (first.text == second.text or None in (first.text, second.text))
        for first, second in zip(one.texts, other.texts, strict=True)
    )


def write_part(path: str | Path, part: Part, *, strip: bool = False) -> Path:
    """Packs one model, which thereby is the bundle's ``main``.

    Args:
        path: Where it goes; an existing file is replaced.
        part: The model.
        strip: Whether golden texts and history are left out, as :func:`edgekit_converters.stripping.stripped` does.

    Raises:
        FileError: The place cannot be written; nothing is left behind.
    """
    entry, contents = _entry(MAIN, part, {})
    manifest = Manifest(
        name=Path(path).stem,
        labels=part.labels,
        models=(entry,),
        history=part.history,
        verify=part.reports,
        schema_version=part.golden.schema_version,
        reference=part.reference,
    )
    return write_bundle_file(path, *(stripped(manifest, contents) if strip else (manifest, contents)))


def write_parts(
    path: str | Path,
    parts: Mapping[str, Part],
    combine: Combination,
    steps: Sequence[HistoryStep] = (),
    *,
    reference: Reference | None = None,
    strip: bool = False,
) -> Path:
    """Packs several models that answer as one. The golden texts run on what was packed before it takes its place.

    Args:
        path: Where it goes; an existing file is replaced.
        parts: Role to model; one role is ``main``.
        combine: How they answer.
        steps: What was done to combine them; goes behind the histories of the models, whose settings get their role.
        reference: How their common answers to labelled texts are spread; None without such texts.
        strip: As of :func:`write_part`.

    Raises:
        BundleError: The parts and the combination do not go together.
        EngineError: A packed program does not run here or answers otherwise than it did; nothing was written.
        FileError: The place cannot be written; nothing is left behind.
    """
    path = Path(path)
    roles = [MAIN, *(role for role in parts if role != MAIN)]
    models: list[ModelEntry] = []
    contents: dict[str, bytes] = {}
    history: list[HistoryStep] = []
    for role in roles:
        entry, added = _entry(role, parts[role], contents)
        models.append(entry)
        contents |= added
        history = [*_with_role(role, parts[role].history), *history]  # main last: its settings are the bundle's recipe
    manifest = Manifest(
        name=path.stem,
        labels=parts[MAIN].labels,
        models=tuple(models),
        combine=combine,
        history=(*history, *steps),
        verify=tuple(replace(report, role=role) for role in roles for report in parts[role].reports),
        schema_version=max(combine.schema_version, *(part.golden.schema_version for part in parts.values())),
        reference=reference,
    )
    packed = stripped(manifest, contents) if strip else (manifest, contents)
    try:
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
            made = write_bundle_file(Path(folder) / path.name, *packed)
            run_golden_texts(open_bundle(made))
            os.replace(made, path)
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror}; nothing was left behind") from error
    return path


def _entry(role: str, part: Part, packed: Mapping[str, bytes]) -> tuple[ModelEntry, dict[str, bytes]]:
    """The model in the manifest, and its entries but for a tokenizer that is in the bundle already."""
    prefix = "" if role == MAIN else f"{role}-"
    tokenizer = next((name for name, data in packed.items() if data == part.tokenizer), f"{prefix}tokenizer.json")
    files = [program.file for program in part.programs]
    texts = tuple(
        replace(item, logits={f"{prefix}{key}": row for key, row in item.logits.items() if file_of_key(key) in files})
        for item in part.golden.texts
    )
    entry = ModelEntry(
        role,
        replace(part.text, tokenizer=tokenizer),
        f"{prefix}{GOLDEN}",
        tuple(replace(program, file=f"{prefix}{program.file}") for program in part.programs),
    )
    contents = {
        tokenizer: part.tokenizer,
        entry.golden: jsonio.to_bytes(Golden(texts)),
        **{f"{prefix}{program.file}": part.contents[program.file] for program in part.programs},
    }
    return entry, {name: data for name, data in contents.items() if name not in packed}


def _with_role(role: str, history: Sequence[HistoryStep]) -> list[HistoryStep]:
    return [replace(step, settings={**step.settings, "role": role}) for step in history]
