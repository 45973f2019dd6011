"""From ONNX to TFLite, by tools that need an environment of their own: one file each, which runs there."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit_converters.environments import ONNX_TF, Environment


@dataclass(frozen=True)
class Bridge:
    """A way from ONNX to TFLite.

    Attributes:
        environment: Where its tools are.
        function: ``module:name`` of what runs there, with the arguments and the answer of ``bridges.onnx_tf.to_tflite``.
        opset: The ONNX opset that it reads best.
    """

    environment: Environment
    function: str
    opset: int


BRIDGES = {"onnx-tf": Bridge(ONNX_TF, "edgekit_converters.bridges.onnx_tf:to_tflite", opset=13)}
"""Name to bridge. onnx2tf 2.x, which is maintained and needs Python 3.12, would be another file and another line."""
