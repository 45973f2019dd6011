"""The environments that edgekit has a use for."""

from __future__ import annotations

from pathlib import Path

from edgekit_converters.environments.environment import Environment

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "TF_NUM_INTEROP_THREADS", "TF_NUM_INTRAOP_THREADS"), "1")


def _pinned(file: str) -> tuple[str, ...]:
    """The lines of a file beside this one: what ``pip freeze`` said where it works, but for what nothing imports."""
    return tuple(Path(__file__).with_name(file).read_text(encoding="utf-8").split())


ONNX_TF = Environment(
    name="onnx-tf",
    requirements=_pinned("onnx_tf.txt"),
    pythons=">=3.10,<3.12",
    megabytes=1400,
    purpose="--route onnx",
    imports=("onnx_tf.backend", "tensorflow", "edgekit_runtime"),
    machines=("x86_64",),
    needs=("avx",),
    variables={
        **ONE_THREAD,
        "CUDA_VISIBLE_DEVICES": "-1",
        "TF_ENABLE_ONEDNN_OPTS": "0",  # it adds in an order that depends on the processor
    },
)
"""TensorFlow 2.15 with onnx-tf 1.10, the last of both that go together."""

TFLITE_RUNTIME = Environment(
    name="tflite-runtime",
    requirements=_pinned("tflite_runtime.txt"),
    pythons=">=3.10,<3.12",
    megabytes=130,
    purpose="--compat tflite-runtime",
    imports=("tflite_runtime.interpreter", "edgekit_runtime"),
    machines=("x86_64", "aarch64"),
)
"""The last tflite-runtime, which needs numpy 1."""

ENVIRONMENTS = {environment.name: environment for environment in (ONNX_TF, TFLITE_RUNTIME)}
"""Name to environment."""
