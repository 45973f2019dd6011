"""Pickles with code, and pickles that lie. What runs would leave a mark."""

from __future__ import annotations

import pickle
import pickletools
import struct
from random import Random

MARK = "edgekit-canary"
"""What the code of every pickle names, so that whatever runs it is seen."""

SCRIPT = f"open('{MARK}', 'w').close()"


def _global(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def _text(text: str) -> bytes:
    raw = text.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def _call(module: str, name: str, *arguments: bytes) -> bytes:
    return _global(module, name) + b"(" + b"".join(arguments) + b"tR"


def bodies(inner: bytes) -> tuple[bytes, ...]:
    """Pickles without their head and their stop, each of which would run code."""
    binary = b"B" + struct.pack("<I", len(inner)) + inner
    nested = _call("torch.storage", "_load_from_bytes", binary)
    script, touch = _text(SCRIPT), _text(f"touch {MARK}")
    return (
        _call("os", "system", touch),
        _call("posix", "system", touch),
        _call("nt", "system", touch),
        _call(
            "subprocess",
            "Popen",
            _text(f"touch {MARK}"),
            b"J\xff\xff\xff\xff",
            b"N",
            b"N",
            b"N",
            b"N",
            b"N",
            b"\x88",
            b"\x88",
        ),
        _call("builtins", "exec", script),
        _call("__builtin__", "eval", _text(f"open('{MARK}', 'w')")),
        _call("builtins", "getattr", _global("os", "path"), _text("join")),
        _call("builtins", "__import__", _text("os")),
        _call("importlib", "import_module", _text("antigravity")),
        _call("runpy", "run_path", _text(MARK)),
        _call("code", "interact"),
        _call("pty", "spawn", _text(MARK)),
        _call("webbrowser", "open", _text(MARK)),
        _call("shutil", "rmtree", _text(MARK)),
        _call("shutil", "copy", _text("/etc/hostname"), _text(MARK)),
        _call("socket", "create_connection", _call("builtins", "tuple", b"]" + _text(MARK) + b"aK\x01a")),
        _call("urllib.request", "urlopen", _text(f"file:///{MARK}")),
        _call("pathlib", "PosixPath", _text(MARK)) + b"}" + _text("a") + b"K\x01sb",
        _call("pathlib", "PosixPath.write_text", _call("pathlib", "PosixPath", _text(MARK)), _text("x")),
        _call("numpy", "save", _text(MARK), b"K\x01"),
        _call("numpy", "load", _text(MARK), b"N", b"\x88"),
        _call("numpy.f2py", "compile", _text(MARK)),
        _call("torch", "load", _text(MARK)),
        _call("torch", "save", b"K\x01", _text(MARK)),
        _call("torch.serialization", "load", _text(MARK)),
        _call("torch.jit", "load", _text(MARK)),
        _call("torch.hub", "load_state_dict_from_url", _text(f"file:///{MARK}")),
        _call("torch.ops", "load_library", _text(MARK)),
        _call("torch.utils.cpp_extension", "load_inline", _text(MARK), script),
        _call(
            "torch._utils",
            "_rebuild_from_type_v2",
            _global("os", "system"),
            _global("builtins", "str"),
            _call("builtins", "tuple", b"]" + touch + b"a"),
            b"N",
        ),
        _call(
            "torch._tensor",
            "_rebuild_from_type_v2",
            _global("os", "system"),
            _global("builtins", "str"),
            b"(" + touch + b"t",
            b"N",
        ),
        _call("torch._utils", "_rebuild_wrapper_subclass", _global("builtins", "exec"), script),
        _call("torch._utils", "_import_dotted_name", _text("os.system")),
        nested,
        _call("torch", "_load_from_bytes", binary),
        _call("_codecs", "encode", touch, _text("utf-8")),
        _call("_codecs", "decode", touch, _text(MARK)),
        _call("builtins", "map", _global("os", "system"), b"]" + touch + b"a"),
        _call("functools", "partial", _global("os", "system"), touch),
        _call("operator", "methodcaller", _text("system"), touch),
        _call("collections", "OrderedDict", b"](" + _call("os", "system", touch) + b"K\x01te"),
        _call("collections", "defaultdict", _global("os", "system")),
        _call("copyreg", "_reconstructor", _global("subprocess", "Popen"), _global("builtins", "object"), b"N"),
        _call("argparse", "Namespace") + b"}" + _text("__class__") + _global("os", "system") + b"sb",
        _call("argparse", "FileType", _text("w")),
        b"(" + touch + b"ios\nsystem\n",
        b"(" + _global("os", "system") + touch + b"o",
        _global("subprocess", "Popen") + b"(" + touch + b"t\x81",
        _global("subprocess", "Popen") + b"(" + touch + b"t}\x92",
        b"\x8c\x02os\x8c\x06system\x93" + b"(" + touch + b"tR",
        b"\x8c\x05torch\x8c\x10serialization.os\x93" + b"(" + touch + b"tR",
        b"\x8c\x05torch\x8c\x17serialization.os.system\x93" + b"(" + touch + b"tR",
        b"\x8c\x0bcollections\x8c\x11abc.sys.modules\x93",
        b"\x8c\x08argparse\x8c\x0a_os.system\x93" + b"(" + touch + b"tR",
        b"\x8c\x07pathlib\x8c\x09os.system\x93" + b"(" + touch + b"tR",
        b"\x82\x01(" + touch + b"tR",
        b"(" + _text("storage") + _global("os", "system") + _text("0") + _text("cpu") + b"K\x04tQ",
        _call("os", "system", touch) + b"Q",
        b"Pos.system\n",
    )


def code(rng: Random) -> bytes:
    """A pickle that would run code if it were trusted, alone or beside other things."""
    protocol = rng.choice((b"", b"\x80\x02", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"))
    inner = b"\x80\x02" + _call("os", "system", _text(f"touch {MARK}")) + b"."
    body = rng.choice(bodies(inner))
    kind = rng.randrange(5)
    if kind == 0:
        body = b"}" + _text("weight") + body + b"s"
    elif kind == 1:
        body = b"]" + body + b"a"
    elif kind == 2:
        body = body + b"0}"
    elif kind == 3:
        body = b"}" + body + b"K\x01s"
    return protocol + body + b"."


LYING = (
    b"\x80\x02}X\xff\xff\xff\x7f",
    b"\x80\x04\x8d" + (2**62).to_bytes(8, "little") + b"a.",
    b"\x80\x04\x8e" + (2**40).to_bytes(8, "little") + b"a.",
    b"\x80\x04\x95" + (2**63 - 1).to_bytes(8, "little") + b"}.",
    b"\x80\x05\x96" + (2**38).to_bytes(8, "little") + b".",
    b"\x80\x02B\xff\xff\xff\x7fa.",
    b"\x80\x02\x8b\xff\xff\xff\x7f1.",
    b"\x80\x02I" + b"9" * 10_000 + b"\n.",
    b"\x80\x02L" + b"9" * 200_000 + b"L\n.",
    b"\x80\x02r\xff\xff\xff\xff}.",
    b"\x80\x02}r\xff\xff\xff\x7f.",
    b"\x80\x02}j\xff\xff\xff\xff.",
    b"\x80\x02" + b"(" * 1_000_000 + b".",
    b"\x80\x02" + b"]" * 200_000 + b"a" * 199_999 + b".",
    b"\x80\x02}" + b"(K\x00}" * 60_000 + b"u" * 60_000 + b".",
    b"\x80\x02K\x01" + b"\x85" * 500_000 + b".",
    b"\x80\x02]q\x00" + b"(" + b"h\x00" * 100_000 + b"e.",
    b"\x80\x02]q\x00h\x00a.",
    b"\x80\x02}q\x00(K\x00h\x00u.",
    b"\x80\x02](K\x01" + b"".join(b"]q%c(" % n + b"h%c" % (n - 1) * 10 + b"e" for n in range(1, 30)) + b"e.",
    b"\x80\x02" + _call("builtins", "bytearray", b"\x8a\x05\0\0\0\0\x10") + b".",
    b"\x80\x02" + _call("collections", "OrderedDict", b"K\x01") + b".",
    b"\x80\x02" + _call("torch", "Size", b"](\x8a\x08" + b"\xff" * 7 + b"\x7fe") + b".",
    b"\x80\x02" + _call("torch", "zeros", b"\x8a\x06\0\0\0\0\0\x01") + b".",
    b"\x80\x02" + _call("torch", "FloatStorage", b"\x8a\x06\0\0\0\0\0\x01") + b".",
    b"\x80\x02" + _call("torch._utils", "_rebuild_parameter", b"K\x01", b"\x88", b"}") + b".",
    b"\x80\x02"
    + _call(
        "torch._utils",
        "_rebuild_meta_tensor_no_storage",
        _global("torch", "float32"),
        b"(\x8a\x08" + b"\xff" * 7 + b"\x7ft",
        b"(K\x01t",
        b"\x89",
    )
    + b".",
    b"\x80\x02" + _call("torch._utils", "_rebuild_sparse_tensor", b"K\x00", b"(K\x01K\x01t") + b".",
    b"\x80\x02.",
    b"\x80\xff}.",
    b"\x80\x02}}u.",
    b"\x80\x02}R.",
    b"\x80\x02}}b.",
    b"\x80\x02}K\x01b.",
    b"\x80\x020.",
    b"\x80\x0222222.",
)
"""Pickles of nothing dangerous but of sizes, depth and shape that no file has."""


def lying(rng: Random) -> bytes:
    return rng.choice(LYING)


def mutated(rng: Random, data: bytes) -> bytes:
    """A valid pickle with some of its opcodes or their arguments changed, or code put among them."""
    try:
        ops = [(op, argument, at) for op, argument, at in pickletools.genops(data)]
    except Exception:
        return data[:-1]
    ends = [at for _, _, at in ops[1:]] + [ops[-1][2] + 1]
    pieces = [data[at:end] for (_, _, at), end in zip(ops, ends, strict=True)]
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(1, len(pieces))
        name, argument = (ops[at][0].name, ops[at][1]) if len(ops) == len(pieces) else ("", None)
        kind = rng.randrange(6)
        if kind == 0 and isinstance(argument, int) and "PUT" not in name and "GET" not in name:
            value = rng.choice(
                (
                    0,
                    -1,
                    2**31 - 1,
                    -(2**31),
                    2**31,
                    2**40,
                    2**62,
                    2**63 - 1,
                    -(2**63),
                    2**200,
                    argument + 1,
                    argument * 1000,
                )
            )
            pieces[at] = pickle.dumps(value, 2)[2:-1]
        elif kind == 1:
            del pieces[at]
        elif kind == 2:
            pieces.insert(at, pieces[rng.randrange(len(pieces))])
        elif kind == 3:
            inner = rng.choice(bodies(b"\x80\x02N."))
            pieces.insert(at, inner + rng.choice((b"", b"0")))
        elif kind == 4:
            pieces[at] = rng.choice(
                (
                    b"N",
                    b"}",
                    b")",
                    b"K\x00",
                    b"]",
                    b"\x88",
                    b"G\x7f\xf8\0\0\0\0\0\0",
                    _text("cuda:9"),
                    _text("../../x"),
                    _text("meta"),
                )
            )
        else:
            types = (
                "FloatStorage",
                "CudaStorage",
                "QInt8Storage",
                "ComplexDoubleStorage",
                "UntypedStorage",
                "BoolStorage",
                "nn.Module",
                "Tensor",
            )
            pieces[at] = _global("torch", rng.choice(types))
        ops = ops if len(ops) == len(pieces) else []
    return data[: ops[0][2]] + b"".join(pieces) if ops else b"".join(pieces)
