"""Verifying on an older runtime: the LiteRT program's answers in an environment that has that runtime."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgekit_converters.environments import TFLITE_RUNTIME, ask_there, python_of
from edgekit_converters.packing import Part, write_part
from edgekit_converters.quantspec import COMPATIBLE
from edgekit_converters.recipe import Recipe
from edgekit_converters.targets import Target
from edgekit_runtime import jsonio
from edgekit_runtime.answers import Answers
from edgekit_runtime.errors import EngineError, GateError, OptionError
from edgekit_runtime.golden import CLEAR_MARGIN, Golden, described
from edgekit_runtime.loading import default_threads
from edgekit_runtime.manifest import Program
from edgekit_runtime.progress import Listener

ENVIRONMENTS = {"tflite-runtime": TFLITE_RUNTIME}
"""Older runtime to the environment that has it."""

MIN_SAME_LABELS = 0.99
"""Share of texts to which both runtimes must give the same label."""

AT_ONCE = 100
"""Texts that one process is asked for, so that progress can be told."""

START_S, TEXT_S = 120, 5
"""Seconds that a process may take, and each of its texts: a hundred times of what they do take."""


@dataclass(frozen=True, eq=False)
class OlderAnswers:
    """What the older runtime answered: (texts, classes) logits to texts and to golden texts."""

    distribution: str
    logits: NDArray[np.float32]
    golden: NDArray[np.float32]


def check_compat(recipe: Recipe, targets: Sequence[Target]) -> None:
    """Refuses before any work what cannot be made for an older runtime here.

    Raises:
        OptionError: Another target cannot do the scheme.
        MissingExtraError: The environment with that runtime is not installed.
    """
    if recipe.compat is None:
        return
    for target in targets:
        if recipe.scheme not in target.schemes:
            common = [scheme for scheme in COMPATIBLE[recipe.compat] if scheme in target.schemes]
            left_out = f"--route {recipe.route}" if target.name == "litert" else f"--target {target.name}"
            raise OptionError(
                f"--compat {recipe.compat} makes all programs {recipe.scheme}, which {target.name} cannot do: drop "
                f"{left_out}{f', or give --quantize {common[0]}' if common else ''}"
            )
    python_of(ENVIRONMENTS[recipe.compat])


def ask_older(compat: str, part: Part, texts: Sequence[Sequence[int]], listener: Listener) -> OlderAnswers:
    """Has a model's one program answer on an older runtime, through edgekit's own engine there.

    Args:
        compat: The older runtime.
        part: The model with that program.
        texts: Token ids of each text.
        listener: Told of progress.

    Raises:
        EngineError: It refuses the program, fails or gives no answer.
        MissingExtraError: The environment is not installed.
    """
    (program,) = part.programs
    claimed = replace(part, programs=(right_also_on(compat, program),))
    ids = [*texts, *(item.ids for item in part.golden.texts)]
    rows: list[tuple[float, ...]] = []
    distribution = compat
    with tempfile.TemporaryDirectory(prefix="edgekit-") as folder:
        bundle = write_part(Path(folder) / "program.edgekit", claimed)
        for begin in range(0, len(ids), AT_ONCE):
            asked = ids[begin : begin + AT_ONCE]
            options = {"path": str(bundle), "engine": program.engine, "ids": asked, "threads": default_threads()}
            limit_s = START_S + TEXT_S * len(asked)
            found = ask_there(
                ENVIRONMENTS[compat],
                "edgekit_runtime.answers:answers_of",
                options,
                limit_s=limit_s,
                failure=EngineError,
            )
            answers = jsonio.decode(Answers, found, f"the answers of {compat}")
            rows += answers.logits
            distribution = answers.distribution
            listener.progress(min(len(rows), len(texts)), len(texts))
    logits = np.array(rows, dtype=np.float32)
    return OlderAnswers(distribution, logits[: len(texts)], logits[len(texts) :])


def check_same_labels(older: OlderAnswers, logits: NDArray[np.float32], golden: Golden, file: str) -> None:
    """Compares the older runtime's labels with those of the runtime that the program was made for.

    Args:
        older: Its answers.
        logits: (texts, classes) answers of the other runtime.
        golden: The golden texts, with the other runtime's logits for the program.
        file: The program.

    Raises:
        GateError: Too many differ, or one that is clear among the golden texts.
    """
    same = float((older.logits.argmax(axis=1) == logits.argmax(axis=1)).mean())
    if same < MIN_SAME_LABELS:
        raise GateError(
            f"{older.distribution} gives the label that ai-edge-litert gives to {same:.2%} of {len(logits)} texts, and "
            f"{MIN_SAME_LABELS:.0%} are needed; nothing was written: try --quantize fp16 or none"
        )
    for number, (item, row) in enumerate(zip(golden.texts, older.golden, strict=True), 1):
        expected = np.asarray(item.logits[file])
        lowest, highest = np.sort(expected)[-2:]
        if highest - lowest > CLEAR_MARGIN and row.argmax() != expected.argmax():
            raise GateError(
                f"{older.distribution} answers {np.round(row, 3).tolist()} to {described(number, item)}, and "
                f"ai-edge-litert {np.round(expected, 3).tolist()}; nothing was written: try --quantize fp16 or none"
            )


def right_also_on(compat: str, program: Program) -> Program:
    """The program as one that is right on an older runtime, too."""
    return replace(program, right_on=(*program.right_on, compat))
