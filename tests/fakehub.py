"""A hub of datasets on this machine, which answers as much of the Hugging Face Hub's HTTP as ``datasets`` asks for."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import urlparse

COMMIT = "a" * 40


class FakeHub:
    """Serves files by dataset, ``{"owner/name": {"train.jsonl": b"…"}}``, at ``url``."""

    def __init__(self, datasets: Mapping[str, Mapping[str, bytes]]) -> None:
        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                """Nothing is printed."""

            def do_HEAD(self) -> None:
                self.do_GET()

            def do_GET(self) -> None:
                path = urlparse(self.path).path.removeprefix("/api")
                name = "/".join(path.split("/")[2:4])
                files = datasets.get(name, {})
                if name not in datasets:
                    self.reply(401, error="RepoNotFound")
                elif "/resolve/" in path:
                    data = files.get(path.split("/resolve/")[1].partition("/")[2])
                    self.reply(404, error="EntryNotFound") if data is None else self.reply(200, data)
                elif "/tree/" in path:
                    listed = [{"type": "file", "path": p, "size": len(d), "oid": digest(d)} for p, d in files.items()]
                    self.reply(200, json.dumps(listed).encode())
                else:
                    info = {"id": name, "sha": COMMIT, "siblings": [{"rfilename": file} for file in files]}
                    self.reply(200, json.dumps(info).encode())

            def reply(self, status: int, data: bytes = b"", *, error: str = "") -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.send_header("Content-Type", "application/json")
                self.send_header("X-Error-Code", error) if error else self.send_header("ETag", f'"{digest(data)}"')
                self.send_header("X-Repo-Commit", COMMIT)
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(data)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> FakeHub:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


def digest(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()
