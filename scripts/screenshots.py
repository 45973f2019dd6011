"""Renders a page to a PNG file with headless Chromium: the whole page, cut to its height, with few colours.

python scripts/screenshots.py page.html docs/profile.png [--width 1000] [--height 1400] [--dark]
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageChops

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
NARROWEST = 500
"""Pixels that a window of Chromium is wide at least."""

TALLEST = 16_000
"""Pixels that a page may be high; Chromium draws no higher ones."""


def main() -> None:
    """Renders the page that the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("page", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--width", type=int, default=1000, help="of the window, in pixels; default: 1000")
    parser.add_argument("--height", type=int, help="of the picture, from the top; default: the whole page")
    parser.add_argument("--dark", action="store_true", help="as a system with dark colours shows it")
    arguments = parser.parse_args()
    render(arguments.page, arguments.out, width=arguments.width, height=arguments.height, dark=arguments.dark)
    sys.stdout.write(f"{arguments.out}: {arguments.out.stat().st_size / 1000:.0f} kB\n")


def render(page: Path, out: Path, *, width: int = 1000, height: int | None = None, dark: bool = False) -> None:
    """Renders a page; a browser must be installed."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        sys.exit(f"none of {', '.join(BROWSERS)} is installed, one of which draws the page: apt-get install chromium")
    if not page.is_file():
        sys.exit(f"{page} does not exist: write it first with edgekit profile … --html {page}")
    with tempfile.TemporaryDirectory() as folder:
        address = page.resolve().as_uri()
        if width < NARROWEST:  # the page goes into a frame
            frame = Path(folder) / "frame.html"
            style = f"border:0;display:block;width:{width}px;height:{TALLEST}px"
            scheme = '<meta name="color-scheme" content="light dark">'
            frame.write_text(
                f'{scheme}<body style="margin:0"><iframe src="{address}" style="{style}">', encoding="utf-8"
            )
            address = frame.as_uri()
        drawn = Path(folder) / "page.png"
        options = (
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--force-device-scale-factor=1",
            f"--user-data-dir={folder}/user",
            f"--window-size={max(width, NARROWEST)},{height or TALLEST}",
            f"--blink-settings=preferredColorScheme={0 if dark else 1}",
            f"--screenshot={drawn}",
        )
        subprocess.run([browser, *options, address], check=True, capture_output=True, timeout=120)
        picture = Image.open(drawn).convert("RGB").crop((0, 0, width, height or TALLEST))
        if height is None:
            picture = trimmed(picture)
        picture.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(out, optimize=True)


def trimmed(picture: Image.Image, margin: int = 32) -> Image.Image:
    """Without the rows below the last one that is not all of the corner's colour."""
    empty = Image.new("RGB", picture.size, picture.getpixel((0, picture.height - 1)))
    found = ImageChops.difference(picture, empty).getbbox()
    return picture if found is None else picture.crop((0, 0, picture.width, min(picture.height, found[3] + margin)))


if __name__ == "__main__":
    main()
