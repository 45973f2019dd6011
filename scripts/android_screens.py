"""Draws the Android app's screens for the documentation from its own layouts, strings and colours, without a phone.

python scripts/android_screens.py [--out docs]

The layout XML becomes a page of HTML, which headless Chromium draws, light and dark. The figures in it are made up, and
each picture says so.
"""

from __future__ import annotations

import argparse
import html
import statistics
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from screenshots import render

RES = Path(__file__).parents[1] / "android-demo/app/src/main/res"
ANDROID = "{http://schemas.android.com/apk/res/android}"
WIDTH = 500
NOTE = "drawn from the layouts with made-up figures, not a phone"

SHOWN: dict[str, dict[str, Any]] = {
    "classify": {
        "about": ("about_bundle", "cnn", "tensorflow-lite 2.16.1", "int8-per-tensor"),
        "trust": ("unsigned",),
        "text": "What a film. I would watch it again tomorrow.",
        "answer": ("answer", "positive", 97.3),
        "detail": ("answer_detail", 0.41, 13, "main"),
        "engine": "LiteRT",
        "threads": "2",
    },
    "benchmark": {
        "subject": ("benchmark_subject", "cnn", "tensorflow-lite 2.16.1", 2),
        "energy_result": ("energy_none", "the phone is charging: unplug it"),
        "power": [("battery_current", -312500), ("battery_voltage", 4012), ("battery_charging",)],
        "heat": [("thermal_status", "none"), ("thermal_headroom", 0.42)],
    },
}
"""By screen and id: a text, or a string's name and its arguments."""

HIDDEN = {"failure", "failure_message", "built_in", "added_key", "stage", "progress"}


def main() -> None:
    """Draws every screen, light and dark in one picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("docs"))
    out = parser.parse_args().out
    for name in SHOWN:
        with tempfile.TemporaryDirectory() as folder:
            halves = []
            for theme in ("values", "values-night"):
                page, drawn = Path(folder) / f"{theme}.html", Path(folder) / f"{theme}.png"
                page.write_text(Screen(name, theme).page(), encoding="utf-8")
                render(page, drawn, width=WIDTH)
                halves.append(Image.open(drawn).convert("RGB"))
            both = Image.new("RGB", (2 * WIDTH, max(half.height for half in halves)))
            for index, half in enumerate(halves):
                both.paste(half, (index * WIDTH, 0))
            target = out / f"android-{name}.png"
            both.quantize(128, dither=Image.Dither.NONE).save(target, optimize=True)
            sys.stdout.write(f"{target}: {target.stat().st_size / 1000:.0f} kB\n")


class Screen:
    """One layout in one theme."""

    def __init__(self, name: str, theme: str) -> None:
        self.root = tree("layout", name)
        self.shown = SHOWN[name]
        self.colors = resources("values", "colors", "color") | resources(theme, "colors", "color")
        self.strings = resources("values", "strings", "string")
        styles = tree("values", "styles")
        self.parents = {style.get("name", ""): style.get("parent", "") for style in styles}
        self.styles = {
            style.get("name", ""): {item.get("name", ""): item.text or "" for item in style} for style in styles
        }

    def page(self) -> str:
        """All of it as HTML."""
        color = self.colors
        return (
            f"<!doctype html><meta charset=utf-8><body style='margin:0;background:{color['background']};"
            f'color:{color["text"]};font:16px Roboto,"Noto Sans",sans-serif\'>'
            f"{self.widget(self.root)}<p style='font-size:12px;text-align:center;color:{color['text_quiet']}'>{NOTE}</p>"
        )

    def widget(self, node: ET.Element) -> str:
        """One element with all below it."""
        key = (node.get(f"{ANDROID}id") or "").removeprefix("@+id/")
        if key in HIDDEN:
            return ""
        inner = "".join(map(self.widget, node))
        text = html.escape(self.text(node, key)).replace("\n", "<br>")
        css, accent, quiet = self.css(node), self.colors["accent"], self.colors["text_quiet"]
        match node.tag:
            case "LinearLayout" if node.get(f"{ANDROID}orientation") == "horizontal":
                return f"<div style='display:flex;align-items:center;gap:8px;{css}'>{inner}</div>"
            case "ScrollView" | "LinearLayout":
                return f"<div style='{css}'>{inner}</div>"
            case "TableLayout":
                return f"<table style='width:100%;border-spacing:0'>{inner}</table>"
            case "TableRow":
                return f"<tr>{''.join(f'<td>{self.widget(cell)}</td>' for cell in node)}</tr>"
            case "Button":
                body = "background:rgba(128,128,128,.25);padding:12px;text-align:center;border-radius:3px;margin-bottom:8px"
                return f"<div style='{body};text-transform:uppercase;font-size:14px;font-weight:500;{css}'>{text}</div>"
            case "EditText":
                color = "" if key in self.shown else f"color:{quiet};"
                return f"<div style='border-bottom:1px solid {quiet};padding:8px 4px;min-height:24px;{css}{color}'>{text}</div>"
            case "Spinner":
                return f"<div style='padding:12px 4px'>{text}<span style='float:right;color:{quiet}'>▾</span></div>"
            case "CheckBox":
                box = f"<span style='border:2px solid {quiet};width:14px;height:14px;flex:none;margin-inline-end:12px'></span>"
                return f"<div style='display:flex;align-items:center;padding:12px 4px;accent-color:{accent}'>{box}{text}</div>"
            case "dev.edgekit.demo.LatencyPlot":
                return self.plot()
            case _:
                return f"<div style='{css}'>{text}</div>"

    def text(self, node: ET.Element, key: str) -> str:
        """What a widget shows."""
        samples = walk()
        figures = {"mean": statistics.mean(samples), "max": max(samples)}
        for share in (50, 90, 95, 99):
            figures[f"p{share}"] = sorted(samples)[len(samples) * share // 100]
        if key in figures:
            return self.string("milliseconds", figures[key])
        value = self.shown.get(key)
        if isinstance(value, str):
            return value
        if value is not None:
            return "\n".join(self.string(*each) for each in (value if isinstance(value, list) else [value]))
        named = node.get(f"{ANDROID}text") or node.get(f"{ANDROID}hint") or ""
        return self.string(named.removeprefix("@string/")) if named else ""

    def string(self, name: str, *arguments: object) -> str:
        """A string resource with its arguments."""
        text = self.strings[name]
        for index in range(len(arguments)):
            text = text.replace(f"%{index + 1}$", "%")
        return text % arguments if arguments else text

    def css(self, node: ET.Element) -> str:
        """Sizes and colours, of the style and of the element itself."""
        found: dict[str, str] = {}
        name = (node.get("style") or "").removeprefix("@style/")
        while name:
            found = self.styles.get(name, {}) | found
            name = self.parents.get(name, "")
        found |= {key.replace(ANDROID, "android:"): value for key, value in node.attrib.items()}
        names = {
            "android:textSize": "font-size",
            "android:textColor": "color",
            "android:padding": "padding",
            "android:layout_marginTop": "margin-top",
            "android:layout_marginBottom": "margin-bottom",
            "android:minWidth": "min-width",
            "android:layout_weight": "flex",
        }
        css = [f"{names[key]}:{self.value(value)}" for key, value in found.items() if key in names]
        if found.get("android:textStyle") == "bold":
            css.append("font-weight:bold")
        if found.get("android:gravity") == "end":
            css.append("text-align:end")
        return ";".join(css) + ";"

    def value(self, text: str) -> str:
        """A size or a colour as CSS has it."""
        if text.startswith("@color/"):
            return self.colors[text.removeprefix("@color/")]
        return text.replace("dp", "px").replace("sp", "px")

    def plot(self) -> str:
        """What LatencyPlot draws, with the same parts in the same places."""
        samples, color = walk(), self.colors
        ordered = sorted(samples)
        p50, p95 = ordered[len(ordered) // 2], ordered[len(ordered) * 95 // 100]
        left, right, top, bottom, highest = 36, 464, 25, 213, 1.0

        def y(ms: float) -> float:
            return bottom - (bottom - top) * min(ms / highest, 1)

        parts = [f"<svg width=468 height=240 font-size=12 fill='{color['plot_text']}' style='margin-top:12px'>"]
        for tick in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
            parts.append(line(left, right, y(tick), color["plot_grid"], 1))
            parts.append(f"<text x={left - 4} y={y(tick) + 4} text-anchor=end>{tick:.1f}</text>")
        for index, sample in enumerate(samples):
            x = left + (right - left) * (index + 0.5) / len(samples)
            parts.append(
                f"<path d='M{x:.1f} {y(sample) - 0.8:.1f} v1.6' stroke='{color['plot_sample']}' stroke-width=1.5 />"
            )
        legend = ((p50, "plot_p50", 280), (p95, "plot_p95", 388))
        for ms, name, x in legend:
            parts.append(line(left, right, y(ms), color[name], 2) + line(x, x + 16, 8, color[name], 2))
            parts.append(f"<text x={x + 20} y=12>{self.string(name, f'{ms:.2f}')}</text>")
        parts.append(f"<text x=0 y=12>{self.strings['plot_axis_ms']}</text><text x={left} y=233>1</text>")
        parts.append(
            f"<text x={right} y=233 text-anchor=end>{self.string('plot_axis_calls', len(samples))}</text></svg>"
        )
        return "".join(parts)


def line(x: float, end: float, y: float, color: str, width: int) -> str:
    """A level line as SVG."""
    return f"<path d='M{x} {y:.1f} H{end}' stroke='{color}' stroke-width={width} />"


def walk() -> list[float]:
    """Milliseconds of 400 calls, made up."""
    rng = np.random.default_rng(7)
    usual = 0.4 + np.abs(rng.normal(0, 0.03, 400))
    late = (rng.random(400) < 0.05) * rng.uniform(0.1, 0.5, 400)
    return [float(each) for each in usual + late]


def tree(folder: str, file: str) -> ET.Element:
    """One resource file of the app's own, so it is trusted."""
    return ET.parse(RES / folder / f"{file}.xml").getroot()  # noqa: S314


def resources(folder: str, file: str, tag: str) -> dict[str, str]:
    """Names and values of one resource file."""
    found = tree(folder, file).findall(tag)
    return {each.get("name", ""): (each.text or "").replace("\\'", "'") for each in found}


if __name__ == "__main__":
    main()
