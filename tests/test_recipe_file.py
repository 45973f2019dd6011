"""Recipes as TOML: in and out, what is refused, what flags override, and a bundle made again from its own recipe."""

from __future__ import annotations

import dataclasses
import re
import shutil
import sys
import types
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import pytest
from hypothesis import given
from hypothesis import strategies as st

import edgekit as ek
from bundles import with_manifest, write_hand_made
from edgekit_converters.checkpoint import ReadOptions
from edgekit_converters.compress import Compression
from edgekit_converters.data import DataOptions
from edgekit_converters.model import LONGEST
from edgekit_converters.pipeline import convert
from edgekit_converters.recipe import Recipe
from edgekit_converters.recipe_file import (
    COMPRESS,
    DATA,
    DATA_FILES,
    NEVER_IN_A_FILE,
    READ,
    TOP,
    RecipeFile,
    known_keys,
)
from edgekit_converters.recorded import record, recorded_recipe
from edgekit_runtime import jsonio, open_bundle
from edgekit_runtime.errors import BundleError, FileError, OptionError
from test_cli import edgekit, fails

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DOCUMENT = Path(__file__).parents[1] / "docs" / "recipes.md"
EXAMPLE = re.findall(r"```toml\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)[0]


# In and out

KINDS: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(),
    bool: st.booleans(),
    int: st.integers(1, 10**12),
    float: st.floats(0, 1),
    Path: st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1).map(Path),
}
CHECKED: dict[str, st.SearchStrategy[Any]] = {  # fields whose values are checked
    "targets": st.lists(st.text(), min_size=1, unique=True).map(tuple),
    "label_map": st.sampled_from([None, "stars", "1-2=negative,4-5=positive,3="]),
    "encoding": st.sampled_from([None, "utf-8", "gb18030"]),
    "max_length": st.none() | st.integers(1, LONGEST),
    "keep": st.floats(0.01, 0.99),
    "prune": st.none() | st.floats(0.01, 0.99),
    "budget": st.sampled_from([None, "p95<=3ms,bytes<=2MB", "drop ≤ 1%"]),
    "route": st.just("direct"),  # these two depend on targets and scheme
    "compat": st.none(),
    "buckets": st.sampled_from([None, "auto"])
    | st.lists(st.integers(1, 10**6), min_size=1, unique=True).map(sorted).map(tuple),
}


def values_of(hint: Any) -> st.SearchStrategy[Any]:
    """Values of a field's type, so that a field that is new is tested too."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return st.one_of(*(values_of(argument) for argument in arguments))
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin is tuple:
        return st.lists(values_of(arguments[0])).map(tuple)
    return st.none() if hint is type(None) else KINDS[hint]


def settings_of(table: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({k: CHECKED.get(k, values_of(hint)) for k, hint in known_keys()[table].items()})


@st.composite
def recipe_files(draw: st.DrawFn) -> RecipeFile:
    data = draw(settings_of(DATA))
    files = {attribute: data.pop(key) for key, attribute in DATA_FILES.items()}
    clean, stop_words = draw(st.sampled_from([(None, None), (("html", "urls"), None), (("stop-words",), ("the",))]))
    read = ReadOptions(**draw(settings_of(READ)) | {"clean": clean, "stop_words": stop_words})
    compression = Compression(**draw(settings_of(COMPRESS)))
    return RecipeFile(Recipe(**draw(settings_of(TOP))), read, compression, data_options=DataOptions(**data), **files)


@given(recipe_files())
def test_a_recipe_comes_back_from_toml_as_it_was(file: RecipeFile) -> None:
    assert RecipeFile.from_toml(file.to_toml()) == file


def test_a_route_and_an_older_runtime_come_back_too() -> None:
    file = RecipeFile(Recipe(targets=("litert", "executorch"), quantize="none", route="onnx", compat="tflite-runtime"))
    assert RecipeFile.from_toml(file.to_toml()) == file


def test_the_defaults_come_back_too() -> None:
    assert RecipeFile.from_toml(RecipeFile().to_toml()) == RecipeFile.from_toml("") == RecipeFile()


def test_what_is_none_is_so_by_default() -> None:
    """TOML knows no null: a key that is left out must mean None wherever None can be said."""
    for cls in (Recipe, ReadOptions, Compression, DataOptions, RecipeFile):
        for item in dataclasses.fields(cls):
            if item.default is dataclasses.MISSING:
                assert item.default_factory is not dataclasses.MISSING
            elif item.default is not None:
                hint = next((keys[item.name] for keys in known_keys().values() if item.name in keys), bool)
                assert type(None) not in get_args(hint), item.name


def test_every_setting_is_a_key_but_for_trust() -> None:
    keys = known_keys()
    assert set(keys[TOP]) == set(vars(Recipe()))
    assert set(keys[READ]) == set(vars(ReadOptions())) - {"trust"}
    assert set(keys[COMPRESS]) == set(vars(Compression()))
    assert set(keys[DATA]) == {*DATA_FILES, *vars(DataOptions())}
    assert not set(keys[TOP]) & {READ, COMPRESS, DATA, "target"}  # these stand beside them in the history
    assert not set(keys[DATA]) & set(keys[READ])
    assert set(NEVER_IN_A_FILE) <= set(vars(ReadOptions()))


def test_paths_are_relative_to_the_folder_of_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text(
        '[read]\ntokenizer = "../vocab.txt"\n[compress]\ndistill = "my.toml"\ncascade = "cnn"\n[data]\neval = "/data/dev.csv"\n'
    )
    file = RecipeFile.load(tmp_path / "r.toml")
    assert (file.compression.distill, file.compression.cascade) == (str(tmp_path / "my.toml"), "cnn")
    assert file.read.tokenizer == tmp_path / "../vocab.txt"
    assert file.eval_data == Path("/data/dev.csv")
    for elsewhere in ("-", "hf:owner/name:config@test"):
        (tmp_path / "r.toml").write_text(f'[data]\neval = "{elsewhere}"\n')
        assert str(RecipeFile.load(tmp_path / "r.toml").eval_data) == elsewhere


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_bytes('\ufeffquantize = "none"\r\n[read]\r\nlabels = ["差", "好"]\r\n'.encode())
    file = RecipeFile.load(tmp_path / "r.toml")
    assert (file.recipe.quantize, file.read.labels) == ("none", ("差", "好"))


# What is refused


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("quantise = 'int8'", r"unknown key 'quantise' \(did you mean quantize\?\); it can hold targets, quantize, "),
        (
            "[reed]\nheads = 4",
            r"unknown key 'reed' \(did you mean \[read\]\?\); it can hold .*, \[read\], \[compress\], \[data\]",
        ),
        (
            "[read]\nhead = 4",
            r"unknown key 'read.head' \(did you mean heads\?\); \[read\] can hold tokenizer, labels, ",
        ),
        ("[data]\nxyz = 4", r"unknown key 'data.xyz'; \[data\] can hold train, "),
        ('"" = 1', "unknown key ''"),
        ("[read]\nquantize = 'int8'", r"has quantize under \[read\]; it belongs at the top, before the first table"),
        ("labels = ['a', 'b']", r"has labels at the top; it belongs under \[read\]"),
        ("[data]\nlabels = ['a', 'b']", r"has labels under \[data\]; it belongs under \[read\]"),
        ("read = 4", r"read is a table; write \[read\] on a line of its own"),
        ("[[read]]\nheads = 4", r"read is a table; write \[read\]"),
        ("quantize = 8", "quantize should be a string, not 8"),
        ("quantize = {a = 1}", "quantize should be a string"),
        ("targets = 'litert'", "targets should be a list in which each item is a string, not 'litert'"),
        ("targets = ['litert', 1]", "targets should be a list in which each item is a string"),
        ("max_length = 64.0", "max_length should be a whole number, not 64.0"),
        ("max_length = true", "max_length should be a whole number, not True"),
        ("max_drop = '1%'", "max_drop should be a number, not '1%'"),
        ("max_drop = nan", "max_drop should be a number, not nan"),
        ("max_drop = false", "max_drop should be a number, not False"),
        ("buckets = [16, '32']", "buckets should be a list in which each item is a whole number"),
        ("buckets = 2026-01-01", "buckets should be "),
        ("[read]\ntokenizer = ''", "read.tokenizer should be a path, not ''"),
        ('[data]\neval = "a\\u0000b"', "data.eval should be a path"),
        ("[read]\ntrust = true", "sets read.trust: .* on the command line only, by --trust-checkpoint; remove it"),
        ("trust = true", "sets trust: .* on the command line only"),
        ("max_drop = 2", "--max-drop is a share between 0 and 1, not 2.0"),
        ("buckets = [32, 16]", "--buckets must ascend"),
        ("budget = 'p95<=3'", "--budget has no unit behind p95<=3"),
        ("buckets = 'automatic'", "buckets should be a list in which each item is a whole number or 'auto', not 'auto"),
        ("[read]\nclean = ['nonsense']", "no cleaning step nonsense"),
        ("[data]\nencoding = 'nonsense'", "no encoding 'nonsense'"),
        ("quantize = int8", "is not valid TOML: .*line 1"),
        ("quantize = 'none'\nquantize = 'int8'", "is not valid TOML"),
        ("a = " + "[" * 10_000, "is not valid TOML"),
        ("max_length = " + "1" * 10_000, "is not valid TOML"),
        ("targets = [{a = 0x" + "f" * 5000 + "}]", "is not valid TOML: a whole number has more than 64 bits"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "r.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(OptionError, match=message) as caught:
        RecipeFile.load(path)
    assert str(path) in str(caught.value)


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"there is no recipe .*missing.toml; check the path"):
        RecipeFile.load(tmp_path / "missing.toml")
    with pytest.raises(FileError, match="cannot read"):
        RecipeFile.load(tmp_path)
    (tmp_path / "utf16.toml").write_bytes("a = 1".encode("utf-16"))
    with pytest.raises(OptionError, match="is not UTF-8"):
        RecipeFile.load(tmp_path / "utf16.toml")


def test_a_wrong_recipe_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text("quantise = 'none'")
    fails("convert", tmp_path / "missing.pt", "--recipe", tmp_path / "r.toml", because="did you mean quantize?")


# The document


def test_the_document_shows_every_key() -> None:
    whole = re.sub(r"^# (?=\w+ = )", "", EXAMPLE, flags=re.MULTILINE)
    RecipeFile.from_toml(whole)
    shown = tomllib.loads(whole)
    tables = {table: shown.pop(table) for table in (READ, COMPRESS, DATA)} | {TOP: shown}
    assert {table: set(keys) for table, keys in tables.items()} == {
        table: set(keys) for table, keys in known_keys().items()
    }


def test_the_example_of_the_document_makes_a_bundle(cnn_checkpoint: Path, labelled_csv: Path, tmp_path: Path) -> None:
    """By the command of the document, with flags that go before the recipe."""
    shutil.copy(cnn_checkpoint, tmp_path / "model.pt")
    for name in ("train.csv", "dev.csv"):
        shutil.copy(labelled_csv, tmp_path / name)
    (tmp_path / "recipe.toml").write_text(EXAMPLE, encoding="utf-8")
    flags = ("--quantize", "none", "--max-drop", "0.03", "--labels", "worse,better", "--text-column", "1")
    done = edgekit("convert", tmp_path / "model.pt", "--recipe", tmp_path / "recipe.toml", *flags)
    assert done.returncode == 0, done.stderr
    manifest = open_bundle(tmp_path / "model.edgekit").manifest
    assert manifest.labels == ("worse", "better")
    assert (manifest.main.text.buckets, manifest.main.text.min_length) == ((16, 64), 8)
    assert (manifest.main.text.clean, manifest.main.text.stop_words) == (("html", "stop-words"), ("the", "of"))
    assert manifest.main.programs[0].scheme == "none"
    assert manifest.verify[0].accuracy is not None
    written = RecipeFile.from_toml(EXAMPLE)
    assert recorded_recipe(tmp_path / "model.edgekit").file == replace(
        written,
        recipe=replace(written.recipe, quantize="none", max_drop=0.03),
        read=replace(written.read, labels=("worse", "better")),
        data_options=replace(written.data_options, text_column="1"),
    )


# Made again from its own recipe


def test_the_recipe_of_a_cnn_gives_the_same_bytes_again(
    cnn_checkpoint: Path, labelled_csv: Path, tmp_path: Path
) -> None:
    (tmp_path / "again").mkdir()
    texts = Path(shutil.copy(labelled_csv, tmp_path / "texts.csv"))
    file = RecipeFile(
        Recipe(quantize="int8-static", max_length=9, buckets="auto", max_drop=0.5, max_total_drop=0.5),
        ReadOptions(labels=("差", "好"), pad_to=9),
        eval_data=labelled_csv,
        calibrate=texts,
        data_options=DataOptions(text_column="1"),
    )
    made = Path(ek.convert(cnn_checkpoint, tmp_path / "cnn.edgekit", **vars(file)).bundle)
    recorded = recorded_recipe(made)
    assert recorded.file == replace(file, eval_data=Path("labelled.csv"), calibrate=Path("texts.csv"))
    assert recorded.missing == ()
    assert f"data.eval was 'labelled.csv' of {labelled_csv.stat().st_size} bytes." in recorded.about
    assert str(labelled_csv.parent) not in made.read_bytes().decode("latin-1")

    for path in (labelled_csv, texts):
        shutil.copy(path, tmp_path / "again")
    printed = edgekit("inspect", made, "--recipe")
    assert (printed.returncode, printed.stderr) == (0, "")
    (tmp_path / "again" / "r.toml").write_text(printed.stdout, encoding="utf-8")
    out = tmp_path / "again" / "cnn.edgekit"
    done = edgekit("convert", cnn_checkpoint, "--recipe", tmp_path / "again" / "r.toml", "--out", out)
    assert done.returncode == 0, done.stderr
    assert out.read_bytes() == made.read_bytes()


def test_the_recipe_of_a_bert_gives_the_same_bytes_again(
    bert_checkpoint: Path, vocabulary: Path, tmp_path: Path
) -> None:
    (tmp_path / "again").mkdir()
    file = RecipeFile(
        Recipe(quantize="none", max_length=16),
        ReadOptions(tokenizer=vocabulary, labels=("bad", "good"), heads=4, clean=("html", "urls")),
    )
    made = Path(convert(bert_checkpoint, tmp_path / "bert.edgekit", **vars(file)).bundle)
    manifest = open_bundle(made).manifest
    assert (manifest.labels, manifest.main.text.clean) == (("bad", "good"), ("html", "urls"))

    shutil.copy(vocabulary, tmp_path / "again")
    (tmp_path / "again" / "r.toml").write_text(recorded_recipe(made).to_toml(), encoding="utf-8")
    convert(
        bert_checkpoint, tmp_path / "again" / "bert.edgekit", **vars(RecipeFile.load(tmp_path / "again" / "r.toml"))
    )
    assert (tmp_path / "again" / "bert.edgekit").read_bytes() == made.read_bytes()


# What a bundle tells


def test_the_history_keeps_plain_json_and_no_folders(tmp_path: Path) -> None:
    data = tmp_path / "data.csv"
    data.write_text("12345")
    kept = record(RecipeFile(read=ReadOptions(tokenizer=tmp_path / "folder" / ".."), eval_data=data))
    assert kept[DATA]["eval"] == {"file": "data.csv", "bytes": 5}
    assert kept[READ]["tokenizer"] == tmp_path.name
    assert kept[READ]["trust"] is False
    assert kept["targets"] == ["litert"]
    for path, told in ((tmp_path, tmp_path.name), (Path("-"), "-"), (Path("hf:owner/name"), "hf:owner/name")):
        assert record(RecipeFile(eval_data=path))[DATA]["eval"] == {"file": told, "bytes": None}
    assert str(tmp_path) not in jsonio.to_bytes(kept).decode()


def with_settings(bundle: Path, out: Path, **changes: Any) -> Path:
    """The bundle with other settings in the last step of its history; ``...`` removes one."""
    history = jsonio.encode(open_bundle(bundle).manifest.history)
    settings = history[-1]["settings"] | changes
    history[-1]["settings"] = {key: value for key, value in settings.items() if value is not ...}
    return with_manifest(bundle, out, history=history)


def test_an_older_bundle_says_what_it_does_not_record(bundle: Path, tmp_path: Path) -> None:
    old = with_settings(bundle, tmp_path / "old.edgekit", read=..., data=..., max_drop=...)
    done = edgekit("inspect", old, "--recipe")
    what = "max_drop, everything under [read], everything under [data]"
    assert done.returncode == 0
    assert f"old.edgekit does not record {what}; the recipe has the defaults there" in done.stderr
    assert f"# not recorded, so the defaults are taken: {what}\n" in done.stdout
    assert RecipeFile.from_toml(done.stdout) == RecipeFile(Recipe(quantize="int8")), "the scheme as it came out"


def test_names_in_the_history_cannot_break_out_of_their_comment(bundle: Path, tmp_path: Path) -> None:
    data = {"eval": {"file": "a\nquantize = 'none'", "bytes": 1}}
    recorded = recorded_recipe(with_settings(bundle, tmp_path / "x.edgekit", data=data))
    assert RecipeFile.from_toml(recorded.to_toml()) == recorded.file
    assert recorded.file.recipe.quantize == "int8"


def test_a_checkpoint_that_was_trusted_is_said_and_not_set(bundle: Path, tmp_path: Path) -> None:
    recorded = recorded_recipe(with_settings(bundle, tmp_path / "x.edgekit", read={"trust": True}))
    assert "--trust-checkpoint" in recorded.to_toml()
    assert RecipeFile.from_toml(recorded.to_toml()).read == ReadOptions()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"quantize": 8}, "quantize should be a string, not 8"),
        ({"read": {"labels": "ab"}}, "read.labels should be a list"),
        ({"data": {"eval": "dev.csv"}}, "data.eval should be an object"),
        ({"max_drop": 7}, "--max-drop is a share"),
    ],
)
def test_a_history_that_makes_no_sense_is_an_error(
    bundle: Path, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(BundleError, match=message):
        recorded_recipe(with_settings(bundle, tmp_path / "x.edgekit", **changes))


def test_a_bundle_that_no_conversion_made_has_no_recipe(tmp_path: Path) -> None:
    fails("inspect", write_hand_made(tmp_path / "x.edgekit"), "--recipe", because="tells of no conversion")


def test_inspect_prints_a_recipe_or_json(bundle: Path) -> None:
    fails("inspect", bundle, "--recipe", "--json", because="--recipe prints TOML, so --json cannot go with it")


def test_inspect_shows_nested_settings_by_their_keys(bundle: Path) -> None:
    line = next(line for line in edgekit("inspect", bundle).stdout.splitlines() if line.startswith("history  lower"))
    assert "quantize=int8" in line
    assert "data.eval.file=labelled.csv, data.eval.bytes=" in line
    assert "None" not in line and "{" not in line


def test_the_help_of_convert_tells_the_defaults_of_the_recipe() -> None:
    text = " ".join(edgekit("convert", "--help").stdout.split())
    defaults = Recipe()
    for option, told in {
        "--target": f"{defaults.targets[0]} (default)",
        "--quantize": f"{defaults.scheme} (default)",
        "--max-drop": f"default {defaults.max_drop}",
        "--max-total-drop": f"default {defaults.max_total_drop}",
    }.items():
        assert re.search(rf"{option} [^-]*{re.escape(told)}", text), option
