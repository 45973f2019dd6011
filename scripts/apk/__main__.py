"""Builds the Android demo without Google's software: ``python scripts/apk build``, ``test``, ``speed`` or ``bundle``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import builder
import unit_tests
from layout import CHECKOUT, Build

from edgekit_runtime.errors import EdgekitError


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command.

    Returns:
        The exit status: 0, 1 when something failed, or 130 when it was interrupted.
    """
    parser = argparse.ArgumentParser(prog="python scripts/apk", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help=f"build and check {Build().apk.relative_to(CHECKOUT)}")
    build.add_argument("--bundle", type=Path, help="the bundle that goes inside; by default a small CNN, trained once")
    build.add_argument(
        "--executorch", type=Path, metavar="AAR", help="ExecuTorch's Android archive, instead of Maven's"
    )
    build.add_argument(
        "--trusted-key",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="a public key; the app then takes only bundles that one of these keys signed (repeatable)",
    )
    build.add_argument("--repository", help="a Maven repository that has ExecuTorch, beside those that Maven knows")
    build.add_argument("--json", action="store_true", help="print what was built as JSON")
    commands.add_parser("bundle", help="make the bundle that goes inside, where Android Studio's build takes it from")
    test = commands.add_parser("test", help="compile the app and its unit tests, and run them on this machine's Java")
    test.add_argument(
        "--only", default="", help="paths below app/src/main/kotlin, parted by commas, instead of everything"
    )
    test.add_argument("--filter", default="", help="only test classes whose name contains this")
    test.add_argument("--out", type=Path, help="folder for the classes")
    commands.add_parser("speed", help="measure how many texts a second become ids on this machine's Java")
    options = parser.parse_args(arguments)
    try:
        return {"build": _build, "bundle": _bundle, "test": _test, "speed": _speed}[options.command](options)
    except EdgekitError as error:
        _say(f"error: {error}")
        return 1
    except OSError as error:  # a full disk, say
        where = f" at {error.filename}" if error.filename else ""
        _say(f"error: the system says: {error.strerror or error}{where}; make room or mend it, and run this again")
        return 1
    except KeyboardInterrupt:
        _say("interrupted; nothing half-written was left behind")
        return 130


def _build(options: argparse.Namespace) -> int:
    built = builder.build_apk(
        Build(), _say, options.bundle, options.executorch, options.repository, options.trusted_key
    )
    if options.json:
        _tell(json.dumps(asdict(built), indent=2))
    else:
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in built.contents_bytes.items())
        _tell(f"{built.apk}: {built.checked.size_bytes:,} bytes ({kinds})")
        trusted = f"signed by {' or '.join(built.trusted_keys)}" if built.trusted_keys else "any"
        _tell(f"engines: {', '.join(built.engines.values())}; bundle: {built.bundle}; checks passed")
        _tell(f"bundles that it opens: {trusted}")
    return 0


def _bundle(options: argparse.Namespace) -> int:
    import demo_bundle  # PyTorch comes with it

    _tell(demo_bundle.demo_bundle(Build().assets))
    return 0


def _speed(options: argparse.Namespace) -> int:
    _tell(unit_tests.run_speed(Build(), _say))
    return 0


def _test(options: argparse.Namespace) -> int:
    only = [name for name in options.only.split(",") if name]
    outcomes = unit_tests.run_tests(Build(), _say, only, options.filter, options.out)
    failed = [outcome for outcome in outcomes if outcome.outcome == "failed"]
    for outcome in outcomes:
        if outcome.outcome != "passed":
            _tell(f"{outcome.outcome.upper()} {outcome.case}.{outcome.name}\n{outcome.why}")
    counts = {kind: sum(outcome.outcome == kind for outcome in outcomes) for kind in ("passed", "failed", "skipped")}
    _tell(", ".join(f"{count} {kind}" for kind, count in counts.items()))
    return 1 if failed else 0


def _tell(line: object) -> None:
    sys.stdout.write(f"{line}\n")


def _say(line: str) -> None:
    if line:
        sys.stderr.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main())
