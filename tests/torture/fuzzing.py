"""Coverage-guided search by atheris in edgekit's own parsers: ``python fuzzing.py PARSER SECONDS FOLDER`` runs one."""

from __future__ import annotations

import importlib
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

MODULES = (
    "edgekit_runtime",
    "edgekit_runtime.trust.signing",
    "edgekit_converters.weights.protobuf",
    "edgekit_converters.weights.onnx_tensors",
)
"""What is instrumented, with all below it that these import."""


def _open_bundle(data: bytes) -> None:
    from edgekit_runtime.bundle import open_bundle

    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        open_bundle(file.name)


def _manifest(data: bytes) -> None:
    from edgekit_runtime.manifest import Manifest

    Manifest.from_bytes(data)


def _golden(data: bytes) -> None:
    from edgekit_runtime.golden import Golden

    Golden.from_bytes(data, "golden.json")


def _wordpiece(data: bytes) -> None:
    """The shortcut gives what the library gives."""
    from edgekit_runtime.text import load_tokenizer, well_formed
    from edgekit_runtime.wordpiece import shortcut
    from torture.readers import probe

    if not _KEPT:
        tokenizer = load_tokenizer(probe()["tokenizer.json"])
        _KEPT.extend((tokenizer, shortcut(tokenizer, 10_000)))
    text = well_formed(data.decode("utf-8", "replace"))
    found = _KEPT[1].ids(text)
    assert found is None or found == _KEPT[0].encode(text).ids, text


def _protobuf(data: bytes) -> None:
    from edgekit_converters.weights.protobuf import fields

    try:
        for field in fields(data, 0, len(data)):
            assert 0 <= field.begin <= field.end <= len(data)
    except ValueError:
        return


def _signature(data: bytes) -> None:
    from edgekit_runtime.trust.signing import parse

    parse(data, "a bundle")


_KEPT: list[object] = []
PARSERS: dict[str, tuple[Callable[[bytes], None], str]] = {
    "bundle": (_open_bundle, "bundle"),
    "manifest": (_manifest, "manifest.json"),
    "golden texts": (_golden, "golden.json"),
    "WordPiece shortcut": (_wordpiece, "text"),
    "protobuf": (_protobuf, "model.onnx"),
    "signature": (_signature, "signature"),
}
"""Each with the file of the probe that the search begins with."""


def run(seconds: float, keep: Path) -> dict[str, str]:
    """Searches for so long in all; gives what was found, by the parser's name: empty where all is well."""
    found = {}
    for name in PARSERS:
        with tempfile.TemporaryDirectory() as folder:
            each = max(1, round(seconds / len(PARSERS)))
            command = [sys.executable, __file__, name, str(each), folder]
            done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, cwd=folder)
            said = [line for line in done.stderr.splitlines() if line.strip()]
            runs = next((line for line in reversed(said) if line.startswith("Done ")), "")
            wrong = [line for line in said if "Error" in line or "Exception" in line or "ALARM" in line]
            found[name] = "" if done.returncode == 0 else (wrong or said or ["it died"])[-1][:300]
            sys.stderr.write(f"atheris, {name}: {found[name] or runs}\n")
            for artifact in Path(folder).glob("*-*"):
                if artifact.name.startswith(("crash", "timeout", "oom", "leak")):
                    keep.mkdir(parents=True, exist_ok=True)
                    (keep / f"atheris-{name.replace(' ', '-')}-{artifact.name}").write_bytes(artifact.read_bytes())
    return found


def main(name: str, seconds: str, folder: str) -> None:
    import atheris

    with atheris.instrument_imports(include=list(MODULES)):
        for module in MODULES:
            importlib.import_module(module)
    from edgekit_runtime.errors import EdgekitError
    from torture.readers import probe

    parser, file = PARSERS[name]
    corpus = Path(folder) / "corpus"
    corpus.mkdir()
    signature = b'{"signatures": [{"algorithm": "Ed25519", "key_id": "0123456789abcdef", "signature": "AAAA"}]}'
    text = "the film was good, 很好 don't [SEP] ok".encode()
    from torture import zips

    entries = [zips.Entry(entry.encode(), data) for entry, data in probe().items()]
    small = [entry for entry in entries if entry.name == b"manifest.json"]
    first = {"bundle": zips.written(small, align=1), "text": text, "signature": signature}.get(file) or probe()[file]
    (corpus / "first").write_bytes(first)

    def one(data: bytes) -> None:
        try:
            parser(data)
        except EdgekitError as error:
            assert "\n" not in str(error)

    inherited = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10  # MiB; exec keeps the peak of who started this
    atheris.Setup(
        [
            "fuzzing",
            f"-max_total_time={seconds}",
            "-timeout=20",
            f"-rss_limit_mb={inherited + 1024}",
            "-max_len=20000",
            f"-artifact_prefix={folder}/",
            str(corpus),
        ],
        one,
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
