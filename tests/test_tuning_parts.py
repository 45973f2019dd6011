"""The parts of the search: the front, the order, the budget, and which worker is alive."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit_converters.budget import Budget
from edgekit_converters.checkpoint import ReadOptions, read_checkpoint
from edgekit_converters.tuning.choice import Choice, Origin
from edgekit_converters.tuning.folder import without_password
from edgekit_converters.tuning.front import best_of, exceeded, figures_of, front_of, nearest_of, shares_over
from edgekit_converters.tuning.record import Seen
from edgekit_converters.tuning.results import COMPLETE, FAILED, PRUNED, Measured, TrialResult
from edgekit_converters.tuning.space import Space, space_of
from edgekit_converters.tuning.stopping import of_origin, of_scheme
from edgekit_converters.tuning.walk import PATIENCE, first_of_each, reachable, stale_for
from edgekit_converters.tuning.workers import SILENT_S, is_gone, this_worker

MODEL = Choice("model", None, False, "int8", "litert", "default", 1)
SMALL, LARGE = replace(MODEL, source="cnn-small"), replace(MODEL, source="cnn")


def complete(number: int, accuracy: float, p95_ms: float, size: int, choice: Choice = MODEL) -> TrialResult:
    return TrialResult(number, COMPLETE, choice, accuracy, accuracy, size, p95_ms / 2, p95_ms, within=True)


def test_the_front_has_no_trial_that_another_beats():
    trials = [
        complete(0, 0.9, 2.0, 100),
        complete(1, 0.8, 1.0, 100),
        complete(2, 0.8, 1.5, 100),  # slower than 1
        complete(3, 0.9, 2.0, 100),  # the same as 0
        complete(4, 0.7, 3.0, 50),
        TrialResult(5, PRUNED, MODEL, bytes=1, p95_ms=0.1),
    ]
    assert front_of(trials) == (0, 1, 4)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 3), st.integers(1, 3)), max_size=12))
def test_every_trial_is_on_the_front_or_beaten_by_one_that_is(points):
    trials = [complete(number, a / 3, float(b), c) for number, (a, b, c) in enumerate(points)]
    front = front_of(trials)
    for number, (accuracy, p95, size) in enumerate(points):
        as_good = [
            other
            for other in front
            if points[other][0] >= accuracy and points[other][1] <= p95 and points[other][2] <= size
        ]
        assert as_good, number
        assert (number in front) == (as_good == [number])


def test_best_is_the_most_accurate_within_and_of_equals_the_faster():
    trials = [complete(0, 0.9, 2.0, 1), complete(1, 0.9, 1.0, 9), replace(complete(2, 0.95, 1.0, 1), within=False)]
    assert best_of(trials) == 1
    assert best_of([replace(trial, within=False) for trial in trials]) is None


def test_nearest_exceeds_its_worst_limit_least_and_what_is_complete_comes_first():
    budget = Budget.parse("p95<=1ms,bytes<=100B")
    trials = [
        complete(0, 0.9, 1.5, 90),
        complete(1, 0.9, 1.1, 400),
        TrialResult(2, PRUNED, MODEL, bytes=150, p95_ms=1.0),
        TrialResult(3, FAILED, MODEL),
        complete(4, 0.9, 1.2, 130),
        TrialResult(5, PRUNED, MODEL, bytes=130),
    ]
    assert nearest_of(trials, budget, 0.9) == 4
    assert nearest_of(trials[3:4], budget, 0.9) is None


def test_a_limit_of_no_drop_at_all_can_be_exceeded_and_kept():
    budget = Budget.parse("drop<=0")
    assert shares_over(complete(0, 0.9, 1.0, 1), budget, 0.9)["drop"] <= 0
    assert shares_over(complete(0, 0.8, 1.0, 1), budget, 0.9)["drop"] > 0


def test_a_limit_is_exceeded_past_its_room_and_only_if_it_was_measured():
    budget = Budget.parse("p95<=1ms,bytes<=1MB,rss<=10MiB")
    figures = figures_of(size=1_000_000, measured=Measured(0.5, 1.2))
    assert exceeded(budget, figures) == {"p95": "p95 1.2 ms is over 1 ms"}
    assert exceeded(budget, figures, {"p95": 0.25}) == {}


def test_what_needs_no_training_comes_before_the_cheapest_training():
    cost = {"model": 0.0, "cnn-small": 1.0, "cnn": 2.0}
    choices = (LARGE, MODEL, replace(MODEL, scheme="none"), SMALL)

    def of(origin: Origin) -> float:
        return cost[origin.source]

    assert {choice.source for choice in reachable(choices, (), of)} == {"model"}
    assert {choice.source for choice in reachable((LARGE, SMALL), (), of)} == {"cnn-small"}
    beaten = tuple(complete(number, 0.5, 9.0, 9) for number in range(1, PATIENCE + 1))
    assert {choice.source for choice in reachable(choices, (complete(0, 0.9, 1.0, 1), *beaten), of)} == {"cnn-small"}


def test_a_new_origin_gets_its_turns_although_its_first_trial_is_beaten():
    results = (complete(0, 0.9, 1.0, 1), *(complete(number, 0.5, 9.0, 9) for number in range(1, 4)))
    assert stale_for(results) == 3
    assert stale_for((*results, complete(4, 0.4, 9.0, 9, SMALL))) == 0


def test_the_plain_choice_comes_first_on_every_engine():
    other = replace(MODEL, engine="onnx")
    choices = (replace(MODEL, scheme="none"), other)
    assert first_of_each(choices, (complete(0, 0.9, 1.0, 1),), ()) == other
    assert first_of_each(choices, (complete(0, 0.9, 1.0, 1),), (other,)) is None


def test_what_is_tried_running_or_ruled_out_is_not_open():
    space = Space((MODEL, replace(MODEL, threads=2), replace(MODEL, scheme="none"), SMALL, LARGE), {})
    seen = Seen(
        (complete(0, 0.9, 1.0, 1),), (SMALL,), (of_origin(LARGE.origin), of_scheme(replace(MODEL, scheme="none")))
    )
    assert seen.open(space) == (replace(MODEL, threads=2),)


def test_the_space_has_what_each_engine_can_do(cnn_checkpoint):
    model = read_checkpoint(cnn_checkpoint, ReadOptions(), print)
    space = space_of(
        model,
        learns=True,
        students=None,
        checkpoints={},
        prune=None,
        schemes=("int8", "int8-per-tensor"),
        engines=("litert", "onnx"),
        buckets=None,
        threads=(1,),
    )
    assert {str(origin) for origin in space.origins} == {
        *("model", "model, trimmed", "model, trimmed, 0.5 pruned"),
        *("cnn", "cnn-small"),
    }, "a CNN has no BERT students"
    schemes = {(choice.engine, choice.scheme) for choice in space.choices}
    assert ("litert", "int8-per-tensor") in schemes
    assert ("onnx", "int8-per-tensor") not in schemes
    assert [choice.engine for choice in space.choices[:2]] == ["litert", "onnx"]
    assert str(space.choices[0]) == "model, int8, litert, 1 thread"


def test_a_worker_of_this_machine_is_gone_when_its_process_is():
    now = time.time()
    assert not is_gone(this_worker(), 0.0)
    assert is_gone({**this_worker(), "started": "1"}, now), "another process has its number"
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    worker = {**this_worker(), "pid": child.pid}
    child.kill()
    child.communicate()
    assert is_gone(worker, now)


def test_a_worker_of_another_machine_is_gone_after_a_silence():
    other = {"host": "elsewhere", "boot": "", "pid": os.getpid(), "started": ""}
    assert not is_gone(other, time.time())
    assert is_gone(other, time.time() - SILENT_S - 1)
    assert not is_gone({}, time.time()), "it has only just begun"


@pytest.mark.parametrize(("buckets", "lengths"), [("default", None), ("auto", "auto"), ("8,32", (8, 32))])
def test_buckets_as_a_recipe_takes_them(buckets, lengths):
    assert replace(MODEL, buckets=buckets).lengths == lengths


def test_the_process_that_times_a_bundle_has_the_runtime_alone():
    code = "import sys, edgekit_converters.tuning.timed; print(sorted({'torch', 'optuna', 'tokenizers'} & sys.modules.keys()))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() in ("['tokenizers']", "[]")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("mysql+pymysql://me:a@b/c@host/db", "mysql+pymysql://me:***@host/db"),
        ("postgresql://host/db?user=me&password=abc&x=1", "postgresql://host/db?user=me&password=***&x=1"),
        ("sqlite:///a.db", "sqlite:///a.db"),
    ],
)
def test_the_password_of_a_database_is_not_shown(url, shown):
    assert without_password(url) == shown


def test_pruning_nothing_is_no_pruning(cnn_checkpoint):
    model = read_checkpoint(cnn_checkpoint, ReadOptions(), print)
    more = {"students": (), "checkpoints": {}, "schemes": ("int8",), "engines": ("onnx",), "buckets": None}
    space = space_of(model, learns=True, prune=(0.0,), threads=(1,), **more)
    assert {choice.prune for choice in space.choices} == {None}
