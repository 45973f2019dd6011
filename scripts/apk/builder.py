"""From the sources to the APK: fetch, compile, translate, pack, sign, check."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import archives
import catalogue
import checks
import dexer
import executorch_android
import kotlin
import maven
import notices
import package
import sources
import tools
import trusted
from layout import ABIS, CACHE, CATALOGUE, MAIN, POM, Build

from edgekit_runtime.bundle import open_bundle, replacing


@dataclass(frozen=True)
class Built:
    """What was built.

    Attributes:
        apk: The file.
        version: The app's.
        engines: Who built each engine, as assets/engines.json has it.
        bundle: File name of the bundle inside.
        trusted_keys: Ids of the keys of which one must have signed what the app opens; empty where it opens every bundle.
        contents_bytes: Bytes in the APK, as they lie there, by kind: code, each ABI's libraries, assets, resources.
        checked: What the checks found.
        seconds: What each step took; nothing when the APK was there already.
    """

    apk: str
    version: str
    engines: dict[str, str]
    bundle: str
    trusted_keys: list[str]
    contents_bytes: dict[str, int]
    checked: checks.Checked
    seconds: dict[str, float]


@dataclass
class Clock:
    """Tells of steps and times them."""

    say: Callable[[str], None]
    seconds: dict[str, float]

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - start, 1)
        self.say(f"{name:<10} {self.seconds[name]:6.1f} s")


def build_apk(
    build: Build,
    say: Callable[[str], None],
    bundle: Path | None = None,
    executorch_aar: Path | None = None,
    repository: str | None = None,
    trusted_keys: Sequence[Path] = (),
) -> Built:
    """Builds and checks ``edgekit-demo.apk``; where nothing changed since, it only says so.

    Args:
        build: Where to.
        say: Told of each step.
        bundle: The bundle that goes inside; by default a small CNN, trained and converted once.
        executorch_aar: ExecuTorch's Android archive, instead of Maven's.
        repository: A Maven repository that has ExecuTorch, beside those that Maven knows.
        trusted_keys: PEM files of which one must have signed what the app opens; without any it opens every bundle.

    Raises:
        EdgekitError: A tool is missing, a source is refused, or the APK is not as it should be; no APK is left half-written.
    """
    tools.need("java", "javac", "keytool", "aapt", "aapt2", "zipalign", "apksigner", "dexdump")
    keys = trusted.read_keys(trusted_keys)
    if bundle is not None:
        open_bundle(bundle).check()
        trusted.check_signed(bundle, keys)
    clock = Clock(say, {})
    with tools.alone(build.folder):
        for left in build.folder.glob(".package-*"):  # by a build that was killed
            shutil.rmtree(left)
        with clock.step("fetch"):
            maven.fetch(build)
            engine = executorch_android.provide(build, say, executorch_aar, repository)
            libraries = archives.app_libraries(build)
        if bundle is None:
            import demo_bundle  # PyTorch comes with it

            with clock.step("bundle"):
                bundle = demo_bundle.demo_bundle(build.assets)
            trusted.check_signed(bundle, keys)
        record = build.apk.with_suffix(".json")
        digest = _fingerprint(build, bundle, engine, keys)
        built = _kept(build, record, digest)
        if built is None:
            built = _build(build, clock, engine, libraries, bundle, keys)
            whole = json.dumps({"inputs": digest, "built": asdict(built)}, indent=2)
            with replacing(record) as file:
                file.write(whole.encode())
    return built


def _build(
    build: Build,
    clock: Clock,
    engine: executorch_android.ExecuTorch,
    libraries: archives.Libraries,
    bundle: Path,
    keys: dict[str, bytes],
) -> Built:
    versions, version = catalogue.versions(), sources.version()
    jars = [*libraries.jars, engine.library.classes]
    natives = {abi: [*libraries.natives[abi], *engine.library.natives[abi]] for abi in ABIS}
    engines = {"litert": f"tensorflow-lite {versions['tensorflowLite']}", "executorch": engine.distribution}
    notice = notices.notice(versions, version, engine.distribution, maven.only(build, "app", "tensorflow-lite-2*.aar"))
    assets: dict[str, bytes | Path] = {
        package.BUNDLE: bundle,
        "engines.json": json.dumps(engines).encode(),
        "NOTICE.txt": notice.encode(),
        **{f"{package.TRUSTED_KEYS}/{name}": pem for name, pem in keys.items()},
    }
    with clock.step("compile"):
        app = sources.compile_app(build, jars, build.folder / "classes")
        own = sorted(app.classes.rglob("*.class"))
    with tempfile.TemporaryDirectory(prefix=".package-", dir=build.folder) as scratch:
        unsigned, made = Path(scratch) / "unsigned.apk", Path(scratch) / "signed.apk"
        with clock.step("dex"):
            named = sorted(app.names.rglob("*.class"))
            dexes = dexer.dex(build, [*own, *named], jars, versions["minSdk"], Path(scratch) / "dex")
        with clock.step("package"):
            package.assemble(app.linked, dexes, natives, app.plain, assets, unsigned)
            package.finish(unsigned, package.debug_key(CACHE / "android-debug.p12"), made)
        with clock.step("check"):
            names = [str(file.relative_to(app.classes).with_suffix("")) for file in own]
            checked = checks.check(made, versions, version, names)
        ids = [name.removesuffix(".pem") for name in keys]
        built = Built(
            str(build.apk), version, engines, bundle.name, ids, package.contents(made), checked, clock.seconds
        )
        os.replace(made, build.apk)
    return built


def _fingerprint(build: Build, bundle: Path, engine: executorch_android.ExecuTorch, keys: dict[str, bytes]) -> str:
    inputs = [
        *(MAIN, POM, CATALOGUE, bundle, engine.library.classes),
        *sorted(Path(__file__).parent.glob("*.py")),
        *(native for natives in engine.library.natives.values() for native in natives),
    ]
    return kotlin.fingerprint(inputs, [sources.version(), engine.distribution, *keys])


def _kept(build: Build, record: Path, digest: str) -> Built | None:
    """What was built before, if of the same inputs and still there."""
    if not record.exists() or not build.apk.exists():
        return None
    state = json.loads(record.read_text(encoding="utf-8"))
    if state["inputs"] != digest or state["built"]["checked"]["size_bytes"] != build.apk.stat().st_size:
        return None
    return Built(**{**state["built"], "checked": checks.Checked(**state["built"]["checked"]), "seconds": {}})
