"""The same load by wrk, where it is installed: how much of a figure is the client's own work."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SCRIPT = r"""
local bodies = {%s}
local number = 0
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
request = function()
  number = number %% #bodies + 1
  return wrk.format(nil, "/predict", nil, bodies[number])
end
done = function(summary, latency, requests)
  local failed = summary.errors
  io.write('\nRESULT {')
  for _, kind in ipairs({"status", "connect", "read", "write", "timeout"}) do
    io.write(string.format('"%%s": %%d, ', kind, failed[kind]))
  end
  local seconds, p99_ms = summary.duration / 1e6, latency:percentile(99) / 1e3
  io.write(string.format('"requests": %%d, "seconds": %%.6f, "p99_ms": %%.3f}\n', summary.requests, seconds, p99_ms))
end
"""
"""One thread of wrk, so one Lua state, goes through all texts."""

ERRORS = ("status", "connect", "read", "write", "timeout")


@dataclass(frozen=True)
class Wrk:
    """What wrk says.

    Attributes:
        requests_per_s: Answers a second, whatever their status.
        p99_ms: Their 99th percentile.
        errors: By kind; ``status`` is any but 2xx and 3xx.
        cores: Processors that it was busy on.
    """

    requests_per_s: float
    p99_ms: float
    errors: dict[str, int]
    cores: float


def run_wrk(address: tuple[str, int], texts: Sequence[str], connections: int, seconds: float, work: Path) -> Wrk | None:
    """One run of ``POST /predict``; None where wrk is not installed.

    Raises:
        RuntimeError: It failed.
    """
    if shutil.which("wrk") is None:
        return None
    script = work / "texts.lua"
    bodies = ",\n".join(
        json.dumps(json.dumps({"text": text})) for text in texts
    )  # a JSON string in ASCII is one of Lua
    script.write_text(SCRIPT % bodies, encoding="utf-8")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    url = "http://{}:{}".format(*address)
    command = ["wrk", "-t1", f"-c{connections}", f"-d{round(seconds)}s", "--timeout", "30s", "-s", str(script), url]
    ended = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = [line for line in ended.stdout.splitlines() if line.startswith("RESULT ")]
    if ended.returncode or not found:
        raise RuntimeError(f"wrk failed:\n{ended.stdout}{ended.stderr}")
    told = json.loads(found[0].partition(" ")[2])
    return Wrk(
        requests_per_s=told["requests"] / told["seconds"],
        p99_ms=told["p99_ms"],
        errors={kind: told[kind] for kind in ERRORS if told[kind]},
        cores=(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / told["seconds"],
    )
