"""Charts as SVG inside a page: drawn by matplotlib, with the page's own colours and letters."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING
from xml.etree import ElementTree  # of what matplotlib has just written

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, RULE, ACCENT, SECOND, PAPER = "#010101", "#020202", "#030303", "#040404", "#050505", "#060606"
"""Stand-ins, which a page replaces by its own colours, so that a chart follows it from light to dark."""

VARIABLES = {INK: "--ink", MUTED: "--muted", RULE: "--rule", ACCENT: "--accent", SECOND: "--second", PAPER: "--paper"}

STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "edgekit",
    "text.parse_math": False,
    "font.size": 11.5,
    "text.color": INK,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 11.5,
    "axes.linewidth": 1.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.7,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.labelsize": 11.5,
    "ytick.labelsize": 11.5,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
}
PIXELS = 72
"""A unit of a drawn chart is a point, which a page takes for its pixel."""

_REFERENCE = re.compile(r"#([\w-]+)")
_DIGITS = re.compile(r"-?\d+\.\d{3,}")
_FAMILY = re.compile(r"font-family:[^;]*;?\s*")
_FONT = re.compile(r"font: ([\d.]+px)[^;]*")  # before matplotlib 3.10 in one


def draw(name: str, label: str, width: int, height: int, paint: Callable[[Figure], None]) -> str:
    """Draws a chart; the same figures give the same text.

    Args:
        name: Its name among the charts of a page, for its ids.
        label: What a screen reader says instead.
        width: In pixels of the page at its natural size.
        height: Likewise.
        paint: Paints it, on axes from ``axes``.
    """
    import matplotlib.style
    from matplotlib.figure import Figure

    written = io.BytesIO()
    with warnings.catch_warnings(), matplotlib.style.context(["default", STYLE]):
        warnings.filterwarnings("ignore", message="Glyph")  # the page has the letters that matplotlib's font lacks
        figure = Figure(figsize=(width / PIXELS, height / PIXELS))
        paint(figure)
        figure.savefig(written, format="svg", metadata={"Date": None})
    return _for_page(written.getvalue(), name, label)


def axes(figure: Figure, left: float, top: float, right: float, bottom: float) -> Axes:
    """Axes between edges that are given in pixels from the left and from the top of the chart."""
    width, height = figure.get_size_inches() * PIXELS
    return figure.add_axes((left / width, 1 - bottom / height, (right - left) / width, (bottom - top) / height))


def _for_page(svg: bytes, name: str, label: str) -> str:
    """Fits a chart into a page: short ids of its own, no fonts, no fixed size, no rule that styles what is around it."""
    root = ElementTree.fromstring(svg)  # noqa: S314
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.endswith(("}metadata", "}style")):
                parent.remove(child)
    ids: dict[str, str] = {}
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        for key in [key for key in element.attrib if key.startswith("{")]:
            element.set(key.rpartition("}")[2], element.attrib.pop(key))
        for key in ("href", "clip-path"):
            for used in _REFERENCE.findall(element.get(key, "")):
                ids.setdefault(used, f"{name}-{len(ids)}")
        if "style" in element.attrib:
            element.set("style", page_style(element.attrib["style"]))
        for key in ("d", "x", "y", "transform", "width", "height"):
            if key in element.attrib:
                short = _DIGITS.sub(lambda found: f"{float(found[0]):.2f}", element.attrib[key])
                element.set(key, " ".join(short.split()))
        if element.get("transform", "").startswith("rotate(-0 "):
            del element.attrib["transform"]
        element.tail = None
        if element.tag != "text":
            element.text = None
    for element in root.iter():
        own = element.attrib.pop("id", "")
        if own in ids:
            element.set("id", ids[own])
        for key in ("href", "clip-path"):
            if key in element.attrib:
                element.set(key, _REFERENCE.sub(lambda found: f"#{ids[found[1]]}", element.attrib[key]))
    for key in ("width", "height", "version"):
        root.attrib.pop(key, None)
    root.set("xmlns", "http://www.w3.org/2000/svg")
    root.set("role", "img")
    root.set("aria-label", label)
    return ElementTree.tostring(root, encoding="unicode")


def page_style(style: str) -> str:
    """A style of matplotlib with the page's colours and without a font of its own."""
    style = _FONT.sub(r"font-size: \1", _FAMILY.sub("", style))
    for colour, variable in VARIABLES.items():
        style = style.replace(colour, f"var({variable})")
    return style.replace(": ", ":").replace("; ", ";")
