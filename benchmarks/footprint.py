"""What the runtime costs before and beside its answers: import time, memory, time to the first answer, disk.

Example:
    python benchmarks/footprint.py --bundle demo-out/model-int8.edgekit --data demo-out/dev.csv
"""

from __future__ import annotations

import json
import statistics
import time
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

import harness
from contenders.edgekit import bundle_name, make_bundle
from edgekit_converters.data import read_labelled
from edgekit_runtime import open_bundle
from edgekit_runtime.engines.packed_cache import OFF, SETTING
from harness import markdown_table
from machine import Machine, describe_machine

DISTRIBUTIONS = ("edgekit", "ai-edge-litert", "tokenizers", "numpy")
HEAVY = ("torch", "transformers", "pandas")
MIB = 1024 * 1024
IN_MEMORY, FROM_CACHE = "packed in memory", "packed weights from the cache"
PACKED = "packed"

IMPORT = """
import json, sys, time
begin = time.perf_counter()
import edgekit_runtime
seconds = time.perf_counter() - begin
print(json.dumps({"seconds": seconds, "modules": sorted({name.partition(".")[0] for name in sys.modules})}))
"""

FIRST_ANSWER = """
import sys
import edgekit_runtime
print(edgekit_runtime.load(sys.argv[1])(sys.argv[2]).label, flush=True)
"""

LOAD = """
import sys, time
import edgekit_runtime
begin = time.perf_counter()
edgekit_runtime.load(sys.argv[1], threads=int(sys.argv[2]) or None)
print(time.perf_counter() - begin)
"""

MEMORY = """
import json, resource, sys

def peak():
    # VmHWM begins anew with the program; ru_maxrss also remembers the process that started it
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))
    except OSError:
        unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit

import edgekit_runtime
stages = {"import": peak()}
classifier = edgekit_runtime.load(sys.argv[1], threads=int(sys.argv[2]) or None)
stages["load with the golden self-test"] = peak()
spec = classifier.manifest.main.text
for length in classifier.engine.lengths or spec.buckets:
    classifier.logits([spec.special_ids["pad"]] * length)
stages["all buckets used"] = peak()
for text in json.load(sys.stdin):
    classifier(text)
stages["all texts classified"] = peak()
print(json.dumps(stages))
"""


@dataclass(frozen=True)
class Footprint:
    """What the benchmark found.

    Attributes:
        machine: Where.
        bundle: What was loaded.
        runs: Fresh processes behind each median.
        import_s: Median seconds of ``import edgekit_runtime``; ``first_import_s`` is the first run's, caches cold.
        first_import_s: See there.
        heavy_modules: Those of torch, transformers and pandas that the import brings.
        peak_mib: Peak resident memory of a process after each stage.
        first_answer_s: Median seconds from the start of Python to the first answer, self-test included.
        load_s: Median seconds of ``load`` with its self-test, ``IN_MEMORY`` and ``FROM_CACHE``.
        installed_bytes: Size of each distribution that ``edgekit[litert]`` needs, itself included.
    """

    machine: Machine
    bundle: str
    runs: int
    import_s: float
    first_import_s: float
    heavy_modules: tuple[str, ...]
    peak_mib: dict[str, float]
    first_answer_s: float
    load_s: dict[str, float]
    installed_bytes: dict[str, int]


def main() -> None:
    """Parses, measures and reports."""
    parser = harness.parser(__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, help="checkpoint to convert with the default settings")
    parser.add_argument("--bundle", type=Path, help="bundle to measure instead")
    parser.add_argument("--data", type=Path, help="labelled texts, csv or tsv")
    parser.add_argument("--threads", type=int, default=0, help="threads of the loaded bundle; 0: the runtime's default")
    parser.add_argument("--runs", type=int, default=7, help="fresh processes behind each median")
    arguments = parser.parse_args()
    harness.required(arguments, parser, "model", "bundle")
    harness.required(arguments, parser, "data")
    machine = describe_machine(DISTRIBUTIONS)
    with harness.workspace(arguments.keep) as work:
        path = arguments.bundle or make_bundle(arguments.model, work / "footprint.edgekit")
        bundle = open_bundle(path)
        texts = read_labelled(arguments.data, bundle.manifest.labels).texts
        imports = [json.loads(harness.fresh_python(IMPORT)) for _ in range(arguments.runs)]
        result = Footprint(
            machine=machine,
            bundle=bundle_name(bundle),
            runs=arguments.runs,
            import_s=statistics.median(found["seconds"] for found in imports),
            first_import_s=imports[0]["seconds"],
            heavy_modules=tuple(name for name in HEAVY if name in imports[0]["modules"]),
            load_s=_loads(path, arguments.threads, arguments.runs, work),
            peak_mib=json.loads(
                harness.fresh_python(
                    MEMORY, path, arguments.threads, stdin=json.dumps(texts), environment=_cached(work)
                )
            ),
            first_answer_s=statistics.median(_first_answer(path, texts[0], work) for _ in range(arguments.runs)),
            installed_bytes=installed_bytes("edgekit", "litert"),
        )
    harness.publish(arguments, markdown(result), result)


def _first_answer(bundle: Path, text: str, work: Path) -> float:
    begin = time.perf_counter()
    harness.fresh_python(FIRST_ANSWER, bundle, text, environment=_cached(work))
    return time.perf_counter() - begin


def _cached(work: Path) -> dict[str, str]:
    """With packed weights in the cache, as at every start but the first, and nothing in the user's own."""
    return {SETTING: str(work / PACKED)}


def _loads(bundle: Path, threads: int, runs: int, work: Path) -> dict[str, float]:
    """Both in turn, so that what else the machine does hits them alike."""
    times: dict[str, list[float]] = {name: [] for name in (IN_MEMORY, FROM_CACHE)}
    for run in range(runs + 1):
        for name, setting in {IN_MEMORY: OFF, FROM_CACHE: str(work / PACKED)}.items():
            seconds = float(harness.fresh_python(LOAD, bundle, threads, environment={SETTING: setting}))
            if run:  # the first one fills the cache
                times[name].append(seconds)
    return {name: statistics.median(seconds) for name, seconds in times.items()}


def installed_bytes(distribution: str, extra: str) -> dict[str, int]:
    """Bytes on disk of a distribution with an extra and of all that it needs, by distribution, the largest first."""
    sizes: dict[str, int] = {}
    seen: set[str] = set()
    waiting = [Requirement(f"{distribution}[{extra}]")]
    while waiting:
        requirement = waiting.pop()
        found = metadata.distribution(requirement.name)
        name = found.metadata["Name"]
        if (key := f"{name}{sorted(requirement.extras)}") in seen:
            continue
        seen.add(key)
        sizes[name] = sum(_size(Path(str(found.locate_file(file)))) for file in found.files or ())
        extras = {"", *requirement.extras}
        for needed in map(Requirement, found.requires or ()):
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(needed)
    for package in ("edgekit_runtime", "edgekit_converters", "edgekit"):
        sizes["edgekit"] += _editable_bytes(package)
    return dict(sorted(sizes.items(), key=lambda item: -item[1]))


def _editable_bytes(package: str) -> int:
    """Size of a package that is imported from its source folder, which its distribution's list of files leaves out."""
    found: Any = util.find_spec(package)
    folder = Path(found.submodule_search_locations[0])
    if "site-packages" in folder.parts:
        return 0
    return sum(_size(path) for path in folder.rglob("*") if path.is_file())


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def markdown(result: Footprint) -> str:
    """The table for people."""
    total = sum(result.installed_bytes.values())
    largest = [f"{name} {size / 1e6:.1f}" for name, size in list(result.installed_bytes.items())[:5]]
    own = result.installed_bytes["edgekit"]
    rows = [
        [
            "import edgekit_runtime",
            f"{result.import_s:.3f} s (the first of {result.runs}: {result.first_import_s:.3f} s)",
        ],
        [f"of {', '.join(HEAVY)} imported by it", ", ".join(result.heavy_modules) or "none"],
        *([f"peak memory after: {stage}", f"{mib:.0f} MiB"] for stage, mib in result.peak_mib.items()),
        *([f"load with the golden self-test, {name}", f"{seconds:.3f} s"] for name, seconds in result.load_s.items()),
        ["start of Python to the first answer, self-test included", f"{result.first_answer_s:.3f} s"],
        [
            "installed: edgekit[litert] and all it needs",
            f"{total / 1e6:.0f} MB ({', '.join(largest)}; edgekit {own / 1e6:.2f})",
        ],
    ]
    return "\n\n".join(
        [
            f"{result.bundle}, each figure from fresh processes, times as medians of {result.runs}.",
            markdown_table(["", "measured"], rows),
            str(result.machine),
        ]
    )


if __name__ == "__main__":
    harness.run_benchmark(main)
