"""The pages for people, all of them from files of this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgekit_runtime.errors import require

HERE = Path(__file__).parent / "page"

SECURITY = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-cache",
}
"""Headers of every page: nothing inline, nothing from elsewhere, in nobody's frame."""

_KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}


@dataclass(frozen=True)
class Page:
    """A file as it is answered."""

    content: bytes
    media_type: str


def pages() -> dict[str, Page]:
    """The pages by their paths."""
    swagger = Path(require("swagger_ui_bundle", extra="serve", purpose="the page of the interface").swagger_ui_path)
    files = {
        "/": HERE / "index.html",
        "/page.css": HERE / "page.css",
        "/page.js": HERE / "page.js",
        "/docs": HERE / "docs.html",
        "/docs/start.js": HERE / "docs.js",
        "/docs/swagger-ui.css": swagger / "swagger-ui.css",
        "/docs/swagger-ui-bundle.js": swagger / "swagger-ui-bundle.js",
    }
    return {path: Page(file.read_bytes(), _KINDS[file.suffix]) for path, file in files.items()}
