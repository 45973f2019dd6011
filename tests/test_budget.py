"""Budgets: what can be said, what is refused before work, what is measured, and that nothing over its budget is left behind."""

from __future__ import annotations

import shutil
from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit_converters.budget import QUANTITIES, Budget, Limit, shown
from edgekit_converters.budget_check import Figure, check_budget, trial_place
from edgekit_converters.pipeline import convert
from edgekit_converters.recipe import Recipe
from edgekit_converters.recipe_file import RecipeFile
from edgekit_converters.recorded import recorded_recipe
from edgekit_converters.sample import sample_texts
from edgekit_runtime import jsonio, open_bundle
from edgekit_runtime.errors import EngineError, FileError, GateError, OptionError
from test_cli import edgekit, fails
from test_convert import Heard, files

SMALL = Recipe(max_length=8, buckets=(8,))


# What can be said


@st.composite
def limits(draw: st.DrawFn) -> tuple[str, Limit]:
    """A limit as text, and what it means."""
    key = draw(st.sampled_from(list(QUANTITIES)))
    number = draw(st.floats(0.001, 1.0))
    unit, factor = draw(st.sampled_from(sorted(QUANTITIES[key].units.items())))
    sign, gap = draw(st.sampled_from(("<=", "≤"))), draw(st.sampled_from(("", " ")))
    return f"{gap}{key}{gap}{sign}{gap}{number}{gap}{unit}{gap}", Limit(key, number * factor)


@given(st.lists(limits(), min_size=1, unique_by=lambda pair: pair[1].key))
def test_every_limit_that_can_be_written_is_read(pairs: list[tuple[str, Limit]]) -> None:
    assert Budget.parse(",".join(text for text, _ in pairs)) == Budget(tuple(limit for _, limit in pairs))


def test_bounds_have_the_unit_in_which_they_are_measured() -> None:
    budget = Budget.parse("p50<=500us,p95<=3ms,p99<=.5s,bytes<=2MB,drop<=1%,rss<=2MiB")
    assert {limit.key: limit.bound for limit in budget.limits} == pytest.approx(
        {"p50": 0.5, "p95": 3, "p99": 500, "bytes": 2_000_000, "drop": 0.01, "rss": 2}
    )
    assert Budget.parse("bytes<=1KiB").limits[0].bound == 1024
    assert Budget.parse("bytes<=1e3kB").limits[0].bound == 1_000_000
    assert Budget.parse("drop<=0").limits == (Limit("drop", 0.0),)  # no loss at all is a wish that makes sense


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'', which is no limit: write such as 'p95<=3ms,bytes<=2MB,drop<=0.01'.* can limit p50, p95, p99, bytes"),
        ("p95<=3ms,", "'', which is no limit"),
        ("p95<3ms", "'p95<3ms', which is no limit"),
        ("p95=3ms", "which is no limit"),
        ("p95<=3ms bytes<=2MB", "which is no limit: .*with a comma between"),
        ("p90<=3ms", "cannot limit 'p90'; it can limit p50, p95, p99, bytes, drop, rss"),
        ("P95<=3ms", "cannot limit 'P95'"),
        ("p95<=3", "no unit behind p95<=3: it takes one of us, .*, ms, s, such as p95<=3ms"),
        ("bytes<=2000", "no unit behind bytes<=2000: it takes one of B, kB, MB, KiB, MiB, such as bytes<=2000B"),
        ("rss<=40", "such as rss<=40MiB"),
        ("p95<=3MB", "the unit 'MB' behind p95<=3: it takes one of us"),
        ("bytes<=3mb", "the unit 'mb' behind bytes<=3"),
        ("drop<=1ms", "the unit 'ms' behind drop<=1: it takes a share such as 0.01, or 1%"),
        ("drop<=5", "drop is a share: write such as drop<=0.01, or drop<=1%"),
        ("drop<=101%", "drop is a share"),
        ("drop<=-0.01", "a bound is a number over 0"),
        ("p95<=0ms", "a bound is a number over 0"),
        ("p95<=-3ms", "a bound is a number over 0"),
        ("p95<=nan ms", "a bound is a number over 0"),
        ("p95<=infms", "a bound is a number over 0"),
        ("p95<=1e999ms", "a bound is a number over 0"),
        ("p95<=1.2.3ms", "a bound is a number over 0"),
        ("p95<=3ms,bytes<=1MB,p95<=4ms", "limits p95 twice"),
    ],
)
def test_what_is_no_budget_is_refused(text: str, message: str) -> None:
    with pytest.raises(OptionError, match=message) as caught:
        Recipe(budget=text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("p95", 0.0521, "0.0521 ms"),
        ("p95", 12_345.6, "12346 ms"),
        ("bytes", 1_052_366, "1.052 MB"),
        ("bytes", 2048, "2.048 kB"),
        ("bytes", 12, "12 B"),
        ("rss", 35.25, "35.25 MiB"),
        ("drop", 0.0063, "0.63%"),
    ],
)
def test_figures_are_told_in_units_that_people_read(key: str, value: float, told: str) -> None:
    assert shown(key, value) == told


def test_a_figure_that_equals_its_bound_is_within() -> None:
    lost = Figure("drop", "litert", 0.01, 0.92 - 0.91, "share")  # which is 0.010000000000000009
    assert lost.within and not replace(lost, measured=0.0101).within
    assert str(lost) == "drop 1.00% on litert is within 1.00%"
    slow = Figure("p95", "litert", 3.0, 3.1, "ms", (2.9, 3.4))
    assert slow.uncertain and not replace(slow, bound=2.0).uncertain
    assert str(slow) == "p95 3.1 ms (2.9 – 3.4) on litert is over 3 ms"


# What is refused before any work


@pytest.fixture
def own_copy(cnn_checkpoint: Path, tmp_path: Path) -> Path:
    """The CNN's checkpoint, alone in a folder."""
    return Path(shutil.copy(cnn_checkpoint, tmp_path / "model.pt"))


def test_a_limit_of_what_is_lost_needs_labelled_texts(own_copy: Path) -> None:
    heard = Heard()
    with pytest.raises(OptionError, match="limits drop, which is measured on labelled texts: give them with --eval"):
        convert(own_copy, recipe=Recipe(budget="drop<=1%"), listener=heard)
    assert heard.stages == []


def test_a_budget_that_makes_no_sense_is_refused_before_the_model_is_read(tmp_path: Path) -> None:
    fails("convert", tmp_path / "missing.pt", "--budget", "p95<=3", because="no unit behind p95<=3")


def test_programs_that_are_too_big_are_refused_before_they_are_verified(own_copy: Path, labelled_csv: Path) -> None:
    heard = Heard()
    with pytest.raises(GateError, match=r"programs alone take .* kB, and --budget allows the bundle 2 kB; nothing"):
        convert(own_copy, recipe=replace(SMALL, budget="bytes<=2kB"), eval_data=labelled_csv, listener=heard)
    assert [stage.split()[0] for stage in heard.stages] == ["Reading", "Lowering"]
    assert files(own_copy.parent) == ["model.pt"]


# What is measured


def test_a_bundle_within_its_budget_is_written_and_its_figures_told(own_copy: Path, labelled_csv: Path) -> None:
    """By the command line, from a recipe, whose budget the bundle records; the figures are not among its bytes."""
    file = RecipeFile(
        replace(SMALL, quantize="int8", budget="p50<=10s,p95<=10s,bytes<=9MB,drop<=50%,rss<=4000MiB"),
        eval_data=labelled_csv,
    )
    recipe = own_copy.parent / "r.toml"
    recipe.write_text(file.to_toml(), encoding="utf-8")
    assert RecipeFile.load(recipe) == file

    done = edgekit("convert", own_copy, "--recipe", recipe)
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stderr.splitlines() if line.startswith("budget: ")]
    assert [line.split()[1] for line in told] == ["p50", "p95", "bytes", "drop", "rss"]
    assert all(" is within " in line for line in told)
    assert done.stdout == f"{own_copy.with_suffix('.edgekit')}\n"
    assert recorded_recipe(own_copy.with_suffix(".edgekit")).file == replace(file, eval_data=Path("labelled.csv"))
    assert files(own_copy.parent) == ["model.edgekit", "model.pt", "r.toml"]

    (own_copy.parent / "again").mkdir()
    made = convert(own_copy, own_copy.parent / "again" / "model.edgekit", **vars(file))
    assert made.bundle == str(own_copy.parent / "again" / "model.edgekit")
    assert Path(made.bundle).read_bytes() == own_copy.with_suffix(".edgekit").read_bytes()
    assert made.budget is not None
    p50, p95, size, drop, rss = made.budget
    assert list(jsonio.encode(p50)) == ["key", "engine", "bound", "measured", "unit", "ci95"]
    assert [figure.key for figure in made.budget] == ["p50", "p95", "bytes", "drop", "rss"]
    assert [figure.unit for figure in made.budget] == ["ms", "ms", "bytes", "share", "MiB"]
    assert p50.ci95[0] <= p50.measured <= p50.ci95[1]
    assert 0 < p50.measured <= p95.measured < 10_000
    assert (size.measured, size.engine, size.ci95) == (made.bytes, None, None)
    (report,) = made.verify
    assert drop.measured == report.accuracy_original - report.accuracy
    assert 5 < rss.measured < 1000


def test_a_bundle_over_its_budget_leaves_the_old_file_alone(own_copy: Path, labelled_csv: Path) -> None:
    out = own_copy.with_suffix(".edgekit")
    out.write_bytes(b"an older bundle")
    recipe = replace(SMALL, budget="p95<=1us,bytes<=9MB,drop<=50%")
    with pytest.raises(GateError) as caught:
        convert(own_copy, recipe=recipe, eval_data=labelled_csv, listener=Heard())
    said = str(caught.value)
    assert "\n" not in said
    assert said.startswith("the bundle is outside its --budget: p95 0.")
    for part in (
        "on litert is over 0.001 ms; bytes ",
        "kB is within 9 MB; drop ",
        "on litert is within 50.00%; measured on this machine",
        "nothing was written: try --distill cnn, --prune 0.5 or another --quantize scheme, or allow more",
    ):
        assert part in said
    assert out.read_bytes() == b"an older bundle"
    assert files(own_copy.parent) == ["model.edgekit", "model.pt"]


def test_every_engine_of_a_bundle_must_keep_to_the_budget() -> None:
    with resources.as_file(resources.files("edgekit_runtime") / "probe.edgekit") as probe:
        engines = [program.engine for program in open_bundle(probe).manifest.main.programs]
        assert len(engines) == 3
        found = check_budget(Budget.parse("p99<=9s"), probe, ["good film", "bad film"], {}, Heard(), seconds=0.01)
        assert [(figure.key, figure.engine) for figure in found] == [("p99", engine) for engine in engines]
        lost = dict(zip(engines, (0.0, 0.02, 0.0), strict=True))
        told = (
            f"drop 0.00% on {engines[0]} is within 1.00%; drop 2.00% on {engines[1]} is over 1.00%; drop .*; measured"
        )
        with pytest.raises(GateError, match=f"{told}.* written: try a milder --quantize"):
            check_budget(Budget.parse("drop<=1%"), probe, [], lost, Heard())


def test_memory_over_its_bound_is_measured_and_refused(bundle: Path) -> None:
    with pytest.raises(GateError, match=r"rss \d+.* MiB on litert is over 0.5 MiB"):
        check_budget(Budget.parse("rss<=512KiB"), bundle, [], {}, Heard())


def test_without_a_budget_nothing_is_measured(bundle: Path) -> None:
    heard = Heard()
    assert check_budget(Budget(), bundle, sample_texts(), {}, heard) == ()
    assert heard.stages == []


# Where it is written until then


def test_what_fails_on_trial_leaves_nothing_behind(tmp_path: Path) -> None:
    out, budget = tmp_path / "x.edgekit", Budget.parse("bytes<=1MB")
    out.write_bytes(b"old")
    with pytest.raises(EngineError), trial_place(out, budget) as place:
        assert (place.name, place.parent.parent) == (out.name, tmp_path)
        place.write_bytes(b"new")
        raise EngineError("it does not run")
    assert (files(tmp_path), out.read_bytes()) == (["x.edgekit"], b"old")
    with trial_place(out, budget) as place:
        place.write_bytes(b"new")
    assert (files(tmp_path), out.read_bytes()) == (["x.edgekit"], b"new")
    with trial_place(out, Budget()) as place:
        assert place == out


def test_a_place_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    budget = Budget.parse("bytes<=1MB")
    with pytest.raises(FileError, match="choose another --out"), trial_place(tmp_path / "no" / "x.edgekit", budget):
        raise AssertionError("there is no such folder")
    (tmp_path / "x.edgekit").mkdir()
    with (
        pytest.raises(FileError, match="nothing was left behind"),
        trial_place(tmp_path / "x.edgekit", budget) as place,
    ):
        place.write_bytes(b"new")
    assert files(tmp_path) == ["x.edgekit"]
