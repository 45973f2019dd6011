"""The command line: one file a command. Each parses, calls the API and prints.

A call loads the file of its own command alone, so that ``edgekit predict`` does not wait for what ``edgekit serve`` needs.
"""

from __future__ import annotations

import functools
import importlib
import io
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterable
from typing import Annotated

import typer

from edgekit.cli.terminal import DEBUG, harmless
from edgekit_runtime import __version__
from edgekit_runtime.errors import EdgekitError

EXIT_ERROR = 1
EXIT_INTERRUPTED = 130


def _guarded(command: Callable[..., None]) -> Callable[..., None]:
    """The one place where an error becomes a message and an exit code."""

    @functools.wraps(command)
    def run(*args: object, **kwargs: object) -> None:
        try:
            command(*args, **kwargs)
        except EdgekitError as error:
            if os.environ.get(DEBUG):
                traceback.print_exc()
            sys.stderr.write(f"edgekit: error: {harmless(' '.join(str(error).split()))}\n")
            sys.exit(EXIT_ERROR)
        except KeyboardInterrupt:
            sys.stderr.write("\nedgekit: interrupted; nothing half-written was left behind\n")
            sys.exit(EXIT_INTERRUPTED)
        except BrokenPipeError:  # the reader of our output has seen enough, as with | head
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        except OSError as error:
            if os.environ.get(DEBUG):
                traceback.print_exc()
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is still in its buffer can go nowhere
            sys.stderr.write(f"edgekit: error: the system says: {error.strerror or error}; --debug shows where\n")
            sys.exit(EXIT_ERROR)
        except Exception as error:  # a defect of edgekit's own, or of a library's
            if os.environ.get(DEBUG):
                traceback.print_exc()
            reason = harmless(" ".join(str(error).split())[:200])
            sys.stderr.write(
                f"edgekit: error: unexpected {type(error).__name__}: {reason}; run again with --debug and report what it shows\n"
            )
            sys.exit(EXIT_ERROR)

    return run


def _group(name: str) -> typer.Typer:
    """A command with commands of its own."""
    return typer.Typer(
        name=name,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


COMMANDS = (
    *("convert", "predict", "eval", "profile", "compare", "inspect", "verify", "serve"),
    *("finetune", "distill", "prune", "tune", "fuse", "strip", "keygen", "sign", "seal", "demo", "doctor", "android"),
)
"""In the order of the help."""

MODULES = {"eval": "evaluate"}
"""Where the file of a command has another name."""


def command_line(names: Iterable[str] = COMMANDS) -> typer.Typer:
    """The command line with these commands, each loaded from its file."""
    app = _group("edgekit")
    app.callback()(_edgekit)
    for name in names:
        module = importlib.import_module(f"edgekit.cli.{MODULES.get(name, name)}")
        if name == "android":
            group = _group(name)
            for command in (module.build, module.install, module.bench):
                group.command()(_guarded(command))
            app.add_typer(group, help=module.HELP)
        else:
            app.command(name)(_guarded(module.command))
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"edgekit {__version__}\n")
        raise typer.Exit


def _edgekit(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print it.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks; may stand anywhere.")] = False,
) -> None:
    """Make a fine-tuned sentiment classifier run well on a phone or an edge board.

    \b
    Example:
      $ edgekit convert model.pt --eval dev.tsv
      $ edgekit predict model.edgekit "what a film"
    """
    if debug:
        os.environ[DEBUG] = "1"
    else:  # torch remarks on torchao's enums, which is no business of the user's
        logging.getLogger("torch.utils._pytree").setLevel(logging.ERROR)


def main() -> None:
    """Runs the command line; what the ``edgekit`` script calls."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # closed by the caller, as with >&-
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that is not UTF-8 still gets its answers
    arguments = sys.argv[1:]
    end = arguments.index("--") if "--" in arguments else len(arguments)
    if "--debug" in arguments[:end]:
        arguments.remove("--debug")
        arguments.insert(0, "--debug")
    called = next((argument for argument in arguments if not argument.startswith("-")), None)
    command_line((called,) if called in COMMANDS else COMMANDS)(arguments, prog_name="edgekit")
