"""Bundles, most of them broken, and what Python's reader says of each: ``python tests/broken_bundles.py FOLDER``.

The tests of the Android app run it, and hold Kotlin's reader to the same answers (BrokenBundlesTest.kt). Left out is where
the two differ on purpose: Kotlin's reads no ZIP64.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
import random
import struct
import sys
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bundles import (
    COMPRESSED_SIZE,
    HEADER_OFFSET,
    NO_PLAIN_NAMES,
    SIZE,
    TEXT,
    directory_entry,
    entries,
    make_contents,
    make_manifest,
    with_directory_field,
    write_hand_made,
    write_zip,
)
from edgekit_runtime.bundle import MANIFEST, open_bundle, write_bundle_file
from edgekit_runtime.combination import Combination
from edgekit_runtime.errors import EdgekitError
from edgekit_runtime.golden import Golden
from edgekit_runtime.manifest import HistoryStep, Verification

VALUES = (
    "null",
    "true",
    "0",
    "-1",
    "1.5",
    "3",
    "4",
    '""',
    '"main"',
    "[]",
    "{}",
    "NaN",
    "-Infinity",
    "1e400",
    "9" * 30,
    "nul",
)
"""JSON, and one that is none, that take the place of each value of a manifest in turn."""
NAMES = (*NO_PLAIN_NAMES, "plain", "signature")
TEXTS = (
    *("", "{", "[]", "null", "1", '"a"', "{" * 100_000, "[" * 100_000, "1" * 5000, "{}", "\0", '{"schema_version": 4}'),
    *(
        '{"schema_version": 99999999999999999999}',
        '{"schema_version": 4.0}',
        '{"schema_version": 1, "schema_version": 4}',
    ),
)
"""In the place of a whole file."""
JUNK = (
    *(
        '"\n"',
        '"\t"',
        '"\x7f"',
        '"\u2028"',
        '"\\\n"',
        '"\\x"',
        '"\\u12"',
        '"\\u12g4"',
        '"\\ud800"',
        '"a',
        '"a" "b"',
        "'a'",
    ),
    *(
        "01",
        "-01",
        ".5",
        "+1",
        "1.",
        "1.e5",
        "1e",
        "1E+2",
        "-",
        "--1",
        "-0",
        "0x1",
        "1_0",
        "1e999",
        "9" * 4300,
        "9" * 4301,
    ),
    *(
        "tru",
        "True",
        "None",
        "nan",
        "-NaN",
        "-Infinity",
        "+Infinity",
        "1 x",
        "/**/ 1",
        "1 // x",
        "\v1",
        "\u00a01",
        "\ufeff1",
        "",
    ),
    *(
        "[1,]",
        "[,]",
        "[1 2]",
        "{a: 1}",
        '{"a": 1,}',
        "{,}",
        '{"a"}',
        '{"a": 1, "a": "b"}',
        "[" * 299 + "]" * 299,
        "[}",
        "]",
    ),
)
"""As the value of a key that no reader knows, in a file that is right otherwise."""


REFERENCE = {
    "texts": 3,
    "labels": [1, 2],
    "confidence": {"edges": [0.5, 1.0], "counts": [0, 3, 0]},
    "tokens": {"edges": [4], "counts": [1, 2]},
    "unknown": {"edges": [0.0, 0.25], "counts": [3, 0, 0]},
}
"""Counts of answers for monitors."""
SPREADS = (
    *({"edges": edges, "counts": [1, 2]} for edges in ([], [1, 2], [float("nan")], [float("inf")], [1e308])),
    *({"edges": [4], "counts": counts} for counts in ([], [3], [1, 1], [4, -1], [2**62, 2**62], [0, 3], [1, 2, 0])),
    {"edges": [4, 4], "counts": [1, 1, 1]},
    {"edges": [5, 4], "counts": [1, 1, 1]},
    {"edges": list(range(1000)), "counts": [3] + [0] * 1000},
    {"edges": list(range(1001)), "counts": [3] + [0] * 1001},
)
"""Counts of which most do not fit their edges, or the number of texts."""


def report(path: Path) -> str:
    """``accepted``, or the name that the error has in Kotlin, after every byte of the bundle was read."""
    try:
        bundle = open_bundle(path)
        bundle.check()
        for model in bundle.manifest.models:
            Golden.from_bytes(bundle.read(model.golden), model.golden)
    except EdgekitError as error:
        return type(error).__name__.replace("Error", "Exception")
    return "accepted"


def with_text(contents: dict[str, bytes], out: Path, name: str, text: str) -> None:
    """A bundle with another manifest or golden file, whose checksum is right."""
    changed = contents | {name: text.encode()}
    if name != MANIFEST:
        manifest = json.loads(contents[MANIFEST])
        manifest["files"][name] = {"sha256": hashlib.sha256(changed[name]).hexdigest(), "bytes": len(changed[name])}
        changed[MANIFEST] = json.dumps(manifest).encode()
    write_zip(out, changed.items())


def make_seal(stored_bytes: int) -> dict[str, Any]:
    """A seal that fits a program of so many bytes, as far as the manifest tells: two segments."""
    file = {"salt": "A" * 43 + "=", "bytes": stored_bytes - 32}
    return {
        "cipher": "AES-256-GCM",
        "segment_bytes": 4096,
        "key_id": "0123456789abcdef",
        "files": {"model.tflite": file},
    }


def variations(tree: Any) -> Iterator[str]:
    """The JSON with each value replaced by each of VALUES, taken out, or said twice."""
    for path in places(tree):
        changed = copy.deepcopy(tree)
        parent: Any = changed
        for key in path[:-1]:
            parent = parent[key]
        parent[path[-1]] = "@@"
        text = json.dumps(changed)
        for value in VALUES:
            yield text.replace('"@@"', value)
        if isinstance(parent, dict):
            yield text.replace('"@@"', f"[], {json.dumps(path[-1])}: 7")
        del parent[path[-1]]
        yield json.dumps(changed)


def places(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where the values of a JSON tree are; of a list, the first."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree[:1]) if isinstance(tree, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


def write_texts(folder: Path) -> None:
    """Manifests and golden files with wrong values, and what is no JSON."""
    made = make_manifest()
    step = HistoryStep("lower", {"scheme": "int8"}, {"litert-torch": "0.10.0"})
    verify = Verification("litert", "main", 1, 1.0, 0.0, None, 0.5, None, None, 0.0)
    main = dataclasses.replace(made.models[0], text=dataclasses.replace(TEXT, vocab_size=13))
    models = (main, dataclasses.replace(made.models[0], role="small"))
    cascade = Combination("cascade", ("small", "main"), 0.5)
    whole = dataclasses.replace(made, models=models, combine=cascade, history=(step,), verify=(verify,))
    contents = entries(write_bundle_file(folder / "cascade.edgekit", whole, make_contents()))
    tree = json.loads(contents[MANIFEST])
    for number, text in enumerate(variations(tree)):
        with_text(contents, folder / f"cascade-{number:04}.edgekit", MANIFEST, text)
    average = {"combine": {"kind": "average", "order": ["small", "main"], "threshold": None}, "schema_version": 2}
    sealed = {"sealed": make_seal(len(contents["model.tflite"])), "reference": REFERENCE, "schema_version": 3}
    for kind, part in (("average", average), ("sealed", sealed)):
        with_text(contents, folder / f"{kind}.edgekit", MANIFEST, json.dumps(tree | part))
        for number, text in enumerate(variations(part)):
            full = (
                f"{contents[MANIFEST].decode().rstrip()[:-1]}, {text[1:]}"  # of a key that occurs twice the last counts
            )
            with_text(contents, folder / f"{kind}-{number:04}.edgekit", MANIFEST, full)
    for number, spread in enumerate(SPREADS):
        full = json.dumps(tree | {"reference": REFERENCE | {"tokens": spread}})
        with_text(contents, folder / f"reference-{number:02}.edgekit", MANIFEST, full)
    for number, text in enumerate(variations(json.loads(contents["golden.json"]))):
        with_text(contents, folder / f"golden-{number:04}.edgekit", "golden.json", text)
    for number, text in enumerate(TEXTS):
        for name in (MANIFEST, "golden.json"):
            with_text(contents, folder / f"text-{number:02}-{name}.edgekit", name, text)
    for number, junk in enumerate(JUNK):
        for name in (MANIFEST, "golden.json"):
            text = contents[name].decode().strip()
            with_text(contents, folder / f"junk-{number:02}-{name}.edgekit", name, f'{{"unknown": {junk}, {text[1:]}')


def write_zips(folder: Path) -> None:
    """Zips that no zip tool makes, or that are cut, longer or changed."""
    made = write_hand_made(folder / "made.edgekit")
    good, contents, generator = made.read_bytes(), entries(made), random.Random(8)
    for number, name in enumerate(NAMES):
        write_zip(folder / f"name-{number:02}.edgekit", [*contents.items(), (name, b"x")])
    for name in contents:
        left = {key: data for key, data in contents.items() if key != name}
        write_zip(folder / f"missing-{name}.edgekit", left.items())
        write_zip(folder / f"twice-{name}.edgekit", [*contents.items(), (name, b"x")])
        for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2):
            write_zip(folder / f"packed-{method}-{name}.edgekit", contents.items(), {name: method})
        for offset in (4, 6, 8, 9, 10, 11, 28, 30, 32, 46):
            data = bytearray(good)
            data[directory_entry(good, name) + offset] ^= 0x41
            (folder / f"field-{offset}-{name}.edgekit").write_bytes(data)
        for offset in (SIZE, COMPRESSED_SIZE, HEADER_OFFSET, 16):
            for value in (0, 7, 5000, 2**31, 2**32 - 1):
                path = with_directory_field(made, folder / f"set-{offset}-{value}-{name}.edgekit", name, offset, value)
                if offset == SIZE:
                    both = folder / f"both-{value}-{name}.edgekit"
                    with_directory_field(path, both, name, COMPRESSED_SIZE, value)
    for number in range(150):
        data = bytearray(good)
        data[generator.choice((*range(300), *range(len(good) - 400, len(good))))] ^= 1 << generator.randrange(8)
        (folder / f"bit-{number:03}.edgekit").write_bytes(data)
    for size in (*range(0, 60, 7), *range(len(good) - 60, len(good), 5), *generator.sample(range(len(good)), 20)):
        (folder / f"cut-{size}.edgekit").write_bytes(good[:size])
    around = (
        b"#!/bin/sh\n" + good,
        good + b"\n",
        good + good,
        good[:-2] + b"\1\0",
        good[:-2] + b"\3\0abc",
        good + b"PK\5\6",
    )
    for number, raw in enumerate((*around, b"PK\5\6" + bytes(18), b"x" * 5000, b"PK\3\4" + bytes(40), good[:-22])):
        (folder / f"around-{number}.edgekit").write_bytes(raw)
    for field in (12, 16):
        for value in (0, 1, 2**31, 2**32 - 1):
            data = bytearray(good)
            struct.pack_into("<I", data, good.rindex(b"PK\5\6") + field, value)
            (folder / f"end-{field}-{value}.edgekit").write_bytes(data)
    write_zip(folder / "holiday.edgekit", [("holiday.txt", b"beach")])
    write_zip(folder / "absurd.edgekit", (contents | {MANIFEST: b" " * 16_000_001}).items())


if __name__ == "__main__":
    target = Path(sys.argv[1])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Duplicate name", UserWarning)
        write_zips(target)
    write_texts(target)
    lines = [f"{path.name}\t{report(path)}\n" for path in sorted(target.glob("*.edgekit"))]
    (target / "python.tsv").write_text("".join(lines))
