"""The command line as a user runs it."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from bundles import entries, with_contents, with_manifest, write_hand_made, write_zip
from edgekit_runtime import __version__, jsonio, open_bundle
from edgekit_runtime.bundle import MANIFEST
from edgekit_runtime.golden import Golden
from edgekit_runtime.manifest import SCHEMA_VERSION

SCRIPT = Path(sys.executable).with_name("edgekit")


def edgekit(
    *arguments: object, stdin: bytes = b"", environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs the installed script; what it prints must be UTF-8."""
    done = subprocess.run(
        [SCRIPT, *[argument if isinstance(argument, bytes) else str(argument) for argument in arguments]],
        input=stdin,
        capture_output=True,
        timeout=120,
        env={**os.environ, "PYTHONWARNINGS": "error", **(environment or {})},
        check=False,
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def fails(*arguments: object, because: str) -> None:
    """The call ends with 1, nothing on stdout and one line on stderr that says why."""
    done = edgekit(*arguments)
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    lines = [line for line in done.stderr.splitlines() if not line.endswith(" …")]  # but for the names of stages
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("edgekit: error: ")
    assert because in lines[0]


def test_predict_prints_label_score_and_text(bundle: Path) -> None:
    done = edgekit("predict", bundle, "the film was good", "i hate this room")
    assert done.returncode == 0
    assert done.stderr == ""
    first, second = (line.split("\t") for line in done.stdout.splitlines())
    assert (first[0], first[2]) == ("positive", "the film was good")
    assert (second[0], second[2]) == ("negative", "i hate this room")
    assert 0.5 <= float(first[1]) <= 1


def test_predict_json_is_one_object_a_line(bundle: Path) -> None:
    done = edgekit("predict", bundle, "--json", "the film was good", 'a "quoted"\nline', "电影很好 😀", "")
    assert done.stderr == ""
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["text"] for answer in answers] == ["the film was good", 'a "quoted"\nline', "电影很好 😀", ""]
    for answer in answers:
        assert list(answer) == ["text", "label", "score", "scores"]
        assert list(answer["scores"]) == ["negative", "positive"]
        assert answer["score"] == answer["scores"][answer["label"]] == max(answer["scores"].values())
    assert "电影很好 😀" in done.stdout


def test_predict_answers_each_line_of_stdin_as_it_comes(bundle: Path) -> None:
    command = [SCRIPT, "predict", bundle, "-"]
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, encoding="utf-8", env=buffered) as process:
        assert process.stdin is not None and process.stdout is not None
        for text, label in (("the film was good", "positive"), ("the film was bad", "negative")):
            process.stdin.write(text + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()  # while stdin is still open
            assert answer.startswith(label) and answer.endswith(f"\t{text}\n")
        process.stdin.close()
        assert process.stdout.read() == ""
        assert process.wait(30) == 0


def test_lines_of_stdin_of_every_kind(bundle: Path) -> None:
    """Empty lines, carriage returns, bytes that are no UTF-8, other line separators, and no newline at the end."""
    given = b"good\rfilm\n\nbad \xff\xfe byte\r\none\xe2\x80\xa8line\x0bstill\xc2\x85it\n\xed\xa0\x80\nlast"
    done = edgekit("predict", bundle, "-", "--json", stdin=given)
    assert done.returncode == 0, done.stderr
    texts = [json.loads(line)["text"] for line in done.stdout.split("\n")[:-1]]
    assert texts == ["good\rfilm", "", "bad �� byte", "one\u2028line\x0bstill\x85it", "���", "last"]


def test_no_lines_at_all(bundle: Path) -> None:
    done = edgekit("predict", bundle, "-", stdin=b"")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_terminal_that_cannot_show_a_text_still_gets_its_answer(bundle: Path, encoding: str) -> None:
    environment = {"PYTHONIOENCODING": encoding}
    done = edgekit("predict", bundle, "--json", b"bad \xff byte", "é 😀", environment=environment)
    assert done.returncode == 0, done.stderr
    first, second = (json.loads(line)["text"] for line in done.stdout.splitlines())
    assert (first, second) == ("bad � byte", "é 😀"), "JSON escapes what the terminal cannot show"
    plain = edgekit("predict", bundle, "é 😀", environment=environment)
    assert plain.returncode == 0 and ("é 😀" if encoding == "utf-8" else "? ?") in plain.stdout


def test_a_closed_pipe_ends_quietly(bundle: Path) -> None:
    command = f"yes 'the film was good' | '{SCRIPT}' predict '{bundle}' - | head -1; echo ${{PIPESTATUS[1]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=True)
    answer, status = done.stdout.splitlines()
    assert answer.startswith("positive\t")
    assert status == "0"
    assert done.stderr == ""


def test_a_full_disk_is_one_clear_line(bundle: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run([SCRIPT, "inspect", bundle], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("edgekit: error: ")
    assert "No space left" in done.stderr
    assert done.stderr.count("\n") == 1


def test_eval_json(bundle: Path, labelled_csv: Path) -> None:
    done = edgekit("eval", bundle, labelled_csv, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert list(result) == [
        *("examples", "accuracy", "precision", "recall", "f1", "confusion", "engine", "skipped", "left_out")
    ]
    assert result["examples"] == 80
    assert result["accuracy"] >= 0.95
    assert result["engine"] == "litert"
    assert [sum(row) for row in result["confusion"]] == [40, 40]
    right = sum(result["confusion"][index][index] for index in range(2))
    assert right / 80 == result["accuracy"]
    assert 0.9 <= min(result["precision"], result["recall"], result["f1"]) <= 1


def test_eval_says_the_same_for_the_eye(bundle: Path, labelled_csv: Path) -> None:
    done = edgekit("eval", bundle, labelled_csv)
    assert done.stdout.startswith("accuracy ")
    assert "80 texts, litert, macro averages" in done.stdout
    assert "taken for negative" in done.stderr


def test_eval_takes_columns_by_name_and_number(bundle: Path, labelled_csv: Path, tmp_path: Path) -> None:
    data = tmp_path / "other.csv"
    with labelled_csv.open(encoding="utf-8", newline="") as source, data.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["id", "body", "stars"])
        writer.writerows([index, row["text"], row["label"]] for index, row in enumerate(csv.DictReader(source)))
    fails("eval", bundle, data, because="--text-column")
    named = edgekit("eval", bundle, data, "--text-column", "body", "--label-column", "3", "--json")
    assert json.loads(named.stdout)["accuracy"] >= 0.95


def test_inspect_json_is_the_manifest(bundle: Path) -> None:
    done = edgekit("inspect", bundle, "--json")
    assert done.stderr == ""
    assert json.loads(done.stdout) == jsonio.encode(open_bundle(bundle).manifest)


def test_inspect_for_the_eye(bundle: Path) -> None:
    done = edgekit("inspect", bundle)
    assert done.returncode == 0
    manifest = open_bundle(bundle).manifest
    for part in ("negative, positive", "16, 32, 64, 128", "litert", "int8", *manifest.files):
        assert part in done.stdout
    for entry in manifest.files.values():
        assert entry.sha256 in done.stdout


def test_inspect_runs_no_model(tmp_path: Path) -> None:
    """The program of this bundle is none, and inspect does not mind."""
    assert edgekit("inspect", write_hand_made(tmp_path / "x.edgekit")).returncode == 0


def test_verify_json(bundle: Path) -> None:
    done = edgekit("verify", bundle, "--json")
    assert done.stderr == ""
    assert json.loads(done.stdout) == {
        "bundle": str(bundle),
        "files": 3,
        "programs": [{"engine": "litert", "file": "model.tflite", "golden": True, "reason": None}],
    }


def test_verify_for_the_eye(bundle: Path) -> None:
    done = edgekit("verify", bundle)
    assert done.stdout.splitlines() == [
        "3 files match their checksums",
        "litert  model.tflite  answers its golden texts rightly",
    ]


def test_verify_goes_on_past_an_engine_that_this_edgekit_does_not_know(bundle: Path, tmp_path: Path) -> None:
    contents = entries(bundle)
    model = json.loads(contents[MANIFEST])["models"][0]
    model["programs"].append(model["programs"][0] | {"engine": "warp"})
    newer = with_manifest(bundle, tmp_path / "x.edgekit", models=[model])
    done = edgekit("verify", newer, "--json")
    assert done.returncode == 0, done.stderr
    litert, warp = json.loads(done.stdout)["programs"]
    assert litert["golden"] is True
    assert warp["golden"] is False and "no engine 'warp'" in warp["reason"]


def test_verify_runs_the_golden_texts(bundle: Path, tmp_path: Path) -> None:
    golden = Golden.from_bytes(entries(bundle)["golden.json"], "golden.json")
    raw = jsonio.encode(golden)
    raw["texts"][0]["logits"]["model.tflite"][0] += 1
    altered = with_contents(bundle, tmp_path / "x.edgekit", golden_json=json.dumps(raw).encode())
    fails("verify", altered, because="runs model.tflite wrongly")
    fails("predict", altered, "a film", because="runs model.tflite wrongly")


def one_byte_changed(path: Path, out: Path) -> Path:
    data = bytearray(path.read_bytes())
    data[open_bundle(path).part("model.tflite").offset + 2000] ^= 1
    out.write_bytes(data)
    return out


def missing_file(path: Path, out: Path) -> Path:
    return write_zip(out, [(name, data) for name, data in entries(path).items() if name != "tokenizer.json"])


def path_outside(path: Path, out: Path) -> Path:
    return write_zip(out, [*entries(path).items(), ("../x", b"x")])


def newer_schema(path: Path, out: Path) -> Path:
    return with_manifest(path, out, schema_version=SCHEMA_VERSION + 1)


@pytest.mark.parametrize(
    ("damage", "because"),
    [
        (one_byte_changed, "model.tflite in"),
        (missing_file, "lacks tokenizer.json"),
        (path_outside, "'../x', which is no plain file name"),
        (newer_schema, f"schema version {SCHEMA_VERSION + 1}"),
    ],
)
@pytest.mark.parametrize("command", ["predict", "verify"])
def test_a_damaged_bundle(bundle: Path, tmp_path: Path, damage: object, because: str, command: str) -> None:
    assert callable(damage)
    damaged = damage(bundle, tmp_path / "damaged.edgekit")
    fails(command, damaged, *(["a film"] if command == "predict" else []), because=because)


@pytest.mark.parametrize("command", ["predict", "eval", "inspect", "verify"])
def test_no_file(tmp_path: Path, command: str) -> None:
    rest = {"predict": ["a film"], "eval": [tmp_path / "x.csv"]}.get(command, [])
    fails(command, tmp_path / "none.edgekit", *rest, because="there is no file")


def test_a_folder(tmp_path: Path) -> None:
    fails("inspect", tmp_path, because="is a folder, not a bundle")


def test_an_engine_that_does_not_exist(bundle: Path, labelled_csv: Path) -> None:
    fails("predict", bundle, "a film", "--engine", "warp", because="no engine 'warp'; it has litert")
    fails("eval", bundle, labelled_csv, "--engine", "warp", because="no engine 'warp'; it has litert")


def test_threads_below_one(bundle: Path) -> None:
    fails("predict", bundle, "a film", "--threads", "0", because="threads must be a whole number of 1 or more")


@pytest.mark.parametrize(
    ("content", "because"),
    [
        ("text\ngood film\nbad film\n", "label"),
        ("id,name,other\n1,good film,x\n2,bad film,y\n", "--text-column"),
        ("", "is empty"),
        ("text,label\n", "no examples"),
        ("text,label\ngood film,maybe\n", "'maybe'"),
    ],
)
def test_data_without_labels_or_examples(bundle: Path, tmp_path: Path, content: str, because: str) -> None:
    data = tmp_path / "data.csv"
    data.write_text(content, encoding="utf-8")
    fails("eval", bundle, data, because=because)


def test_data_that_is_not_there(bundle: Path, tmp_path: Path) -> None:
    fails("eval", bundle, tmp_path / "none.csv", because="there is no file")


@pytest.mark.parametrize(
    "arguments",
    [
        ["frobnicate"],
        ["predict"],
        ["predict", "x.edgekit"],
        ["eval", "x.edgekit"],
        ["inspect", "x.edgekit", "y.edgekit"],
        ["predict", "x.edgekit", "a", "--threads", "many"],
        ["verify", "x.edgekit", "--nonsense"],
        [],
    ],
)
def test_wrong_usage_ends_with_2(arguments: list[str]) -> None:
    done = edgekit(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "Usage: edgekit" in done.stderr + done.stdout


@pytest.mark.parametrize("place", [0, 1, 2])
def test_debug_shows_the_traceback_wherever_it_stands(tmp_path: Path, place: int) -> None:
    arguments: list[object] = ["inspect", tmp_path / "none.edgekit"]
    arguments.insert(place, "--debug")
    done = edgekit(*arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback")
    assert "open_bundle" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("edgekit: error: there is no file")


def test_a_text_may_begin_with_dashes_behind_a_double_dash(bundle: Path) -> None:
    done = edgekit("predict", bundle, "--json", "--", "--debug", "-")
    assert [json.loads(line)["text"] for line in done.stdout.splitlines()] == ["--debug", "-"]


def test_version() -> None:
    done = edgekit("--version")
    assert (done.returncode, done.stdout) == (0, f"edgekit {__version__}\n")


def test_no_input_is_written_over(cnn_checkpoint, labelled_csv, tmp_path):
    model, data = tmp_path / "model.pt", tmp_path / "data.csv"
    shutil.copy(cnn_checkpoint, model)
    shutil.copy(labelled_csv, data)
    for out in (model, data):
        before = out.read_bytes()
        done = edgekit("convert", model, "--eval", data, "--out", out)
        assert done.returncode == 1
        assert f"{out} is read and would be replaced" in done.stderr
        assert out.read_bytes() == before


def test_what_is_said_of_data_needs_data(cnn_checkpoint, tmp_path):
    done = edgekit("convert", cnn_checkpoint, "--skip-bad", "--out", tmp_path / "x.edgekit")
    assert done.returncode == 1
    assert "needs data: give it with --eval" in done.stderr


def test_more_threads_than_processors_are_no_more_than_them(bundle):
    done = edgekit("predict", bundle, "ok", "--threads", "5000000000")
    assert done.returncode == 0
    assert "ok" in done.stdout
