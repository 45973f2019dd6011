"""The Android demo: both of its builds say the same, and the one without Google's software makes a good APK, or none."""

from __future__ import annotations

import errno
import importlib
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
import zipfile
from dataclasses import asdict, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import bundles
import trusted_bundles
from conftest import missing

SCRIPTS = Path(__file__).parents[1] / "scripts" / "apk"
sys.path.insert(0, str(SCRIPTS))
builder: ModuleType = importlib.import_module("builder")
catalogue: ModuleType = importlib.import_module("catalogue")
checks: ModuleType = importlib.import_module("checks")
dexer: ModuleType = importlib.import_module("dexer")
errors: ModuleType = importlib.import_module("errors")
executorch_android: ModuleType = importlib.import_module("executorch_android")
kotlin: ModuleType = importlib.import_module("kotlin")
layout: ModuleType = importlib.import_module("layout")
maven: ModuleType = importlib.import_module("maven")
resources: ModuleType = importlib.import_module("resources")
sources: ModuleType = importlib.import_module("sources")
tools: ModuleType = importlib.import_module("tools")
trusted: ModuleType = importlib.import_module("trusted")
unit_tests: ModuleType = importlib.import_module("unit_tests")

PROJECT = layout.PROJECT
PROBE = layout.CHECKOUT / "runtime" / "edgekit_runtime" / "probe.edgekit"
"""A CNN with a program for each engine."""

POM_ONLY = {"kotlinReflect", "coroutines", "annotations", "guava", "failureaccess", "fastutil", "gson"}
"""Versions that only Kotlin's compiler and the dexer ask for."""


@pytest.fixture(scope="module")
def build() -> Any:
    """The build's folder, where downloads and class files are kept; its APK is another than the one of make apk."""
    try:
        tools.need(*tools.PACKAGES)
    except errors.ToolMissingError as error:
        missing(str(error))
    return layout.Build(name="edgekit-test.apk")


@pytest.fixture(scope="module")
def built(build: Any) -> Any:
    return builder.build_apk(build, lambda line: None, PROBE)


@pytest.fixture(scope="module")
def libraries(built: Any) -> dict[str, bytes]:
    with zipfile.ZipFile(built.apk) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name.startswith("lib/")}


# Both builds.


def gradle(name: str) -> str:
    return re.sub(r"//.*", "", (PROJECT / name).read_text(encoding="utf-8"))


def pom() -> tuple[dict[str, str], set[str]]:
    root = ElementTree.parse(layout.POM).getroot()
    space = {"m": "http://maven.apache.org/POM/4.0.0"}
    properties = {
        child.tag.partition("}")[2].removesuffix(".version"): child.text or ""
        for child in root.find("m:properties", space) or ()
    }
    used = {}
    for item in root.iterfind(".//m:artifactItem", space):
        text = {child.tag.partition("}")[2]: child.text or "" for child in item}
        assert re.fullmatch(r"\$\{(\w+)\.version\}", text["version"]), text
        used[f"{text['groupId']}:{text['artifactId']}"] = text["version"]
    return properties, set(used)


def test_maven_has_the_versions_of_the_catalogue() -> None:
    versions, (properties, _) = catalogue.versions(), pom()
    assert properties.keys() - POM_ONLY <= versions.keys()
    assert {name: versions[name] for name in properties.keys() - POM_ONLY} == {
        name: version for name, version in properties.items() if name not in POM_ONLY
    }
    assert versions["androidAll"].split("-")[0] == "15" and versions["compileSdk"] == "35"  # Android 15 is API 35


def test_gradle_takes_every_version_from_the_catalogue() -> None:
    table = catalogue.read()
    assert {entry["version"]["ref"] for entry in [*table["libraries"].values(), *table["plugins"].values()]} <= set(
        table["versions"]
    )
    aliases = {name.replace("-", ".") for name in table["libraries"]}
    app, root = gradle("app/build.gradle.kts"), gradle("build.gradle.kts")
    used = set(re.findall(r"\blibs\.([\w.]+?)(?:\.get\(\))?[)\s}]", app))
    assert used - {name for name in used if name.startswith(("plugins.", "versions."))} == aliases
    for kind in ("plugins", "versions"):
        named = {name.removeprefix(f"{kind}.").removesuffix(".get") for name in used if name.startswith(f"{kind}.")}
        assert named and named <= {name.replace("-", ".") for name in table[kind]}
    assert set(re.findall(r"libs\.plugins\.([\w.]+)\)", root)) == {name.replace("-", ".") for name in table["plugins"]}
    for text in (app, root, gradle("settings.gradle.kts")):
        assert not re.search(r'"[^"]*\d+\.\d+[^"]*"', text), "a version beside the catalogue"


def test_both_builds_have_the_same_libraries() -> None:
    modules = {entry["module"] for entry in catalogue.read()["libraries"].values()}
    instead = {"com.google.ai.edge.litert:litert": "org.tensorflow:tensorflow-lite", executorch_android.MAVEN: None}
    expected = {instead.get(module, module) for module in modules} - {None}
    fetched = {module.removesuffix("-jvm") for module in pom()[1]}
    assert expected <= fetched
    assert instead.keys() <= modules


def test_both_builds_have_the_same_sources_and_settings() -> None:
    app = gradle("app/build.gradle.kts")
    assert set(re.findall(r"(?:namespace|applicationId) = \"(.+)\"", app)) == {layout.APPLICATION}
    assert re.findall(r"(compileSdk|minSdk|targetSdk) = libs\.versions\.(\w+)\.get\(\)\.toInt\(\)", app) == [
        ("compileSdk", "compileSdk"),
        ("minSdk", "minSdk"),
        ("targetSdk", "targetSdk"),
    ]
    assert tuple(re.findall(r'"([^"]+)"', re.search(r"abiFilters \+= listOf\((.+)\)", app)[1])) == layout.ABIS  # type: ignore[index]
    assert f"versionCode = {resources.VERSION_CODE}\n" in app and "versionName = edgekitVersion" in app
    assert re.search(re.search(r'Regex\("""(.+)"""\)', app)[1], sources.INIT.read_text())[1] == sources.version()  # type: ignore[index]
    assert "useLegacyPackaging = true" in app and 'extractNativeLibs="true"' in resources.complete_manifest(
        "<manifest><application>"
    )
    assert "JVM_1_8" in app and "1.8" in kotlin.OPTIONS
    assert re.findall(r"sourceSets.*", app) == ['sourceSets["main"].assets.srcDirs("../build/assets", "build/engines")']
    assert layout.Build().assets == PROJECT / "build" / "assets"
    assert re.findall(r"(\w+)\(\)$", gradle("settings.gradle.kts"), re.MULTILINE).count("mavenCentral") == 2
    assert not list((PROJECT / "app" / "src").rglob("*.java"))  # Gradle would compile them; make apk does not
    package_of_manifest = ElementTree.parse(layout.MAIN / "AndroidManifest.xml").getroot().get("package")
    assert package_of_manifest is None  # Gradle's plug-in refuses one


RUNTIME = ("json", "trust", "bundle", "text", "engine", "classify", "profile", "energy")
"""Packages that an app of anyone's may take: they know neither Android nor this app."""


@pytest.mark.parametrize("package", RUNTIME)
def test_the_kotlin_runtime_knows_neither_android_nor_the_app(package: str) -> None:
    files = list((layout.MAIN / "kotlin" / "dev" / "edgekit" / package).glob("*.kt"))
    assert files
    for file in files:
        assert not re.search(r"\b(android\.|dev\.edgekit\.demo)", code(file)), file


def test_the_apps_own_code_stays_small() -> None:
    files = (layout.MAIN / "kotlin" / "dev" / "edgekit" / "demo").glob("*.kt")
    assert sum(len(code(file).splitlines()) for file in files) <= 3000


def code(file: Path) -> str:
    """A Kotlin file without comments and blank lines."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if line.strip() and not re.match(r"\s*(//|/?\*)", line))


# The app's own tests.


def test_the_apps_unit_tests(build: Any, capsys: pytest.CaptureFixture[str]) -> None:
    outcomes = unit_tests.run_tests(build, lambda line: None)
    with capsys.disabled():
        counted = {
            kind: sum(outcome.outcome == kind for outcome in outcomes) for kind in ("passed", "failed", "skipped")
        }
        slowest = max(outcomes, key=lambda outcome: outcome.milliseconds)
        sys.stdout.write(
            f"\n{counted} of Kotlin, the slowest {slowest.case}.{slowest.name} with {slowest.milliseconds} ms\n"
        )
    failed = [outcome for outcome in outcomes if outcome.outcome == "failed"]
    assert not failed, "\n".join(f"{outcome.case}.{outcome.name}: {outcome.why}" for outcome in failed)
    assert {outcome.case for outcome in outcomes} >= declared_cases()
    if skipped := [f"{outcome.case}: {outcome.why}" for outcome in outcomes if outcome.outcome == "skipped"]:
        missing(f"of {len(outcomes)} tests in Kotlin, which all passed but for these: {'; '.join(skipped)}")


def declared_cases() -> set[str]:
    files = [file for file in (layout.TEST / "kotlin").rglob("*.kt") if "@Test" in file.read_text(encoding="utf-8")]
    assert files
    return {str(file.relative_to(layout.TEST / "kotlin").with_suffix("")).replace("/", ".") for file in files}


def test_the_speed_of_the_tokenizer_is_told(build: Any) -> None:
    said = unit_tests.run_speed(build, lambda line: None)
    found = re.match(r"(\d+) texts a second\n\d+ ms to read 30522 pieces", said)
    assert found and int(found[1]) > 20_000


def test_a_failing_test_is_told(build: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "kotlin" / "dev" / "edgekit" / "SumTest.kt"
    source.parent.mkdir(parents=True)
    source.write_text(
        "package dev.edgekit\nclass SumTest {\n"
        "    @org.junit.Test fun right() = Unit\n"
        '    @org.junit.Test fun wrong() = org.junit.Assert.assertEquals("sum", 3, 1 + 1)\n'
        '    @org.junit.Test fun absent() = org.junit.Assume.assumeTrue("no phone", false)\n}\n'
    )
    monkeypatch.setattr(unit_tests, "TEST", tmp_path)
    only = ["dev/edgekit/EdgekitException.kt", "dev/edgekit/SumTest.kt"]
    outcomes = unit_tests.run_tests(build, lambda line: None, only, out=tmp_path / "classes")
    assert {outcome.name: outcome.outcome for outcome in outcomes} == {
        "right": "passed",
        "wrong": "failed",
        "absent": "skipped",
    }
    assert "sum expected:<3> but was:<2>" in next(outcome.why for outcome in outcomes if outcome.name == "wrong")
    source.write_text("package dev.edgekit\nclass SumTest { val x: Int = missing }\n")
    with pytest.raises(
        errors.ApkError, match=r"(?s)do not compile.*SumTest.kt:2:\d+: error: unresolved reference 'missing'"
    ):
        unit_tests.run_tests(build, lambda line: None, only, out=tmp_path / "classes")


# The APK.


def test_the_apk_is_whole(built: Any) -> None:
    assert built.checked.size_bytes == Path(built.apk).stat().st_size <= 60_000_000
    assert {"v2", "v3"} <= set(built.checked.signature_schemes)
    assert built.checked.abis == ["arm64-v8a", "x86_64"]
    assert "XnnpackBackend" in built.checked.operators
    with zipfile.ZipFile(built.apk) as archive:
        assert archive.testzip() is None
        assert json.loads(archive.read("assets/engines.json")) == built.engines
        assert archive.read("assets/demo.edgekit") == PROBE.read_bytes()
        notice = archive.read("assets/NOTICE.txt").decode()
        names = archive.namelist()
    for name in (
        "TensorFlow Lite 2.16.1, Apache-2.0",
        "ExecuTorch",
        "BSD-3-Clause",
        "fbjni",
        "Kotlin",
        "Apache License",
    ):
        assert name in notice
    for plain in (layout.MAIN / "resources").rglob("*.txt"):
        assert str(plain.relative_to(layout.MAIN / "resources")) in names


def test_an_app_with_trusted_keys_holds_them_and_a_bundle_that_they_signed(
    build: Any, built: Any, tmp_path: Path
) -> None:
    trusted_bundles.write_all(tmp_path)
    keys = [tmp_path / "a.pub", tmp_path / "b.pub", tmp_path / "a.pub"]
    ids = sorted(trusted_bundles.key_id(trusted_bundles.KEYS[name]) for name in "ab")
    held = trusted.read_keys(keys)
    assert list(held) == [f"{key_id}.pem" for key_id in ids]
    signed = tmp_path / "by-a.edgekit"
    trusted.check_signed(signed, held)
    for name, said in (("unsigned", "is not signed"), ("wrong-beside-right", "is wrong")):
        with pytest.raises(errors.ApkError, match=rf"the app would refuse the bundle inside .*{said}.*edgekit sign"):
            trusted.check_signed(tmp_path / f"{name}.edgekit", held)
    bundle = tmp_path / "probe.edgekit"
    contents = bundles.entries(PROBE)
    entry = {"signatures": [trusted_bundles.signature(trusted_bundles.KEYS["b"], contents["manifest.json"])]}
    bundles.write_zip(bundle, [*contents.items(), ("signature", json.dumps(entry).encode())])
    other = replace(build, name="edgekit-trusted.apk")
    made = builder.build_apk(other, lambda line: None, bundle, trusted_keys=keys)
    assert made.trusted_keys == ids and built.trusted_keys == []
    with zipfile.ZipFile(made.apk) as archive, zipfile.ZipFile(built.apk) as open_to_all:
        assert {name: archive.read(f"assets/trusted-keys/{name}") for name in held} == held
        assert not [name for name in open_to_all.namelist() if name.startswith("assets/trusted-keys/")]
    for left in (Path(made.apk), Path(made.apk).with_suffix(".json")):
        left.unlink()


def test_a_second_build_does_nothing(build: Any, built: Any) -> None:
    before = Path(built.apk).stat().st_mtime_ns
    start = time.perf_counter()
    again = builder.build_apk(build, lambda line: None, PROBE)
    assert time.perf_counter() - start < 3
    assert Path(built.apk).stat().st_mtime_ns == before
    assert again == replace(built, seconds={})


def test_an_apk_that_lacks_a_class_is_refused(built: Any) -> None:
    with pytest.raises(errors.ApkError, match=r"lacks 1 classes, dev.edgekit.Nowhere among them; build it again"):
        checks.check_code(Path(built.apk), ["dev/edgekit/demo/R", "dev/edgekit/Nowhere"])


def test_an_apk_without_the_tables_of_characters_is_refused(built: Any, tmp_path: Path) -> None:
    with zipfile.ZipFile(built.apk) as archive:
        checks.check_resources(archive)
    with zipfile.ZipFile(tmp_path / "bare.apk", "w") as archive:
        archive.writestr("classes.dex", b"")
        with pytest.raises(
            errors.ApkError, match=r"lacks dev/edgekit/text/simplified.txt, dev/edgekit/text/unicode.txt"
        ):
            checks.check_resources(archive)


def test_an_unsigned_apk_is_refused(built: Any, tmp_path: Path) -> None:
    unsigned = tmp_path / "unsigned.apk"
    with zipfile.ZipFile(built.apk) as source, zipfile.ZipFile(unsigned, "w") as target:
        for name in source.namelist():
            if name == "AndroidManifest.xml" or name.endswith(".dex"):
                target.writestr(name, source.read(name))
    with pytest.raises(errors.ApkError, match=r"is not signed as Android asks .*DOES NOT VERIFY"):
        checks.check_signature(unsigned)


def test_an_apk_of_other_settings_is_refused(built: Any) -> None:
    with pytest.raises(errors.ApkError, match="aapt finds another minSdkVersion than the build's"):
        checks.check_badging(Path(built.apk), {**catalogue.versions(), "minSdk": "21"}, built.version)


@pytest.mark.parametrize(
    ("name", "contents", "message"),
    [
        ("lib/arm64-v8a/libexecutorch.so", "lib/x86_64/libexecutorch.so", r"is for another machine \(ELF 62\)"),
        ("lib/x86_64/libfbjni.so", None, r"libexecutorch.so needs libfbjni.so, which neither the APK nor Android has"),
        ("lib/x86_64/libtensorflowlite_jni.so", None, "the APK has no libtensorflowlite_jni.so for x86_64"),
        ("lib/x86_64/libfbjni.so", b"\x7fELF\x02\x01 cut", "libfbjni.so is cut short or damaged"),
        ("lib/x86_64/libfbjni.so", b"<html>", "libfbjni.so is no 64-bit ELF library"),
    ],
)
def test_a_wrong_native_library_is_refused(
    libraries: dict[str, bytes], name: str, contents: str | bytes | None, message: str
) -> None:
    changed = {**libraries, name: libraries[contents] if isinstance(contents, str) else contents}
    with pytest.raises(errors.ApkError, match=message):
        checks.check_libraries({key: value for key, value in changed.items() if value is not None})


def test_an_engine_without_an_operator_is_refused(built: Any, libraries: dict[str, bytes]) -> None:
    operator = next(name for name in built.checked.operators if name.startswith("aten::"))
    name = "lib/x86_64/libexecutorch.so"
    changed = {**libraries, name: libraries[name].replace(operator.encode(), b"x" * len(operator))}
    with (
        zipfile.ZipFile(built.apk) as archive,
        pytest.raises(errors.ApkError, match=f"lib/x86_64/libexecutorch.so lacks {operator}, which the bundle calls"),
    ):
        checks.check_bundle(archive, changed)


def test_code_that_links_at_run_time_is_refused(build: Any, tmp_path: Path) -> None:
    """What D8 makes of Java's lambdas when it is told to leave them as they are."""
    (tmp_path / "Late.java").write_text("class Late { Runnable run() { return () -> {}; } }")
    tools.run("javac", "--release", "8", "-Xlint:-options", "-d", tmp_path, tmp_path / "Late.java")
    dexer.translate(build, [tmp_path / "Late.class"], "26", tmp_path / "late.zip", tmp_path, "--no-desugaring")
    with pytest.raises(
        errors.ApkError, match=r"uses (invoke-custom|Ljava/lang/invoke/)\S*, which not every Android 8 runs"
    ):
        checks.check_code(tmp_path / "late.zip", ["Late"])


# What is not there.


def test_missing_tools_are_named_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    message = r"needs java, javac, .*; on Debian: apt install default-jdk-headless aapt zipalign apksigner dexdump"
    with pytest.raises(errors.ToolMissingError, match=message):
        builder.build_apk(layout.Build(tmp_path / "build"), print)
    assert not list(tmp_path.iterdir())


def test_a_bundle_that_is_none_is_refused_before_anything_starts(build: Any, tmp_path: Path) -> None:
    (tmp_path / "no.edgekit").write_bytes(b"no bundle")
    done = run_script("build", "--bundle", str(tmp_path / "no.edgekit"))
    assert done.returncode == 1 and done.stdout == ""
    assert re.fullmatch(r"error: .*no\.edgekit.*\n", done.stderr)


def test_an_unsigned_bundle_or_a_wrong_key_is_refused_before_anything_starts(build: Any, tmp_path: Path) -> None:
    trusted_bundles.write_keys(tmp_path)
    done = run_script("build", "--bundle", str(PROBE), "--trusted-key", str(tmp_path / "a.pub"))
    assert done.returncode == 1 and "probe.edgekit is not signed" in done.stderr and done.stderr.count("\n") == 1
    done = run_script("build", "--trusted-key", str(tmp_path / "seal.key"))
    assert done.returncode == 1 and "seal.key" in done.stderr and done.stderr.count("\n") == 1


def run_script(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(SCRIPTS), *arguments], capture_output=True, text=True)


def test_a_library_that_is_nowhere_is_told(build: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "pom.xml"
    item = re.compile(r"<artifactItem>(?:(?!</artifactItem>).)*</artifactItem>", re.DOTALL)
    text = item.sub(lambda found: found[0] if ">asm<" in found[0] else "", layout.POM.read_text(encoding="utf-8"))
    other.write_text(re.sub(r"(<asm.version>).*(</asm.version>)", r"\g<1>0.0.0\2", text), encoding="utf-8")
    monkeypatch.setattr(maven, "POM", other)
    local = offline_repository(tmp_path / "m2")
    monkeypatch.setenv("MAVEN_OPTS", f"-Dmaven.repo.local={local}")
    with pytest.raises(
        errors.FetchError, match=r"(?s)org.ow2.asm:asm:jar:0.0.0.*check the network and Maven's settings"
    ):
        maven.fetch(layout.Build(tmp_path / "build"))
    assert not [path for path in (tmp_path / "build").iterdir() if path.name != ".lock"]


def offline_repository(folder: Path) -> Path:
    """Maven's local repository with what it holds now; what a test adds goes into this folder alone."""
    user = Path.home() / ".m2" / "repository"
    folder.mkdir()
    for entry in user.iterdir():
        (folder / entry.name).symlink_to(entry)
    (folder / "org").unlink()
    (folder / "org").mkdir()
    for entry in (user / "org").iterdir():
        if entry.name not in ("pytorch", "ow2"):
            (folder / "org" / entry.name).symlink_to(entry)
    return folder


# Where ExecuTorch comes from.


@pytest.fixture(scope="module")
def aar(built: Any, build: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive like PyTorch's, of the classes and libraries that the APK has."""
    library = executorch_android.provide(build, lambda line: None).library
    path = tmp_path_factory.mktemp("aar") / "executorch.aar"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(library.classes, "classes.jar")
        for abi, natives in library.natives.items():
            for native in natives:
                archive.write(native, f"jni/{abi}/{native.name}")
    return path


def test_maven_has_executorch(aar: Path, build: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    version = catalogue.versions()["executorch"]
    folder = tmp_path / "repository" / "org" / "pytorch" / "executorch-android" / version
    folder.mkdir(parents=True)
    shutil.copy(aar, folder / f"executorch-android-{version}.aar")
    (folder / f"executorch-android-{version}.pom").write_text(
        f"<project><modelVersion>4.0.0</modelVersion><groupId>org.pytorch</groupId><artifactId>executorch-android</artifactId>"
        f"<version>{version}</version><packaging>aar</packaging></project>"
    )
    monkeypatch.setenv("MAVEN_OPTS", f"-Dmaven.repo.local={offline_repository(tmp_path / 'm2')}")
    said: list[str] = []
    fresh = layout.Build(tmp_path / "build")
    address = (tmp_path / "repository").as_uri()
    provided = executorch_android.provide(fresh, said.append, repository=address)
    assert provided.distribution == f"executorch-android {version}" and not said
    assert {abi: [native.name for native in natives] for abi, natives in provided.library.natives.items()} == {
        abi: ["libexecutorch.so"] for abi in layout.ABIS
    }
    shutil.rmtree(tmp_path / "repository")
    assert executorch_android.provide(fresh, said.append) == provided  # once fetched, kept


def test_an_aar_is_taken_as_it_is(aar: Path, tmp_path: Path) -> None:
    provided = executorch_android.provide(layout.Build(tmp_path), lambda line: None, aar)
    assert re.fullmatch(r"executorch\.aar sha256 [0-9a-f]{12}", provided.distribution)
    with zipfile.ZipFile(aar) as source, zipfile.ZipFile(tmp_path / "half.aar", "w") as target:
        for name in ("classes.jar", "jni/x86_64/libexecutorch.so"):
            target.writestr(name, source.read(name))
    with pytest.raises(errors.ApkError, match=r"half\.aar has no native library for arm64-v8a"):
        executorch_android.provide(layout.Build(tmp_path), lambda line: None, tmp_path / "half.aar")
    with pytest.raises(errors.FetchError, match=r"nowhere\.aar is no file; --executorch takes an AAR"):
        executorch_android.provide(layout.Build(tmp_path), lambda line: None, tmp_path / "nowhere.aar")


def test_where_maven_has_none_npm_is_taken_aloud(build: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("MAVEN_OPTS", f"-Dmaven.repo.local={offline_repository(tmp_path / 'm2')}")
    said: list[str] = []
    address = (tmp_path / "empty").as_uri()
    provided = executorch_android.provide(build, said.append, repository=address)
    assert said == [said[0]] and re.match(
        r"Maven has no org.pytorch:executorch-android:\S+; taking .* from npm's", said[0]
    )
    assert provided.distribution.startswith("react-native-executorch ")


def test_an_npm_package_of_other_contents_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tarfile

    (tmp_path / "classes.jar").write_bytes(b"other classes")
    with tarfile.open(tmp_path / "package.tgz", "w:gz") as archive:
        archive.add(tmp_path / "classes.jar", "package/android/libs/classes.jar")
    with pytest.raises(errors.FetchError, match=r"classes\.jar of package\.tgz has sha256 .*pins; refused"):
        executorch_android.unpack_npm(tmp_path / "package.tgz", tmp_path / "out")


# Interrupted.


def test_an_interrupted_or_hindered_command_ends_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = importlib.util.spec_from_file_location("apk_main", SCRIPTS / "__main__.py")
    assert spec is not None and spec.loader is not None
    command = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(command)
    for error, status, line in (
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "x.apk"), 1, "No space left on device at x.apk; make room"),
        (KeyboardInterrupt(), 130, "interrupted; nothing half-written was left behind"),
    ):
        monkeypatch.setattr(builder, "build_apk", lambda *arguments, error=error: raising(error))
        assert command.main(["build"]) == status
        told = capsys.readouterr().err
        assert line in told and told.count("\n") == 1


def raising(error: BaseException) -> None:
    raise error


def test_a_killed_build_leaves_the_apk_as_it_was(build: Any, built: Any, tmp_path: Path) -> None:
    """Killed while the signer writes: what is left is the former APK, and the next build clears up."""
    before = Path(built.apk).read_bytes()
    signer = tmp_path / "bin" / "apksigner"
    signer.parent.mkdir()
    signer.write_text(
        f'#!/bin/sh\nfor last; do out=$former; former=$last; done\necho half > "$out"\ntouch {tmp_path}/signing\nexec sleep 60\n'
    )
    signer.chmod(0o755)
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]); import builder, layout\n"
        "builder.build_apk(layout.Build(name=sys.argv[2]), print, Path(sys.argv[3]))"
    )
    other = tmp_path / "other.edgekit"
    shutil.copy(PROBE, other)
    environment = {**os.environ, "PATH": f"{signer.parent}:{os.environ['PATH']}"}
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(SCRIPTS), build.name, str(other)],
        env=environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        until = time.monotonic() + 120
        while not (tmp_path / "signing").exists():
            assert process.poll() is None, process.communicate()[1].decode()
            assert time.monotonic() < until, "the build never came to signing"
            time.sleep(0.05)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert list(build.folder.glob(".package-*")), "it was not killed in the middle"
    assert Path(built.apk).read_bytes() == before
    builder.build_apk(build, lambda line: None, PROBE)
    assert not list(build.folder.glob(".package-*"))
    assert asdict(builder.build_apk(build, lambda line: None, PROBE))["checked"] == asdict(built.checked)
