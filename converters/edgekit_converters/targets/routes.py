"""By which tools a target's programs are made; a route is a target of the same name."""

from __future__ import annotations

DIRECT = "direct"

ROUTES: dict[str, dict[str, str]] = {
    DIRECT: {},
    "onnx": {"litert": "edgekit_converters.targets.litert_by_onnx:LiteRtByOnnxTarget"},
}
"""Route to the targets that it makes otherwise: name to "module:class"."""
