"""Comparing bundles: the figures, the front, how they are shown where there is little room, and what is refused."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import shutil
import struct
import subprocess
import termios
from fcntl import ioctl
from importlib import resources
from pathlib import Path

import pytest

from bundles import with_manifest
from edgekit.comparison import Comparison, Row, compare
from edgekit.standing import Cost, front, overlapping, wilson
from edgekit_converters.data import DataOptions, read_labelled
from edgekit_runtime import load
from edgekit_runtime.errors import DataError, EngineUnavailableError, OptionError
from edgekit_runtime.profiling.energy import MODELLED, UNAVAILABLE, Energy
from edgekit_runtime.profiling.energy.settings import EnergySettings
from edgekit_runtime.profiling.latency import Latency
from edgekit_runtime.profiling.process import Memory
from test_cli import SCRIPT, edgekit, fails

QUICK = ("--seconds", "0.05")


# The front


def exact(*values: float) -> tuple[Cost, ...]:
    return tuple(Cost(value, (value, value)) for value in values)


@pytest.mark.parametrize(
    ("points", "on_front"),
    [
        ([exact(1, 1, 1)], (True,)),
        ([exact(1, 1, 1), exact(1, 1, 2)], (True, False)),
        ([exact(1, 1, 1), exact(1, 1, 1)], (True, True)),  # as good as each other
        ([exact(1, 9, 9), exact(9, 1, 9), exact(9, 9, 1), exact(9, 9, 9)], (True, True, True, False)),
        ([exact(2, 2, 2), exact(1, 3, 3), exact(1, 1, 1)], (False, False, True)),
        ([(*exact(1), Cost(1.0, (0.9, 1.2))), (*exact(1), Cost(1.1, (1.0, 1.3)))], (True, True)),  # perhaps by chance
        ([(*exact(1), Cost(1.0, (0.9, 1.1))), (*exact(1), Cost(1.4, (1.3, 1.5)))], (True, False)),
        ([(*exact(1), Cost(1.0, (0.9, 1.2))), (*exact(2), Cost(1.1, (1.0, 1.3)))], (True, False)),  # surely in one
    ],
)
def test_only_what_another_surely_beats_is_off_the_front(points, on_front) -> None:
    assert front(points) == on_front


def test_groups_of_intervals_that_have_a_value_in_common() -> None:
    assert overlapping([(0, 1), (2, 3)]) == []
    assert overlapping([(0, 1), (1, 3), (2, 4)]) == [(0, 1), (1, 2)]
    assert overlapping([(0, 9), (1, 2), (1, 2), (5, 6), (10, 11)]) == [(0, 1, 2), (0, 3)]
    assert overlapping([]) == overlapping([(0, 1)]) == []


def test_the_interval_of_a_share_is_wilsons() -> None:
    """The figures are those of Newcombe (1998, table I, method 3)."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=1e-4)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert wilson(29, 29) == pytest.approx((0.8830, 1.0), abs=1e-4)
    assert all(wilson(0, count)[0] == 0.0 and wilson(count, count)[1] == 1.0 for count in range(1, 100))


def row(name: str, accuracy: float, p50: float, size: int, **changes: object) -> Row:
    """A made-up bundle: accuracy is known to a hundredth, the latency to a tenth of a millisecond."""
    latency = Latency(200, p50, p50, p50, 2 * p50, 3 * p50, 4 * p50, {"p50": (p50 - 0.1, p50 + 0.1)})
    values = {
        "engine": "litert",
        "scheme": "int8",
        "accuracy_ci95": (accuracy - 0.01, accuracy + 0.01),
        "memory_mib": Memory(30.0, 40.0, 71.0, 20.0),
        "energy": Energy(UNAVAILABLE, "", None, None, "there is no sensor"),
    }
    return Row(name, f"{name}.edgekit", size, accuracy=accuracy, latency_ms=latency, **{**values, **changes})


def test_the_front_is_drawn_over_accuracy_median_latency_and_size() -> None:
    rows = [row("bert", 0.92, 5.0, 24), row("slow", 0.92, 6.0, 24), row("cnn", 0.86, 0.5, 1), row("big", 0.86, 0.5, 2)]
    assert front([each.costs for each in rows]) == (True, False, True, False)


def remarks_of(*rows: Row) -> tuple[str, ...]:
    return Comparison("", None, (None, None), "dev.csv", 100, 2, None, rows).remarks()  # type: ignore[arg-type]


def test_what_the_figures_do_not_tell_is_said() -> None:
    modelled = Energy(MODELLED, "2 W a busy core", 3.0, None)
    said = remarks_of(row("a", 0.90, 5.0, 1), row("b", 0.91, 9.0, 1), row("c", 0.95, 9.1, 1, energy=modelled))
    assert said == (
        "accuracy: the intervals of a and b overlap: the difference may be chance",
        "p50: the intervals of b and c overlap: the difference may be chance",
        "energy: unavailable: there is no sensor",
        "energy: modelled: 2 W a busy core",
    )


# The figures


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The probe: a network that knows nothing, for both engines."""
    with resources.as_file(resources.files("edgekit_runtime") / "probe.edgekit") as probe:
        return Path(shutil.copy(probe, tmp_path_factory.mktemp("tiny") / "tiny.edgekit"))


@pytest.fixture
def two(bundle: Path, tiny: Path) -> tuple[Path, Path]:
    """A CNN that knows good from bad, and one that does not."""
    return bundle, tiny


def test_the_json_has_the_figures_of_every_bundle(two, labelled_csv: Path, tmp_path: Path) -> None:
    page, tables = tmp_path / "c.html", tmp_path / "c.md"
    done = edgekit(
        "compare", *two, "--data", labelled_csv, *QUICK, "--threads", 1, "--json", "--html", page, "--markdown", tables
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert list(found) == ["date", "device", "conditions", "data", "examples", "threads", "pacing", "rows"]
    assert (found["data"], found["examples"], found["threads"]) == (str(labelled_csv), 80, 1)
    assert 20 <= found["pacing"]["calls"] <= 80
    for each, path in zip(found["rows"], two, strict=True):
        assert list(each) == [
            *("name", "bundle", "bytes", "engine", "scheme", "accuracy", "accuracy_ci95"),
            *("latency_ms", "memory_mib", "energy", "pareto"),
        ]
        assert (each["name"], each["bundle"], each["bytes"]) == (path.stem, str(path), path.stat().st_size)
        assert each["engine"] == "litert"
        assert each["accuracy_ci95"][0] < each["accuracy"] <= each["accuracy_ci95"][1]
        assert 0 < each["latency_ms"]["p50"] <= each["latency_ms"]["p95"]
        assert set(each["latency_ms"]["ci95"]) >= {"mean", "p50", "p90", "p95"}
        assert 5 < each["memory_mib"]["rss_anon"] < each["memory_mib"]["peak_rss"]
        assert each["energy"]["status"] in ("rail", "gauge", "unavailable")
    cnn, probe = found["rows"]
    assert (cnn["scheme"], probe["scheme"]) == ("int8", "int8-per-tensor")
    assert cnn["accuracy"] > 0.9 > probe["accuracy"] and cnn["bytes"] > probe["bytes"]
    assert cnn["pareto"] and probe["pareto"]
    with load(two[1]) as classifier:
        data = read_labelled(labelled_csv, classifier.labels)
        answers = [classifier.labels.index(answer.label) for answer in classifier.predict(data.texts)]
    assert probe["accuracy"] == sum(map(int.__eq__, answers, data.labels)) / 80
    assert all(path.stem in written.read_text(encoding="utf-8") for path in two for written in (page, tables))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.html", "c.md"]


def test_one_bundle_and_one_text_are_a_table_of_one(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text("text,label\nthe film was good,positive\n")
    found = compare([bundle], tmp_path / "one.csv", seconds=0.01)
    (only,) = found.rows
    assert (found.examples, only.accuracy, only.pareto) == (1, 1.0, True)
    assert only.accuracy_ci95 == pytest.approx((0.2065, 1.0), abs=1e-4)
    assert [remark.partition(":")[0] for remark in found.remarks()] == ["energy"]


def test_files_of_one_name_are_told_apart_and_other_engines_can_be_asked_for(
    tiny: Path, labelled_csv: Path, tmp_path: Path
) -> None:
    same = Path(shutil.copy(tiny, tmp_path))
    found = compare([tiny, same], labelled_csv, engine="executorch", seconds=0.01)
    assert [each.name for each in found.rows] == [str(tiny), str(same)]
    assert {each.engine for each in found.rows} == {"executorch"}
    assert "accuracy: the intervals of " in found.remarks()[0]  # of the same answers


# How it is shown


def test_a_table_where_there_is_room_and_no_terminal(two, labelled_csv: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    done = subprocess.run(
        [SCRIPT, "compare", *two, "--data", labelled_csv, *QUICK], capture_output=True, env=environment, check=True
    )
    head, *rows = done.stdout.decode().splitlines()
    assert head.split() == ["accuracy", "size", "p50", "ms", "p95", "ms", "memory", "MiB", "energy", "mJ"]
    assert rows[0].startswith("cnn *") and rows[1].startswith("tiny *")
    assert all(" MB " in line and ", peak " in line for line in rows[:2])
    assert "\x1b" not in done.stdout.decode()
    assert any(line.startswith("energy: ") for line in rows)


def test_a_block_a_bundle_where_there_is_not(two, labelled_csv: Path) -> None:
    """On a real terminal of 40 columns: no figure is cut, and no line is too long."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    command = [SCRIPT, "compare", *two, "--data", labelled_csv, *QUICK]
    with subprocess.Popen(
        command, stdout=theirs, stderr=subprocess.PIPE, env={**environment, "TERM": "xterm"}
    ) as process:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # raised when all that had it open have closed it
            while more := os.read(ours, 65536):
                shown += more
        assert process.wait() == 0, process.stderr and process.stderr.read()
    os.close(ours)
    lines = [line.rstrip() for line in re.sub(r"\x1b\[[0-9;]*m", "", shown.decode()).splitlines()]
    assert max(map(len, lines)) <= 40
    assert "…" not in shown.decode()
    assert {"cnn *", "tiny *"} <= set(lines)
    assert sum(line.startswith("  p50 ms") for line in lines) == 2


# What is refused before any work


def test_what_cannot_be_compared_is_refused(bundle: Path, labelled_csv: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.edgekit"
    link.symlink_to(bundle)
    with pytest.raises(OptionError, match="are the same file: give each bundle once"):
        compare([bundle, link], labelled_csv)
    with pytest.raises(OptionError, match="nothing to compare"):
        compare([], labelled_csv)
    other = with_manifest(bundle, tmp_path / "other.edgekit", labels=["bad", "good"])
    with pytest.raises(
        OptionError, match=r"labels negative, positive, and .*other.edgekit bad, good, other ones: compare"
    ):
        compare([bundle, other], labelled_csv)
    turned = with_manifest(bundle, tmp_path / "turned.edgekit", labels=["positive", "negative"])
    with pytest.raises(OptionError, match="positive, negative, in another order: compare"):
        compare([bundle, turned], labelled_csv)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seconds": 0.0}, "--seconds must be over 0, not 0"),
        ({"seconds": float("nan")}, "--seconds must be over 0"),
        ({"energy": EnergySettings(sensor="no such sensor")}, "no sensor is called 'no such sensor'"),
        ({"threads": 0}, "threads must be a whole number"),
    ],
)
def test_settings_that_make_no_sense(bundle: Path, labelled_csv: Path, settings, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        compare([bundle], labelled_csv, **settings)


def test_an_engine_that_cannot_run_one_of_them(two, labelled_csv: Path) -> None:
    with pytest.raises(EngineUnavailableError, match=r"cnn.edgekit has no program for executorch"):
        compare([two[1], two[0]], labelled_csv, engine="executorch")


def test_data_without_examples(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text("text,label\n")
    with pytest.raises(DataError, match="has a header and no examples"):
        compare([bundle], tmp_path / "empty.csv", DataOptions())


def test_files_that_are_missing_or_would_be_replaced(bundle: Path, labelled_csv: Path, tmp_path: Path) -> None:
    data = ("--data", labelled_csv)
    fails("compare", tmp_path / "missing.edgekit", *data, because="there is no file")
    before = bundle.read_bytes(), labelled_csv.read_bytes()
    fails("compare", bundle, *data, "--html", bundle, because="is read and would be replaced")
    fails("compare", bundle, *data, "--markdown", labelled_csv, because="is read and would be replaced")
    assert (bundle.read_bytes(), labelled_csv.read_bytes()) == before
