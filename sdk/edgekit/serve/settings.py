"""What a service may be told: where it listens, what it loads and how much it takes on."""

from __future__ import annotations

import ipaddress
import math
import os
from dataclasses import dataclass
from pathlib import Path

from edgekit_runtime.errors import OptionError


@dataclass(frozen=True)
class ServeSettings:
    """What a service may be told.

    Attributes:
        bundle: The ``.edgekit`` file.
        host: Address to listen on; a name is looked up.
        port: Port; 0 takes a free one.
        workers: Texts that are classified at the same time, each by a classifier of its own; None: one a processor.
        threads: Threads of one text.
        engine: As for ``edgekit_runtime.load``.
        queue: Texts that may wait.
        timeout_s: Seconds after which a request that has no answer yet is given up.
        max_body_bytes: Bytes of a request's body.
        max_batch: Texts of a request.
        max_characters: Characters of a text.
        max_connections: Connections open at a time.
        read_s: Seconds in which a request must have come, and in which an answer must be taken.
        idle_s: Seconds that a connection may rest between requests.
        api_keys: File of the callers' keys; None: no key is asked for.
        allow_anonymous: Whether others than this machine may call without a key.
        trusted_keys: Public keys, one of which must have signed the bundle; none: any bundle.
        key: File of the key that opens a sealed bundle.
        watch_s: Seconds between looks at the bundle's file; 0: only SIGHUP loads it anew.
        drain_s: Seconds that requests under way have at the end.
        access_log: Whether each request is a line on stderr.

    Raises:
        OptionError: A value is out of its range, or the host is not this machine alone and no key is asked for.
    """

    bundle: Path
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int | None = None
    threads: int = 1
    engine: str | None = None
    queue: int = 256
    timeout_s: float = 10.0
    max_body_bytes: int = 1_000_000
    max_batch: int = 64
    max_characters: int = 20_000
    max_connections: int = 512
    read_s: float = 10.0
    idle_s: float = 30.0
    api_keys: Path | None = None
    allow_anonymous: bool = False
    trusted_keys: tuple[Path, ...] = ()
    key: Path | None = None
    watch_s: float = 1.0
    drain_s: float = 20.0
    access_log: bool = False

    def __post_init__(self) -> None:
        least = {
            "port": 0,
            "threads": 1,
            "queue": 1,
            "max_body_bytes": 1,
            "max_batch": 1,
            "max_characters": 1,
            "max_connections": 1,
            "watch_s": 0,
            "drain_s": 0,
        }
        for name, lowest in least.items():
            if not lowest <= getattr(self, name) < math.inf:
                raise OptionError(f"{_option(name)} must be {lowest} or more, not {getattr(self, name)}")
        for name in ("timeout_s", "read_s", "idle_s"):
            if not 0 < getattr(self, name) < math.inf:
                raise OptionError(f"{_option(name)} must be more than 0, not {getattr(self, name)}")
        if self.port > 65535:
            raise OptionError(f"--port must be at most 65535, not {self.port}")
        if self.workers is not None and not 1 <= self.workers <= 256:
            raise OptionError(f"--workers must be 1 to 256, not {self.workers}")
        if self.max_batch > self.queue:
            raise OptionError(
                f"--max-batch {self.max_batch} is more than --queue {self.queue}, so that such a batch could never wait; "
                "raise --queue or lower --max-batch"
            )
        if not self.loopback and self.api_keys is None and not self.allow_anonymous:
            raise OptionError(
                f"--host {self.host} lets other machines call: give --api-keys FILE, or say --allow-anonymous"
            )

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the host."""
        return is_loopback(self.host)

    @property
    def worker_count(self) -> int:
        """Texts that are classified at the same time."""
        if self.workers is not None:
            return self.workers
        usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return max(1, usable // self.threads)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine under an address that no other can reach."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")
