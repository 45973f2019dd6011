"""Who takes part: every peer made from one checkpoint, and edgekit on each program of each bundle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from contenders.edgekit import EdgekitBundle, bundle_name, make_bundle
from contenders.executorch import StockExecuTorch, export_stock
from contenders.folder import Folder, hugging_face_folder
from contenders.litert import StockLiteRt, export_tflite
from contenders.onnx import OnnxRuntime, export_onnx
from contenders.pipeline import CompiledPipeline, TransformersPipeline
from contenders.tflite_runtime import TfliteRuntime
from edgekit_converters.environments import TFLITE_RUNTIME, ask_there
from edgekit_runtime import open_bundle
from harness import Contender

DISTRIBUTIONS = (
    *("edgekit", "ai-edge-litert", "ai-edge-quantizer", "litert-torch", "edgekit-executorch", "executorch"),
    *("tokenizers", "numpy", "torch", "transformers", "onnx", "onnxruntime"),
)
"""What their figures depend on."""


@dataclass(frozen=True)
class Source:
    """What the peers are made from.

    Attributes:
        checkpoint: A BERT, as ``edgekit convert`` takes it.
        folder: The same for transformers.
        buckets: Lengths that edgekit's default pads to.
        work: Folder for what is made.
    """

    checkpoint: Path
    folder: Folder
    buckets: tuple[int, ...]
    work: Path


@dataclass(frozen=True)
class LeftOut:
    """A peer that does not take part, or only where it did not fail, and why."""

    name: str
    reason: str


def _transformers(source: Source) -> list[Contender]:
    return [TransformersPipeline(source.folder)]


def _compiled(source: Source) -> list[Contender]:
    return [CompiledPipeline(source.folder, cache=source.work / "inductor")]


def _onnxruntime(source: Source) -> list[Contender]:
    plain, quantized = export_onnx(source.folder, source.work)
    return [
        OnnxRuntime(plain, source.folder, "ONNX Runtime, float32"),
        OnnxRuntime(quantized, source.folder, "ONNX Runtime, int8 dynamic"),
    ]


def _litert(source: Source) -> list[Contender]:
    name = f"litert-torch + ai-edge-quantizer, int8, padded to {source.folder.max_length}"
    return [StockLiteRt(export_tflite(source.folder, source.work), source.folder, name)]


def _executorch(source: Source) -> list[Contender]:
    program = export_stock(source.checkpoint, source.folder.max_length, source.work / "stock.pte")
    return [StockExecuTorch(program, source.folder, "ExecuTorch's recipe and binding, int8")]


def _tflite_runtime(source: Source) -> list[Contender]:
    version = ask_there(
        TFLITE_RUNTIME, "importlib.metadata:version", {"distribution_name": "tflite-runtime"}, limit_s=60
    )
    lengths = ("--max-length", str(source.folder.max_length), "--buckets", ",".join(map(str, source.buckets)))
    bundle = make_bundle(source.checkpoint, source.work / "older.edgekit", "--compat", "tflite-runtime", *lengths)
    name = f"edgekit on tflite-runtime {version}, int8-per-tensor, buckets {'/'.join(map(str, source.buckets))}"
    return [TfliteRuntime(bundle, name)]


PEERS: dict[str, Callable[[Source], list[Contender]]] = {
    "transformers": _transformers,
    "torch.compile": _compiled,
    "onnxruntime": _onnxruntime,
    "litert": _litert,
    "executorch": _executorch,
    "tflite-runtime": _tflite_runtime,
}
"""Name, as ``--peer`` takes it, to what makes its contenders."""


def ours(bundles: Sequence[Path]) -> list[EdgekitBundle]:
    """Edgekit on each program of each bundle; the first is what all others are compared with.

    Raises:
        EdgekitError: A bundle cannot be read.
    """
    opened = [(path, open_bundle(path)) for path in bundles]
    found = [
        EdgekitBundle(path, bundle_name(bundle, program), program.engine)
        for path, bundle in opened
        for program in bundle.manifest.main.programs
    ]
    if len({each.name for each in found}) == len(found):
        return found
    return [EdgekitBundle(each.bundle, f"{each.name} ({each.bundle.name})", each.engine) for each in found]


def source_of(checkpoint: Path, bundles: Sequence[Path], work: Path) -> Source:
    """The checkpoint, as the peers need it to classify what the bundles classify.

    Raises:
        EdgekitError: The checkpoint or a bundle cannot be read.
        RuntimeError: The bundles cut texts at different lengths.
    """
    texts = [open_bundle(path).manifest.main.text for path in bundles]
    lengths = {text.max_length for text in texts}
    if len(lengths) != 1:
        raise RuntimeError(f"the bundles cut texts at {sorted(lengths)} tokens; compare bundles of one max length")
    folder = Folder(hugging_face_folder(checkpoint, work / "folder"), *lengths)
    return Source(checkpoint, folder, texts[0].buckets, work)


def make_peers(
    source: Source, names: Sequence[str], say: Callable[[str], None]
) -> tuple[list[Contender], list[LeftOut]]:
    """Makes the peers of those names. One that cannot be made here is left out, with the reason.

    Args:
        source: What they are made from.
        names: Of PEERS.
        say: Told what is made, and what failed.
    """
    made: list[Contender] = []
    left_out: list[LeftOut] = []
    for name in names:
        say(f"making {name} …")
        try:
            made += PEERS[name](source)
        except Exception as error:  # whatever a peer's own tools raise: its row says so
            left_out.append(left := LeftOut(name, _last_line(error)))
            say(f"{left.name} is left out: {left.reason}")
    return made, left_out


def _last_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[-1][:300]
