"""Several models in one bundle: who is asked, who answers, and what is refused."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

import edgekit_runtime as ek
from bundles import PROGRAM, TEXT, entries, tokenizer_json, with_manifest
from edgekit_runtime import jsonio
from edgekit_runtime.bundle import MANIFEST, write_bundle_file
from edgekit_runtime.combination import Combination
from edgekit_runtime.engines import ENGINES
from edgekit_runtime.errors import BundleError, EngineError, EngineUnavailableError, GoldenMismatchError
from edgekit_runtime.filepart import FilePart
from edgekit_runtime.golden import Golden, GoldenText
from edgekit_runtime.manifest import Manifest, ModelEntry, Program
from edgekit_runtime.profiling.latency import summarise, time_round
from edgekit_runtime.text import TextEncoder

GOLDEN_IDS = (2, 4, 5, 7, 3)  # "a good film"
GOOD, BAD, FILM = 5, 6, 7
Table = Mapping[int, tuple[float, float]]

SURE_OF_GOOD: Table = {GOOD: (0.0, 4.0)}
"""A student that knows one word: it is sure of texts with "good", and else gives both labels alike."""
KNOWS_BOTH: Table = {GOOD: (-2.0, 2.0), BAD: (2.0, -2.0)}


class TableEngine:
    """Adds up the logits of the ids that its program, a JSON table, knows; remembers what it was asked."""

    name: ClassVar[str] = "table"
    distribution = "table 1.0"
    lengths: tuple[int, ...] | None = (4, 8, 16)
    asked: ClassVar[list[str]] = []
    open: ClassVar[set[str]] = set()

    def __init__(self, file: str, table: dict[str, list[float]]) -> None:
        self._file = file
        self._table: dict[int, NDArray[np.float32]] | None = {
            int(key): np.asarray(logits, np.float32) for key, logits in table.items()
        }
        self.open.add(file)

    @classmethod
    def unavailable(cls) -> str | None:
        return None

    @classmethod
    def load(cls, program: Program, contents: FilePart, threads: int) -> TableEngine:
        return cls(program.file, json.loads(contents.read()))

    def run(self, ids: NDArray[np.int32], mask: NDArray[np.float32]) -> NDArray[np.float32]:
        if self._table is None:
            raise EngineError("it was closed")
        self.asked.append(self._file)
        logits = np.zeros(2, np.float32)
        for each in ids[0]:
            logits += self._table.get(int(each), np.zeros(2, np.float32))
        return logits

    def close(self) -> None:
        self._table = None
        self.open.discard(self._file)


class OtherEngine(TableEngine):
    """The same under another name."""

    name: ClassVar[str] = "other"


@pytest.fixture(autouse=True)
def engines() -> Iterator[None]:
    before = dict(ENGINES)
    ENGINES.update(table=f"{__name__}:TableEngine", other=f"{__name__}:OtherEngine")
    TableEngine.asked.clear()
    TableEngine.open.clear()
    yield
    ENGINES.clear()
    ENGINES.update(before)


def total(table: Table, ids: Sequence[int]) -> tuple[float, float]:
    found = [table.get(each, (0.0, 0.0)) for each in ids]
    return sum(each[0] for each in found), sum(each[1] for each in found)


def make(
    path: Path,
    tables: Mapping[str, Table],
    combine: Combination | None,
    *,
    texts: Mapping[str, dict[str, Any]] | None = None,
    own_tokenizers: bool = False,
    programs: Mapping[str, Sequence[str]] | None = None,
    golden_off_by: Mapping[str, float] | None = None,
) -> Path:
    """A bundle of one table a role.

    Args:
        path: Where it goes.
        tables: Role to table.
        combine: How they answer.
        texts: Role to what its text spec has otherwise.
        own_tokenizers: Whether each role has a tokenizer of its own, which splits as the others do.
        programs: Role to the engines that it has programs for.
        golden_off_by: Role to what is added to its golden logits.
    """
    models, contents = [], {}
    for index, (role, table) in enumerate(tables.items()):
        tokenizer = f"{role}-tokenizer.json" if own_tokenizers else "tokenizer.json"
        contents[tokenizer] = tokenizer_json(padding=index + 1 if own_tokenizers else None)
        off = (golden_off_by or {}).get(role, 0.0)
        logits = [value + off for value in total(table, GOLDEN_IDS)]
        made = []
        for engine in (programs or {}).get(role, ("table",)):
            file = f"{role}.{engine}"
            made.append(dataclasses.replace(PROGRAM, engine=engine, file=file))
            contents[file] = json.dumps(table).encode()
        item = GoldenText("a good film", GOLDEN_IDS, {each.file: (logits[0], logits[1]) for each in made})
        contents[f"{role}-golden.json"] = jsonio.to_bytes(Golden((item,)))
        spec = dataclasses.replace(TEXT, tokenizer=tokenizer, **(texts or {}).get(role, {}))
        models.append(ModelEntry(role, spec, f"{role}-golden.json", tuple(made)))
    version = combine.schema_version if combine else 1
    manifest = Manifest("many", ("negative", "positive"), tuple(models), combine, schema_version=version)
    return write_bundle_file(path, manifest, contents)


CASCADE = Combination("cascade", ("student", "main"), 0.9)
AVERAGE = Combination("average", ("main", "second"))
PAIR = {"student": SURE_OF_GOOD, "main": KNOWS_BOTH}


@pytest.fixture
def cascade(tmp_path: Path) -> Path:
    return make(tmp_path / "cascade.edgekit", PAIR, CASCADE)


def probability(logits: tuple[float, float]) -> float:
    """Of the second label."""
    return 1 / (1 + math.exp(logits[0] - logits[1]))


def test_the_student_answers_where_it_is_sure_and_main_where_it_is_not(cascade: Path) -> None:
    with ek.load(cascade) as classify:
        TableEngine.asked.clear()
        good, bad = classify("a good film"), classify("a bad film")
    assert TableEngine.asked == ["student.table", "student.table", "main.table"]
    assert (good.label, good.model, good.score) == ("positive", "student", pytest.approx(probability((0, 4))))
    assert (bad.label, bad.model, bad.score) == ("negative", "main", pytest.approx(1 - probability((2, -2))))
    assert list(bad.scores) == ["negative", "positive"]
    assert sum(bad.scores.values()) == pytest.approx(1)


def test_a_score_at_the_threshold_is_sure_enough(tmp_path: Path) -> None:
    with ek.load(make(tmp_path / "x.edgekit", PAIR, CASCADE)) as classify:
        score = classify("good").score
    for threshold, who in ((score, "student"), (np.nextafter(score, 1), "main")):
        path = make(tmp_path / "x.edgekit", PAIR, dataclasses.replace(CASCADE, threshold=float(threshold)))
        with ek.load(path) as classify:
            assert classify("good").model == classify.predict(["good"])[0].model == who


@pytest.mark.parametrize("role", ["student", "main"])
@pytest.mark.parametrize("answer", [(math.nan, math.nan), (0.0, math.nan), (math.inf, -math.inf), (-math.inf, 1.0)])
def test_an_answer_that_is_no_finite_number_is_an_error_and_no_doubt(
    tmp_path: Path, role: str, answer: tuple[float, float]
) -> None:
    path = make(tmp_path / "x.edgekit", {**PAIR, role: {**PAIR[role], BAD: answer}}, CASCADE)
    with ek.load(path, verify=False) as classify:
        assert classify("good").model == "student"
        for ask in (classify, lambda text: classify.predict([text])):
            with pytest.raises(EngineError, match=rf"answers \[.*no finite numbers, by {role}.table"):
                ask("bad")


def test_predict_keeps_the_order_and_asks_main_only_where_it_must(cascade: Path) -> None:
    texts = ["bad", "good", "a film", "good good", "", "bad film", "\ud800", "good"]
    with ek.load(cascade) as classify:
        expected = [classify(text) for text in texts]
        TableEngine.asked.clear()
        assert classify.predict(texts) == expected
        assert TableEngine.asked == ["student.table"] * 8 + ["main.table"] * 5
        assert classify.predict([]) == []
    assert [answer.model for answer in expected] == ["main" if "good" not in text else "student" for text in texts]


def test_three_models_are_asked_in_turn(tmp_path: Path) -> None:
    tables = {"main": KNOWS_BOTH, "second": {BAD: (9.0, 0.0)}, "first": SURE_OF_GOOD}
    combine = Combination("cascade", ("first", "second", "main"), 0.95)
    with ek.load(make(tmp_path / "x.edgekit", tables, combine)) as classify:
        texts = ["good", "bad", "film", "bad good"]
        assert [classify(text).model for text in texts] == ["first", "second", "main", "first"]
        assert [answer.model for answer in classify.predict(texts)] == ["first", "second", "main", "first"]


def test_an_average_is_the_mean_of_probabilities_and_not_of_logits(tmp_path: Path) -> None:
    """Mean logits would be positive here: one model shouts, two others are sure enough."""
    quiet: Table = {FILM: (1.5, -1.5)}
    tables = {"main": {FILM: (-9.0, 9.0)}, "second": quiet, "third": quiet}
    combine = Combination("average", ("main", "second", "third"))
    with ek.load(make(tmp_path / "x.edgekit", tables, combine)) as classify:
        answer = classify("film")
        assert classify.predict(["film", "a"]) == [answer, classify("a")]
    expected = np.mean([probability((-9, 9)), probability((1.5, -1.5)), probability((1.5, -1.5))])
    assert answer.scores == pytest.approx({"negative": 1 - expected, "positive": expected})
    assert (answer.label, answer.model) == ("negative", "average")


@pytest.mark.parametrize(
    ("own_tokenizers", "texts", "times"),
    [
        (False, {}, 1),
        (False, {"student": {"min_length": 4, "buckets": (8, 16)}}, 1),
        (False, {"student": {"max_length": 8, "buckets": (8,)}}, 2),
        (False, {"student": {"clean": ("html",)}}, 2),
        (True, {}, 2),
    ],
)
@pytest.mark.parametrize("combine", [CASCADE, Combination("average", ("student", "main"))])
def test_ids_are_computed_once_where_the_models_share_them(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    combine: Combination,
    own_tokenizers: bool,
    texts: dict[str, dict[str, Any]],
    times: int,
) -> None:
    path = make(tmp_path / "x.edgekit", PAIR, combine, own_tokenizers=own_tokenizers, texts=texts)
    calls: list[Any] = []
    one, several = TextEncoder.ids, TextEncoder.ids_of
    with ek.load(path) as classify:
        monkeypatch.setattr(TextEncoder, "ids", lambda self, text: calls.append(text) or one(self, text))
        monkeypatch.setattr(TextEncoder, "ids_of", lambda self, texts: calls.append(texts) or several(self, texts))
        assert classify("a bad film").label == "negative"
        assert calls == ["a bad film"] * times
        calls.clear()
        assert [answer.label for answer in classify.predict(["good", "bad"])] == ["positive", "negative"]
        assert len(calls) == times


def test_each_model_pads_by_its_own_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {"student": {"min_length": 7}, "main": {"buckets": (16,)}}
    seen: list[tuple[str, int, float]] = []
    run = TableEngine.run
    with ek.load(make(tmp_path / "x.edgekit", PAIR, CASCADE, texts=texts)) as classify:
        monkeypatch.setattr(
            TableEngine,
            "run",
            lambda self, ids, mask: seen.append((self._file, ids.shape[1], float(mask.sum()))) or run(self, ids, mask),
        )
        classify("bad")
    assert seen == [("student.table", 8, 7.0), ("main.table", 4, 3.0)]


def test_every_model_must_answer_its_golden_texts(tmp_path: Path) -> None:
    for role in PAIR:
        path = make(tmp_path / "x.edgekit", PAIR, CASCADE, golden_off_by={role: 1.0})
        with pytest.raises(GoldenMismatchError, match=rf"runs {role}\.table wrongly"):
            ek.load(path)
        assert not TableEngine.open, "what was loaded before is closed"
        ek.load(path, verify=False).close()


def test_close_frees_every_model(cascade: Path) -> None:
    with ek.load(cascade) as classify:
        assert TableEngine.open == {"student.table", "main.table"}
    assert not TableEngine.open
    for text in ("good", "bad"):
        with pytest.raises(EngineError, match="it was closed"):
            classify(text)
    classify.close()


def test_an_engine_is_chosen_for_each_model(tmp_path: Path) -> None:
    programs = {"student": ("other",), "main": ("table", "other")}
    path = make(tmp_path / "x.edgekit", PAIR, CASCADE, programs=programs)
    with ek.load(path) as classify:
        assert [(member.role, member.engine.name) for member in classify.members] == [
            ("student", "other"),
            ("main", "table"),
        ]
        assert classify.engine.name == "table"
    with ek.load(path, engine="other") as classify:
        assert {member.engine.name for member in classify.members} == {"other"}
    with pytest.raises(
        EngineUnavailableError, match=r"the model 'student' of .* has no program for table, only for other"
    ):
        ek.load(path, engine="table")


def test_fallback_goes_for_each_model(tmp_path: Path) -> None:
    path = make(tmp_path / "x.edgekit", PAIR, CASCADE, programs={"student": ("table", "other")})
    contents = entries(path)
    manifest = Manifest.from_bytes(contents.pop(MANIFEST))
    contents["student.table"] = json.dumps({GOOD: [9.0, 0.0]}).encode()
    path = write_bundle_file(path, manifest, contents)
    with pytest.raises(GoldenMismatchError):
        ek.load(path)
    with (
        pytest.warns(RuntimeWarning, match="engine table is passed over: table 1.0 answers") as caught,
        ek.load(path, fallback=True) as classify,
    ):
        assert [member.engine.name for member in classify.members] == ["other", "table"]
    assert caught[0].filename == __file__


def test_who_is_what(cascade: Path) -> None:
    with ek.load(cascade) as classify:
        assert isinstance(classify, ek.Classifier)
        student, main = classify.members
        assert (student.role, main.role, classify.labels) == ("student", "main", ("negative", "positive"))
        assert (classify.engine, classify.encoder) == (main.engine, main.encoder)
        assert classify.logits([BAD]).tolist() == [2.0, -2.0]
        assert student("bad").model == "student"
        assert student.members == (student,)
        for wrong in (None, ["good"]):
            with pytest.raises(TypeError, match="a text must be a string"):
                classify(wrong)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="predict takes a list of strings"):
            classify.predict("good")


def test_threads_of_the_caller_get_the_same_answers(cascade: Path) -> None:
    texts = ["good", "bad", "film", "good bad", "bad bad"] * 20
    with ek.load(cascade) as classify, ThreadPoolExecutor(8) as pool:
        expected = classify.predict(texts)
        for found in pool.map(lambda _: [classify(text) for text in texts], range(8)):
            assert found == expected


def test_weights_of_words_are_of_the_cascade(cascade: Path) -> None:
    """Without "good" the student is not sure, so that main says what is left of the label's probability."""
    with ek.load(cascade) as classify:
        explanation = classify.explain("a good film")
        without = classify("a   film")
    assert (explanation.prediction.model, without.model) == ("student", "main")
    by_word = {word.text: word.weight for word in explanation.words}
    assert by_word == pytest.approx({"a": 0, "good": probability((0, 4)) - without.scores["positive"], "film": 0})


def test_words_that_any_model_sees_are_explained(tmp_path: Path) -> None:
    path = make(tmp_path / "x.edgekit", PAIR, CASCADE, texts={"student": {"max_length": 8, "buckets": (8,)}})
    with ek.load(path) as classify:
        assert len(classify.explain("film " * 30).words) == 14  # main's 16 tokens less [CLS] and [SEP]


def test_latency_is_told_by_model(cascade: Path) -> None:
    with ek.load(cascade) as classify:
        latency = summarise([time_round(classify, ["good", "bad", "bad", "film"] * 5, warmup=4) for _ in range(2)])
        alone = summarise([time_round(classify.members[1], ["good"] * 3)])
    assert {role: each.count for role, each in latency.by_model.items()} == {"student": 10, "main": 30}
    parts = [each.mean * each.count for each in latency.by_model.values()]
    assert sum(parts) == pytest.approx(latency.mean * 40)
    assert alone.by_model == {}


def test_who_knows_no_cascade_answers_rightly_with_main(cascade: Path, tmp_path: Path) -> None:
    assert ek.open_bundle(cascade).manifest.schema_version == 1
    older = with_manifest(cascade, tmp_path / "older.edgekit", combine=...)
    with ek.load(older) as classify, ek.load(cascade) as whole:
        assert classify("good").model == "main"
        assert classify("good") == whole.members[1]("good")
    assert TableEngine.asked.count("student.table") == 1, "for its golden text in the cascade, and never in the older"


def test_who_knows_no_average_refuses_it(tmp_path: Path) -> None:
    path = make(tmp_path / "x.edgekit", {"main": KNOWS_BOTH, "second": SURE_OF_GOOD}, AVERAGE)
    assert ek.open_bundle(path).manifest.schema_version == 2
    lying = with_manifest(path, tmp_path / "lying.edgekit", schema_version=1)
    with pytest.raises(BundleError, match="has an average, which needs schema version 2, not 1"):
        ek.load(lying)


def cascaded(**changes: Any) -> dict[str, Any]:
    return {"kind": "cascade", "order": ["student", "main"], "threshold": 0.9, **changes}


@pytest.mark.parametrize(
    ("combine", "match"),
    [
        (cascaded(kind="vote"), "combines its models by 'vote', and this edgekit knows cascade, average: upgrade it"),
        (cascaded(order=["student"]), "must combine all of its models, two or more, each once"),
        (cascaded(order=[]), "the order is empty"),
        (cascaded(order=["student", "small", "main"]), "it has student, main, and the order is student, small, main"),
        (cascaded(order=["student", "student", "main"]), "each once"),
        (cascaded(order=["main", "student"]), "a cascade that ends with 'student'; it must end with 'main'"),
        (cascaded(threshold=None), "whose threshold is None; it must lie above 0 and not above 1"),
        (cascaded(threshold=0), "whose threshold is 0.0; it must lie above 0"),
        (cascaded(threshold=-0.5), "must lie above 0"),
        (cascaded(threshold=1.01), "not above 1"),
        (cascaded(threshold=math.nan), "must lie above 0"),
        (cascaded(threshold=math.inf), "not above 1"),
        (cascaded(threshold="0.9"), r"combine\.threshold should be a number"),
        (cascaded(kind="average"), "an average with a threshold, which only a cascade has"),
        ({"kind": "cascade", "threshold": 0.9}, r"combine has no 'order'"),
        ({"order": ["student", "main"]}, r"combine has no 'kind'"),
        ("cascade", r"combine should be an object"),
    ],
)
def test_combinations_that_make_no_sense(cascade: Path, tmp_path: Path, combine: object, match: str) -> None:
    path = with_manifest(cascade, tmp_path / "x.edgekit", combine=combine, schema_version=2)
    with pytest.raises(BundleError, match=match) as caught:
        ek.open_bundle(path)
    assert "\n" not in str(caught.value)


def test_a_combination_of_one_model(tmp_path: Path) -> None:
    path = make(tmp_path / "x.edgekit", {"main": KNOWS_BOTH}, None)
    alone = with_manifest(path, tmp_path / "y.edgekit", combine=cascaded(order=["main"]))
    with pytest.raises(BundleError, match="two or more"):
        ek.open_bundle(alone)


def test_roles_and_labels_of_several_models(cascade: Path, tmp_path: Path) -> None:
    models = json.loads(entries(cascade)[MANIFEST])["models"]
    doubled = with_manifest(cascade, tmp_path / "1.edgekit", models=[models[0], *models])
    with pytest.raises(BundleError, match=r"two models of one role \(student, student, main\); each needs its own"):
        ek.open_bundle(doubled)
    models[0]["programs"][0]["outputs"][0]["shape"] = [1, 3]
    other = with_manifest(cascade, tmp_path / "2.edgekit", models=models)
    with pytest.raises(BundleError, match=r"names 2 labels, and logits of shape \[1, 3\]"):
        ek.open_bundle(other)
