"""Breaking JSON, TOML and rows of text."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from random import Random
from typing import Any

HOSTILE = (
    *(
        "null",
        "true",
        "false",
        "0",
        "-1",
        "1.5",
        "1e400",
        "-1e400",
        "NaN",
        "Infinity",
        "-Infinity",
        "9" * 30,
        "9" * 5000,
    ),
    *(
        '""',
        '"a"',
        '"' + "a" * 100_000 + '"',
        '"\\ud800"',
        '"\\u0000"',
        '"../../x"',
        '"/etc/passwd"',
        '"main"',
        '"\\n"',
        '"😀"',
    ),
    *("[]", "{}", "[[]]", "[null]", "[1, 2]", '{"a": 1}', "[" * 5000 + "]" * 5000, '{"a":' * 5000 + "1" + "}" * 5000),
    *(
        "2147483647",
        "2147483648",
        "-2147483648",
        "4294967296",
        "9223372036854775807",
        "9223372036854775808",
        "1000000000",
    ),
    *(
        '"int8"',
        '"float32"',
        '"utf-16"',
        '"(a+)+$"',
        "nul",
        "01",
        '"',
        "'a'",
        "1 2",
        "/* */",
        "[1, 2, 3",
        "\x00",
        "65536",
        "16777216",
    ),
)


def json_value(rng: Random, data: bytes) -> bytes:
    """A value of a JSON text replaced, taken out, moved, or said twice."""
    try:
        tree = json.loads(data)
    except ValueError:
        return text_junk(rng, data)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        tree = _changed(rng, tree)
    return _rendered(tree)


class _Raw(str):
    """JSON that is written as it is."""


def _changed(rng: Random, tree: Any) -> Any:
    places = list(_places(tree))
    if not places:
        return _Raw(rng.choice(HOSTILE))
    shallow = [place for place in places if len(place) <= 3]
    path = rng.choice(shallow if shallow and rng.random() < 0.6 else places)
    parent = tree
    for key in path[:-1]:
        parent = parent[key]
    kind = rng.randrange(10)
    if kind == 0:
        del parent[path[-1]]
    elif kind == 1:
        other = rng.choice(places)
        value = tree
        for key in other:
            value = value[key]
        parent[path[-1]] = json.loads(json.dumps(value)) if not _has_raw(value) else 1
    elif kind == 2 and isinstance(parent, dict):
        parent[rng.choice(("", "a", "\0", "../x", "__class__", "x" * 5000, "type", "model"))] = parent.pop(path[-1])
    elif kind == 3 and isinstance(parent, dict):
        parent[_Key(str(path[-1]))] = _Raw(rng.choice(HOSTILE))
    elif kind == 4 and isinstance(parent[path[-1]], list) and parent[path[-1]]:
        parent[path[-1]] = parent[path[-1]] * rng.choice((2, 1000))
    elif kind == 5 and isinstance(parent[path[-1]], int):
        parent[path[-1]] = parent[path[-1]] + rng.choice((-1, 1, 2, 1000, 2**31, -(2**31), 2**63))
    else:
        parent[path[-1]] = _Raw(rng.choice(HOSTILE))
    return tree


class _Key(str):
    """A key that stands beside an equal one."""

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other


def _has_raw(value: Any) -> bool:
    return isinstance(value, _Raw) or any(
        _has_raw(item) or isinstance(item, _Key)
        for item in (value if isinstance(value, list) else [*value, *value.values()] if isinstance(value, dict) else ())
    )


def _places(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(tree, dict):
        items: Any = list(tree.items())[:400]
    else:
        items = list(enumerate(tree))[:50] if isinstance(tree, list) else ()
    for key, value in items:
        if isinstance(key, _Key):
            continue
        yield (*path, key)
        yield from _places(value, (*path, key))


def _rendered(value: Any) -> bytes:
    return _text(value).encode("utf-8", "replace")


def _text(value: Any) -> str:
    if isinstance(value, _Raw):
        return str(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(str(key))}: {_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_text(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def text_junk(rng: Random, data: bytes) -> bytes:
    """Characters that no text should have, in another encoding, or no end of them."""
    junk = rng.choice(
        (
            *(
                "\0",
                "\ufeff",
                "\u2028",
                "\x85",
                "\r",
                "\x1a",
                "\udcff",
                "😀",
                "\x0b",
                "\u202e",
                "a" * 100_000,
                '"',
                '""',
                "'''",
            ),
            *(
                "\t" * 5000,
                "," * 20_000,
                "[" * 50_000,
                "{" * 50_000,
                "\n" * 10_000,
                ";" * 100,
                "=",
                "#",
                "\\",
                "[[a]]\n",
                "a.b=1\n",
            ),
        )
    ).encode("utf-8", "surrogatepass")
    if rng.random() < 0.15:
        codec = rng.choice(("utf-16", "utf-32", "utf-16-be", "latin-1", "gb18030", "utf-7"))
        return data.decode("utf-8", "replace").encode(codec, "replace")
    at = rng.choice([0, len(data), *[index for index, byte in enumerate(data[:20_000]) if byte in b'\n,"\t[{']])
    return data[:at] + junk + data[at:]


def lines(rng: Random, data: bytes) -> bytes:
    """Rows without an end, with too many cells, quoted without end, said twice or a great many times."""
    rows = data.split(b"\n")
    at = rng.randrange(len(rows))
    kind = rng.randrange(8)
    changed = {
        0: lambda: [*rows[:at], b'"' + rows[at], *rows[at + 1 :]],
        1: lambda: [*rows[:at], rows[at] + b",x" * rng.choice((1, 3, 50000)), *rows[at + 1 :]],
        2: lambda: [*rows[:at], b"x" * rng.choice((1 << 17, 1 << 21)), *rows[at + 1 :]],
        3: lambda: [*rows, *([rows[at]] * 20_000)],
        4: lambda: [*rows[:at], rows[at].replace(b",", b"\t"), rows[at].replace(b",", b";"), *rows[at:]],
        5: lambda: rows[:at] + [b""] * 10_000 + rows[at:],
        6: lambda: rows[at:] + rows[:at],
        7: lambda: [b"\r".join(rows)],
    }[kind]()
    return b"\n".join(changed)


def toml_value(rng: Random, data: bytes) -> bytes:
    """A line of TOML with another value, key or table."""
    rows = data.decode().splitlines()
    at = rng.randrange(len(rows))
    key, equals, _ = rows[at].partition("=")
    values = (
        *(
            '""',
            "'x'",
            "0",
            "-1",
            "1.5",
            "nan",
            "inf",
            "true",
            "[]",
            "{}",
            "[[[[]]]]",
            "1979-05-27",
            "07:32:00",
            '"""x"""',
        ),
        *(
            "9" * 4000,
            "9" * 5000,
            "1" + "_1" * 3000,
            "0x" + "f" * 5000,
            "1e999",
            "[" * 2000 + "]" * 2000,
            "{a={a={a=1}}}",
            '"/etc/passwd"',
        ),
        *(
            '["a", 1]',
            '"../../x"',
            '"\\uD800"',
            '"\\u0000"',
            "{a.b=1}",
            "[1, 2, 3]",
            '["onnx"]',
            '"' + "a" * 50_000 + '"',
            "1000000000000",
        ),
    )
    new = rng.choice(
        (
            f"{key}= {rng.choice(values)}" if equals else rows[at],
            f"{key}= {rng.choice(values)}" if equals else rows[at],
            f"{key}= {rng.choice(values)}" if equals else rows[at],
            rows[at] + "\n" + rows[at],
            f"{'a.' * rng.choice((3, 3000))}b = 1",
            f"[{'a.' * 500}b]",
            f"[[{key.strip(' []') or 'a'}]]",
            f"{key}x = 1",
            f'"\\n{key.strip()}" = 1',
            "",
        )
    )
    return "\n".join([*rows[:at], new, *rows[at + 1 :]]).encode("utf-8", "replace")


def packed(rng: Random, data: bytes) -> bytes:
    """Gzip: a bomb, several members, a wrong length or sum, or broken inside."""
    kind = rng.randrange(6)
    if kind == 0:
        return gzip_bomb(
            rng.choice((b"\0", b"a", b"a,1\n", b'{"text": "a", "label": 1}\n')), rng.choice((1 << 26, 1 << 28, 3 << 30))
        )
    try:
        plain = gzip.decompress(data)
    except (OSError, EOFError, zlib.error):
        plain = data
    if kind == 1:
        return gzip.compress(plain, mtime=0) * rng.choice((2, 500))
    if kind == 2:
        return gzip.compress(gzip.compress(plain, mtime=0), mtime=0)
    if kind == 3:
        made = bytearray(gzip.compress(plain, mtime=0))
        made[-rng.randint(1, 8)] ^= 1 << rng.randrange(8)
        return bytes(made)
    if kind == 4:
        return gzip.compress(lines(rng, plain), mtime=0)
    return gzip.compress(text_junk(rng, plain), mtime=0)[: -rng.choice((1, 4, 8, 12))]


def deflated(piece: bytes, length: int) -> bytes:
    """A raw deflate stream of about so many bytes of a repeated piece, made without compressing them all."""
    block = piece * (1 + (1 << 20) // len(piece))
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    first = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    return first * max(1, length // len(block)) + b"\x03\x00"


def gzip_bomb(piece: bytes, length: int) -> bytes:
    """A gzip file of about so many bytes; its sum is wrong, which only its end tells."""
    return b"\x1f\x8b\x08\x00\0\0\0\0\0\x03" + deflated(piece, length) + bytes(8)
