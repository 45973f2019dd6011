"""Help: each command shows an example, and each example is a valid call."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
import typer.main

from edgekit.cli import command_line
from test_cli import edgekit

GROUP: Any = typer.main.get_command(command_line())
COMMANDS = (
    *("convert", "predict", "eval", "profile", "compare", "inspect", "verify", "serve"),
    *("finetune", "distill", "prune", "tune", "fuse", "strip", "keygen", "sign", "seal", "demo", "doctor", "android"),
)
OF_ANDROID = ("build", "install", "bench")
PATHS = ((), *((name,) for name in COMMANDS), *(("android", name) for name in OF_ANDROID))


def examples(text: str) -> list[list[str]]:
    """The arguments of every line that calls edgekit."""
    lines = [line.strip().removeprefix("$ ") for line in text.splitlines() if line.strip().startswith("$ ")]
    return [shlex.split(line) for line in lines]


def parse(arguments: list[str], group: Any = GROUP) -> tuple[str, ...]:
    """Parses a call without running it; the name of its command, and of the one in it."""
    name, *rest = arguments
    if name not in group.commands:
        raise LookupError(f"No such command {name}")
    command = group.commands[name]
    if hasattr(command, "commands"):
        return (name, *parse(rest, command))
    with command.make_context(name, rest) as context:
        assert not context.args
    return (name,)


def test_every_command_is_listed_here() -> None:
    assert tuple(GROUP.commands) == COMMANDS
    assert tuple(GROUP.commands["android"].commands) == OF_ANDROID


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_help_shows_examples_that_are_valid_calls(path: tuple[str, ...]) -> None:
    done = edgekit(*path, "--help")
    assert done.returncode == 0
    assert done.stderr == ""
    assert "Example:" in done.stdout
    calls = examples(done.stdout)
    assert calls
    for program, *arguments in calls:
        assert program == "edgekit"
        assert parse(arguments)[: len(path)] == path


def test_every_option_and_command_says_what_it_does() -> None:
    for name, command in (*GROUP.commands.items(), *GROUP.commands["android"].commands.items()):
        assert command.help, name
        for parameter in command.params:
            assert getattr(parameter, "help", None), f"{name} {parameter.name}"


@pytest.mark.parametrize(
    "arguments",
    [
        ["predict", "--nonsense", "x.edgekit", "a"],
        ["eval", "x.edgekit"],
        ["nonsense"],
        ["convert", "a.pt", "b.pt"],
        ["android", "nonsense"],
    ],
)
def test_the_parser_used_here_refuses_calls_that_are_not_valid(arguments: list[str]) -> None:
    with pytest.raises(Exception, match=r"No such|Missing parameter|unexpected extra argument"):
        parse(arguments)


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_both_help_flags(flag: str) -> None:
    assert edgekit("predict", flag).stdout.startswith("Usage: edgekit predict")
