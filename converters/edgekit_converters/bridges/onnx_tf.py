"""ONNX to TFLite by onnx-tf and TensorFlow. It runs in the environment ONNX_TF, and imports nothing that is not there."""

from __future__ import annotations

import hashlib
import re
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

from edgekit_runtime.errors import LoweringError

TOOLS = ("onnx-tf", "tensorflow-cpu", "onnx")


def to_tflite(graphs: dict[str, str], out: str) -> dict[str, str]:
    """Makes one TFLite file of float32 ONNX graphs with fixed shapes.

    Args:
        graphs: Name of a signature to its ONNX file. Inputs and outputs keep their names; equal weights are shared.
        out: Where the TFLite file goes.

    Returns:
        The tools and their versions.

    Raises:
        LoweringError: They refused a graph.
    """
    try:
        data = _converted(graphs)
    except Exception as error:  # they raise whatever comes up; all of it means the same here
        raise LoweringError(f"TensorFlow could not convert the network: {_reason(error)}; leave --route out") from error
    Path(out).write_bytes(data)
    return {tool: metadata.version(tool) for tool in TOOLS}


def _reason(error: Exception) -> str:
    """One line of what may be thirty; of those on operators the one that names them."""
    lacking = re.search(r"(TF Select|Custom) ops: (.+)", str(error))
    if lacking:
        return f"TFLite has no {lacking[2].strip()}"
    return f"{type(error).__name__}: {next(iter(str(error).strip().splitlines()), 'no message')[:200]}"


def _converted(graphs: dict[str, str]) -> bytes:
    import tensorflow as tf

    weights: dict[str, Any] = {}
    functions = {name: _function(path, weights) for name, path in graphs.items()}
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(tf.Module(), folder, signatures=functions)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(functions))
        data: bytes = converter.convert()
    return data


def _function(path: str, weights: dict[str, Any]) -> Any:
    """A graph as a function of TensorFlow, which takes from ``weights`` those that are there, by digest, and adds the others."""
    import onnx
    import tensorflow as tf
    from onnx_tf.backend import prepare

    made = prepare(onnx.load(path), logging_level="WARNING")
    module = made.tf_module
    for name, value in module.initializer_dict.items():
        content = value.numpy()
        described = f"{content.dtype.str} {content.shape}".encode()
        digest = hashlib.sha256(described + content.tobytes()).hexdigest()
        module.initializer_dict[name] = weights.setdefault(digest, value)
    # Its own function has TensorFlow rewrite onnx-tf's code first, which these graphs do not need and which takes longer than
    # all the rest.
    whole: Any = type(module).__call__
    function = tf.function(lambda **inputs: whole.python_function(module, **inputs), autograph=False)
    return function.get_concrete_function(**made.signatures)
