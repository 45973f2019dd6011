"""The examples, run as a user runs them."""

from __future__ import annotations

import ast
import asyncio
import configparser
import contextlib
import csv
import importlib.util
import json
import os
import re
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgekit_runtime import Prediction

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
UNIT = EXAMPLES / "edgekit.service"
PROGRAMS = sorted(path.name for path in EXAMPLES.glob("*.py"))


def command(name: str, *arguments: object) -> list[str]:
    return [sys.executable, "-W", "error", str(EXAMPLES / name), *map(str, arguments)]


@contextlib.contextmanager
def running(arguments: list[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A program with pipes, which is dead when the block ends."""
    pipe = subprocess.PIPE
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    options = {"env": environment, **options}
    with subprocess.Popen(arguments, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0, **options) as process:
        try:
            yield process
        finally:
            process.kill()


def line_of(stream: Any, seconds: float = 60) -> bytes:
    """The next line, or a failure; the stream is not buffered."""
    assert select.select([stream], [], [], seconds)[0], "no line came"
    return bytes(stream.readline())


def until(condition: Callable[[], bool], process: subprocess.Popen[bytes], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.stderr and process.stderr.read()
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


# All of them


@pytest.mark.parametrize("name", PROGRAMS)
def test_an_example_needs_the_runtime_and_the_standard_library_only(name: str) -> None:
    source = (EXAMPLES / name).read_text(encoding="utf-8")
    modules = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules.add(str(node.module).partition(".")[0])
    assert modules - sys.stdlib_module_names == {"edgekit_runtime"}
    assert len(source.splitlines()) <= 100


def test_the_list_of_examples_is_whole_and_its_commands_are_theirs() -> None:
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^\| \[([\w.]+)\]\(\1\)", text, re.MULTILINE)) == sorted(
        path.name for path in EXAMPLES.iterdir() if path.is_file() and path.name != "README.md"
    )
    for name in PROGRAMS:
        assert f"python examples/{name} " in text
        assert f"python {name} " in (EXAMPLES / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("stream.py", []),
        ("watch_folder.py", ["."]),
        ("service.py", ["--port", "0"]),
        ("batch_csv.py", ["a", "b"]),
        ("snapshots.py", ["a"]),
    ],
)
def test_a_bundle_that_is_missing_is_one_clear_line(name: str, arguments: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        command(name, "missing.edgekit", *arguments), cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr == f"{name}: there is no file missing.edgekit; check the path\n"
    assert not list(tmp_path.iterdir())


# stream.py


def test_stream_answers_while_stdin_is_open_and_survives_bad_bytes(bundle: Path) -> None:
    with running(command("stream.py", bundle)) as process:
        assert process.stdin is not None and process.stdout is not None
        for sent, text, label in (
            (b"the film was good\n", "the film was good", "positive"),
            (b"the film was \xff\xfe bad\r\n", "the film was \ufffd\ufffd bad", "negative"),
            ("电影很好\n".encode(), "电影很好", "positive"),
            (b"\n", "", None),
        ):
            process.stdin.write(sent)
            answer = json.loads(line_of(process.stdout))
            assert answer["text"] == text
            assert label in (answer["label"], None)
            assert 0.5 <= answer["score"] <= 1
        process.stdin.write(b"what a terrible room")  # the last line has no end
        process.stdin.close()
        assert json.loads(line_of(process.stdout))["label"] == "negative"
        assert process.wait(30) == 0


def test_stream_ends_quietly_at_ctrl_c_and_when_its_reader_goes(bundle: Path) -> None:
    with running(command("stream.py", bundle)) as process:
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        process.stdin.write(b"good\n")
        line_of(process.stdout)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert b"Traceback" not in process.stderr.read()
    script = f"yes good | {shlex.join(command('stream.py', bundle))} | head -1; echo ${{PIPESTATUS[1]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[1] == "0"
    assert "Traceback" not in done.stderr and "BrokenPipe" not in done.stderr


# watch_folder.py

INTERVAL = 0.4


def test_watch_folder_answers_what_comes_changes_and_is_finished(bundle: Path, tmp_path: Path) -> None:
    def answer(name: str) -> Any:
        path = tmp_path / f"{name}.json"
        return json.loads(path.read_bytes())["label"] if path.exists() else None

    (tmp_path / "early.txt").write_text("i love this film")
    (tmp_path / "other.md").write_text("i love this film")
    (tmp_path / "folder.txt").mkdir()
    with running(command("watch_folder.py", bundle, tmp_path, "--interval", INTERVAL)) as process:
        until(lambda: answer("early") == "positive", process)
        longest, before = 0.0, time.monotonic()
        with open(tmp_path / "slow.v2.txt", "w", encoding="utf-8") as file:  # written bit by bit, over several looks
            for part in ["i love", *[" "] * 100, "nothing here: a terrible awful room, i hate it"]:
                file.write(part)
                file.flush()
                time.sleep(0.01)
                longest, before = max(longest, time.monotonic() - before), time.monotonic()
        assert answer("slow.v2") is None or longest > 0.9 * INTERVAL  # on a machine that stood still meanwhile
        (tmp_path / "bad.txt").write_bytes(b"what an awful \xff film")
        until(lambda: answer("slow.v2") == "negative" and answer("bad") == "negative", process)
        (tmp_path / "early.txt").write_text("i hate this film")
        until(lambda: answer("early") == "negative", process)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert process.stderr is not None
        told = process.stderr.read().decode()
    assert (told.count("early.txt: answered"), told.count("bad.txt: answered")) == (2, 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("bad.json", "bad.txt", "early.json", "early.txt", "folder.txt", "other.md", "slow.v2.json", "slow.v2.txt"),
    ]


def test_watch_folder_goes_on_where_it_stopped(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "old.txt").write_text("i love this film")
    (tmp_path / "old.json").write_text("an answer from before")
    shutil.copystat(tmp_path / "old.txt", tmp_path / "old.json")
    (tmp_path / "new.txt").write_text("i hate this film")
    with running(command("watch_folder.py", bundle, tmp_path, "--interval", "0.05")) as process:
        until((tmp_path / "new.json").exists, process)
    assert (tmp_path / "old.json").read_text() == "an answer from before"


# service.py


class Client:
    """One connection to the service."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.lines = self.socket.makefile("rb")

    def ask(self, *lines: bytes) -> list[Any]:
        self.socket.sendall(b"".join(line + b"\n" for line in lines))
        return [json.loads(self.lines.readline()) for _ in lines]

    def close(self) -> None:
        self.lines.close()
        self.socket.close()


def port_of(process: subprocess.Popen[bytes]) -> int:
    """Where a service listens, by what it says; the engine's own lines come before."""
    while True:
        found = re.search(rb"listening on 127\.0\.0\.1:(\d+)", line_of(process.stderr))
        if found:
            return int(found[1])


@contextlib.contextmanager
def service(*arguments: object) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    with running(command("service.py", *arguments, "--port", 0)) as process:
        yield process, port_of(process)


def test_service_answers_many_clients_in_the_order_of_their_lines(bundle: Path) -> None:
    with service(bundle, "--at-once", 2) as (process, port):
        clients = [Client(port) for _ in range(8)]
        for number, client in enumerate(clients):  # all lines are under way before the first answer is read
            for key in range(20):
                text = ("the film was good", "the film was bad")[(number + key) % 2]
                client.socket.sendall(json.dumps({"id": [number, key], "text": text}).encode() + b"\n")
        for number, client in enumerate(clients):
            for key in range(20):
                answer = json.loads(client.lines.readline())
                assert answer["id"] == [number, key]
                assert answer["label"] == ("positive", "negative")[(number + key) % 2]
                assert 0.5 <= answer["score"] <= 1
            client.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert process.stderr is not None and process.stderr.read() == b""


def test_service_says_what_is_wrong_with_a_request_and_goes_on(bundle: Path) -> None:
    with service(bundle) as (_, port):
        client = Client(port)
        wrong = [b"", b"nonsense", b"\xff\xfe", b"[1]", b"null", b'{"id": 1}', b'{"text": 5}', b"[" * 10_000]
        for answer in client.ask(*wrong):
            assert answer["error"].startswith('a request is {"text": "…"} on one line')
        lone, right = client.ask(b'{"text": "\\ud800"}', b'{"text": "i love this film"}')
        assert lone["score"] >= 0.5
        assert (right["id"], right["label"]) == (None, "positive")

        flood = Client(port)
        with contextlib.suppress(ConnectionError):  # it may be hung up on before all is sent
            flood.socket.sendall(b"x" * (3 << 20))
            assert flood.lines.readline() in (b"", b'{"error": "a line has over 1048576 bytes"}\n')
        (right,) = client.ask(b'{"text": "i hate this film"}')
        assert right["label"] == "negative"
        client.close()
        flood.close()


def test_service_classifies_no_more_texts_at_once_than_it_may() -> None:
    spec = importlib.util.spec_from_file_location("service", EXAMPLES / "service.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    lock, under_way, most = threading.Lock(), 0, 0

    def slow(text: str) -> Prediction:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        time.sleep(0.02)
        with lock:
            under_way -= 1
        return Prediction(text, 1.0, {text: 1.0})

    async def many() -> list[dict[str, object]]:
        served = module.Service(slow, 2)
        return await asyncio.gather(*(served.answer(b'{"text": "%d"}' % number) for number in range(12)))

    assert [answer["label"] for answer in asyncio.run(many())] == [str(number) for number in range(12)]
    assert most == 2


def test_service_finishes_what_it_has_begun_and_takes_nothing_new(bundle: Path) -> None:
    request = json.dumps({"text": "good " * 200_000}).encode() + b"\n"  # tens of milliseconds
    with service(bundle, "--at-once", 1) as (process, port):
        idle, first, *others = (Client(port) for _ in range(12))
        for client in (first, *others):
            client.socket.sendall(request)
        assert json.loads(first.lines.readline())["label"] == "positive"
        begin = time.monotonic()
        process.send_signal(signal.SIGTERM)
        answers = [line for client in others if (line := client.lines.readline())]
        assert answers and all(json.loads(line)["label"] == "positive" for line in answers)
        assert idle.lines.readline() == first.lines.readline() == b""
        assert process.wait(30) == 0
        assert time.monotonic() - begin < 9  # it need not lose patience with those that ask nothing
        with pytest.raises(ConnectionError):
            Client(port)
        for client in (idle, first, *others):
            client.close()


# edgekit.service


def unit(**replaced: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",), strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(unit_text(**replaced))
    return parser


def unit_text(**replaced: str) -> str:
    text = UNIT.read_text(encoding="utf-8")
    for name, path in {
        "python": "/opt/edgekit/venv/bin/python",
        "program": "/opt/edgekit/service.py",
        "bundle": "/opt/edgekit/model.edgekit",
        "port": "--port 7077",
    }.items():
        if name in replaced:
            assert path in text
            text = text.replace(path, replaced[name])
    return text


def test_the_unit_is_hardened_and_restarts() -> None:
    settings = unit()["Service"]
    assert settings["User"] == "edgekit"
    assert settings["Restart"] == "on-failure"
    assert settings["ProtectSystem"] == "strict"
    assert settings["MemoryMax"].endswith("M")
    assert settings["NoNewPrivileges"] == "yes"
    assert (settings["IPAddressDeny"], settings["IPAddressAllow"]) == ("any", "localhost")
    assert settings["CapabilityBoundingSet"] == ""


def test_the_command_of_the_unit_is_example_3_and_survives_no_longer_than_it_may(bundle: Path) -> None:
    settings = unit(
        python=f"{sys.executable} -W error", program=str(EXAMPLES / "service.py"), bundle=str(bundle), port="--port 0"
    )["Service"]
    environment = {"PATH": "/usr/bin:/bin"}  # systemd gives no more
    with running(shlex.split(settings["ExecStart"]), env=environment, cwd="/") as process:
        client = Client(port_of(process))
        (answer,) = client.ask(b'{"text": "a great film , really great"}')
        assert answer["label"] == "positive"
        begin = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert time.monotonic() - begin < int(settings["TimeoutStopSec"])
        client.close()


def test_systemd_finds_nothing_to_say(tmp_path: Path) -> None:
    """Where it is installed; the unit is also parsed above, everywhere."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    path = tmp_path / "edgekit.service"
    path.write_text(unit_text(python=sys.executable), encoding="utf-8")
    analyze = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(path)]
    done = subprocess.run(analyze, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    path.write_text(unit_text(python=sys.executable).replace("MemoryMax", "MemoryMaximum"), encoding="utf-8")
    assert "MemoryMaximum" in subprocess.run(analyze, capture_output=True, text=True, check=False).stderr


# batch_csv.py


def test_batch_csv_adds_two_columns_and_keeps_the_rest(bundle: Path, tmp_path: Path) -> None:
    rows = [
        [str(number), ("i love, really love\nthis film", "i hate this room", "电影很好", "")[number % 4], "x"]
        for number in range(600)  # more than one chunk
    ]
    with open(tmp_path / "given.csv", "w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows([["id", "body", "rest"], *rows, []])
    (tmp_path / "out.csv").write_text("from before")
    done = subprocess.run(
        command("batch_csv.py", bundle, "given.csv", "out.csv", "--column", "body"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.endswith("out.csv: 600 rows\n")
    with open(tmp_path / "out.csv", encoding="utf-8", newline="") as file:
        header, *answered = csv.reader(file)
    assert header == ["id", "body", "rest", "label", "score"]
    assert [row[:3] for row in answered] == rows
    assert {row[3] for row in answered[0::4]} == {row[3] for row in answered[2::4]} == {"positive"}
    assert {row[3] for row in answered[1::4]} == {"negative"}
    assert all(0.5 <= float(row[4]) <= 1 for row in answered)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["given.csv", "out.csv"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"body,rest\na,b\n", "there is no column 'text', only body, rest: choose one with --column"),
        (b"", "there is no column 'text'"),
        (b"text,rest\n" + b"a,b\n" * 300 + b"a,b,c\n", "line 302 has 3 columns, and the header 2"),
        (None, "No such file"),
    ],
)
def test_batch_csv_leaves_nothing_half_written(
    bundle: Path, tmp_path: Path, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / "given.csv").write_bytes(content)
    (tmp_path / "out.csv").write_text("from before")
    before = sorted(path.name for path in tmp_path.iterdir())
    arguments = command("batch_csv.py", bundle, "given.csv", "out.csv")
    done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "batch_csv.py: " in done.stderr and message in done.stderr and "Traceback" not in done.stderr
    assert (tmp_path / "out.csv").read_text() == "from before"
    assert sorted(path.name for path in tmp_path.iterdir()) == before


# snapshots.py


def test_snapshots_are_written_while_texts_come_and_at_the_end(bundle: Path, tmp_path: Path) -> None:
    place = tmp_path / "snapshot.json"
    with running(command("snapshots.py", bundle, place, "--every", "0.05")) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(b"the film was good\n")
        assert json.loads(line_of(process.stdout))["label"] == "positive"
        until(lambda: place.exists() and json.loads(place.read_text())["texts"] == 1, process)
        process.stdin.write(b"an awful room\n" * 300)
        process.stdin.close()
        assert len(process.stdout.readlines()) == 300
        assert process.wait(30) == 0
        assert process.stderr is not None and b"drift alarm over 301 texts: labels" in process.stderr.read()
    found = json.loads(place.read_text())
    assert (found["texts"], found["labels"]["negative"]["count"], found["drift"]["level"]) == (301, 300, "alarm")
    assert [path.name for path in tmp_path.iterdir()] == ["snapshot.json"]


# first_steps.ipynb


def test_the_notebook_runs_and_its_answers_are_right(
    bundle: Path, labelled_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import nbformat
    from nbclient import NotebookClient

    path = EXAMPLES / "first_steps.ipynb"
    assert path.stat().st_size < 20_000
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in cells)

    for name, value in {"EDGEKIT_BUNDLE": bundle, "EDGEKIT_DATA": labelled_csv, "PYTHONWARNINGS": "error"}.items():
        monkeypatch.setenv(name, str(value))
    for name in ("JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / name))  # so that no kernel of the user's comes before our own
    client = NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(EXAMPLES)}}
    )
    client.execute()
    shown = [cell.outputs[-1].data["text/plain"] if cell.outputs else "" for cell in cells]
    assert shown[1].startswith("Prediction(label='positive', score=0.")
    labels, answers, explained, measured, told = (ast.literal_eval(shown[index]) for index in (0, 2, 3, 4, 5))
    assert labels == ("negative", "positive")
    assert [label for _, label, _ in answers[:3]] == ["positive", "negative", "positive"]
    label, weights = explained
    assert label in labels and weights["great"] * weights["awful"] < 0
    assert measured[0] > 0.9 and sum(map(sum, measured[2])) == 80
    assert told[:2] == ("litert", "int8") and told[3] > 0.9
