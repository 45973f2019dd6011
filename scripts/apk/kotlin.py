"""Kotlin to class files, by the compiler from Maven and nothing else."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import maven
import tools
from errors import ApkError, ToolMissingError
from layout import Build

MAIN = "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler"

OPTIONS = ("-jvm-target", "1.8", "-Xlambdas=class", "-Xsam-conversions=class", "-no-stdlib", "-no-reflect")


def compile_sources(
    build: Build, sources: Sequence[Path], classpath: Sequence[Path], out: Path, friends: Path | None = None
) -> bool:
    """Compiles, unless ``out`` was made of the very same files and class path.

    Args:
        build: Whose compiler.
        sources: Kotlin files.
        classpath: Jars and folders of classes; each counts by its contents.
        out: A folder; written beside and renamed.
        friends: A folder of classes whose internal names may be used: what a test tests. Without it the sources are the
            app's, and see of Java only what Java 8 had: Android 8 has little more.

    Returns:
        Whether anything was compiled.

    Raises:
        ApkError: The compiler refused a source; the message has its lines.
    """
    stamp = out.with_name(out.name + ".sha256")
    options = [*OPTIONS, "-Xjdk-release=8" if friends is None else f"-Xfriend-paths={friends}"]
    digest = fingerprint([*sources, *classpath], options)
    if stamp.exists() and out.is_dir() and stamp.read_text() == digest:
        return False
    stamp.unlink(missing_ok=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as scratch:
        made = Path(scratch) / "classes"
        arguments = Path(scratch) / "arguments"
        joined = ":".join(map(str, classpath))
        arguments.write_text(
            "\n".join(_quoted(word) for word in [*options, "-cp", joined, "-d", str(made), *map(str, sources)])
        )
        try:
            tools.java(maven.jars(build, "compiler"), MAIN, f"@{arguments}", options=tools.SHORT_LIVED)
        except ToolMissingError:
            raise
        except ApkError as error:
            raise ApkError(f"the Kotlin sources do not compile:\n{_diagnostics(error.output)}") from error
        shutil.rmtree(out, ignore_errors=True)
        made.mkdir(exist_ok=True)
        os.replace(made, out)
    stamp.write_text(digest)
    return True


def fingerprint(inputs: Sequence[Path], words: Sequence[str] = ()) -> str:
    """A digest of the inputs: names and contents of files; big jars by name, size and time."""
    digest = hashlib.sha256("\0".join(words).encode())
    for path in inputs:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                state = file.stat()
                digest.update(f"{file}\0{state.st_size}\0".encode())
                digest.update(str(state.st_mtime_ns).encode() if file.suffix == ".jar" else file.read_bytes())
    return digest.hexdigest()


def _diagnostics(output: str) -> str:
    """What the compiler has against the sources, without its warnings; or what it failed of, without its stack trace."""
    blocks = re.split(r"\n(?=\S+\.kt:\d+)", output)
    errors = "\n".join(block.strip() for block in blocks if " error: " in block)
    return errors or "\n".join(line for line in output.splitlines() if not line.startswith("\tat "))


def _quoted(word: str) -> str:
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'
