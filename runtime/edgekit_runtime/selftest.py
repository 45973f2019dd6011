"""Does every program of a bundle answer its golden texts on the engines that are here?"""

from __future__ import annotations

from dataclasses import dataclass

from edgekit_runtime.bundle import Bundle
from edgekit_runtime.engines import engine_class
from edgekit_runtime.errors import EngineUnavailableError
from edgekit_runtime.loading import load_alone
from edgekit_runtime.trial import try_program


@dataclass(frozen=True)
class ProgramTest:
    """What came of one program.

    Attributes:
        role: Role of its model.
        engine: The engine that it is for.
        file: Its entry in the bundle.
        golden: Whether it answered its golden texts rightly; else it was not run.
        reason: Why it was not run; None if it was.
    """

    role: str
    engine: str
    file: str
    golden: bool
    reason: str | None


def run_golden_texts(bundle: Bundle, *, trial: bool = False) -> tuple[ProgramTest, ...]:
    """Runs the golden texts of every model through every engine that is installed.

    Args:
        bundle: The bundle.
        trial: Whether each program runs in a process of its own, so that one that crashes, hangs or eats memory is an error.

    Raises:
        GoldenMismatchError: A program answers wrongly.
        EngineError, BundleError: An engine refuses its program, or an entry of the bundle is damaged.
        EngineUnavailableError: There is a model of which no program can run here.
    """
    tests = []
    for model in bundle.manifest.models:
        of_model = []
        for program in model.programs:
            reason = _unavailable(program.engine)
            if reason is None and trial:
                try_program(bundle, model.role, program.engine, None)
            elif reason is None:
                load_alone(bundle, model.role, engine=program.engine).close()
            of_model.append(ProgramTest(model.role, program.engine, program.file, reason is None, reason))
        if not any(test.golden for test in of_model):
            raise EngineUnavailableError(
                "; ".join(str(test.reason) for test in of_model) or f"the model {model.role!r} has no program"
            )
        tests += of_model
    return tuple(tests)


def _unavailable(engine: str) -> str | None:
    """Why an engine cannot run here, also one that this edgekit does not know; None if it can."""
    try:
        return engine_class(engine).unavailable()
    except EngineUnavailableError as error:
        return str(error)
