"""Throws broken inputs at every reader: ``python tests/torture [--inputs N] [--reader NAME] [--only NUMBER]``.

An input is known by the seed, the reader and its number: the same three give the same bytes. The table is printed on stdout,
progress and findings on stderr. It ends with 1 if a reader did what it must not.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from torture.bench import BAD, HANG_S, Bench, Counts
from torture.fuzzing import run as run_atheris
from torture.readers import READERS

COLUMNS = [field.name for field in dataclasses.fields(Counts)]


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python tests/torture", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--inputs", type=int, default=20_000, help="broken inputs, of all readers together")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--reader", action="append", choices=[each.name for each in READERS], help="only this one; may be given again"
    )
    parser.add_argument("--only", type=int, help="only the input with this number of --reader, again")
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--seconds", type=float, help="begin nothing new after so long")
    parser.add_argument("--hang-s", type=float, default=HANG_S, help="seconds after which an input has hung its reader")
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time")
    parser.add_argument("--keep", type=Path, default=Path("build/torture"), help="folder for failing inputs")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.add_argument("--fill", type=Path, help="put the table into this document, between its torture marks")
    parser.add_argument(
        "--atheris",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="first let atheris look for so long, shared by its parsers",
    )
    given = parser.parse_args()
    chosen = [each for each in READERS if not given.reader or each.name in given.reader]
    if given.only is not None:
        work = {each.name: range(given.only, given.only + 1) for each in chosen}
    else:
        shares = sum(each.share for each in chosen)
        work = {each.name: range(given.first, given.first + -(-given.inputs * each.share // shares)) for each in chosen}
    began = time.monotonic()
    searched = run_atheris(given.atheris, given.keep) if given.atheris else {}
    bench = Bench(given.seed, given.jobs, given.keep, given.hang_s)
    bench.run(work, None if given.seconds is None else began + given.seconds)
    rows = {name: bench.counts[name] for name in (each.name for each in chosen) if name in bench.counts}
    total = Counts(*(sum(getattr(row, column) for row in rows.values()) for column in COLUMNS))
    seconds = time.monotonic() - began
    if given.json:
        found = {
            "seed": given.seed,
            "seconds": round(seconds, 1),
            "readers": {name: dataclasses.asdict(row) for name, row in rows.items()},
            "total": dataclasses.asdict(total),
            "findings": [dataclasses.asdict(each) for each in bench.findings],
            "atheris": searched,
            "slowest": [{"seconds": each[0], "reader": each[1], "number": each[2]} for each in bench.slowest],
        }
        sys.stdout.write(json.dumps(found, indent=1) + "\n")
    else:
        sys.stdout.write(table(rows, total) + "\n")
    bad = sum(getattr(total, column) for column in BAD) + sum(map(bool, searched.values()))
    sys.stderr.write(
        f"{total.inputs} inputs in {seconds:.0f} s; {bad} findings{f', kept in {given.keep}' if bad else ''}\n"
    )
    if given.fill is not None:
        fill(given.fill, table(rows, total))
    return 1 if bad else 0


def table(rows: dict[str, Counts], total: Counts) -> str:
    lines = ["| reader | " + " | ".join(COLUMNS) + " |", "|---|" + "---:|" * len(COLUMNS)]
    for name, row in {**rows, "all": total}.items():
        lines.append(f"| {name} | " + " | ".join(f"{getattr(row, column):,}" for column in COLUMNS) + " |")
    return "\n".join(lines)


BEGIN, END = "<!-- torture -->", "<!-- /torture -->"


def fill(path: Path, text: str) -> None:
    page = path.read_text(encoding="utf-8")
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    path.write_text(f"{head}{BEGIN}\n{text}\n{END}{tail}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
