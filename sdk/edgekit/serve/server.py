"""Runs the service: listens, watches for signals and ends in good order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn

from edgekit.serve.app import inner_app
from edgekit.serve.gate import Gate
from edgekit.serve.generation import Generation, load_generation
from edgekit.serve.keys import ApiKeys
from edgekit.serve.protocol import BoundedProtocol
from edgekit.serve.reloading import Reloader
from edgekit.serve.service import Service
from edgekit.serve.settings import ServeSettings
from edgekit_runtime.errors import OptionError
from edgekit_runtime.fresh import ended_in_order

GRACE_S = 0.5
"""How long a resting connection stays open at the end: what is on its way on it is answered, not cut off."""


class BundleServer:
    """A service that has loaded its bundle and its keys and listens, but answers nothing yet.

    Args:
        settings: What it is told.

    Raises:
        EdgekitError: The bundle, the keys or the address cannot be used; nothing was listening yet.
        SystemExit: SIGTERM came meanwhile.
    """

    def __init__(self, settings: ServeSettings) -> None:
        if hasattr(signal, "SIGHUP"):  # nothing to load anew yet
            signal.signal(signal.SIGHUP, lambda number, frame: None)
        with ended_in_order():
            self._load(settings)

    def _load(self, settings: ServeSettings) -> None:
        keys = None if settings.api_keys is None else ApiKeys(settings.api_keys)
        self._service = Service(settings, load_generation(settings))
        self._gate = Gate(self._service, inner_app(self._service), keys)
        self._listener = _listener(settings)

    def run(self, ready: Callable[[str, Generation], None]) -> None:
        """Serves until a signal ends it.

        Args:
            ready: Called with the address and the bundle once requests are answered.
        """
        settings = self._service.settings
        logging.getLogger("uvicorn").addHandler(logging.NullHandler())
        logging.getLogger("uvicorn").propagate = False
        config = uvicorn.Config(
            self._gate,
            http=type(
                "Protocol",
                (BoundedProtocol,),
                {"settings": settings, "count": staticmethod(self._service.metrics.refused)},
            ),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=math.ceil(settings.idle_s),
            backlog=1024,
        )
        server = _Server(config, self._service, self._gate, ready)
        server.run(sockets=[self._listener])
        if not self._service.pool.stop(within_s=0 if server.force_exit else 5) or server.loading:
            sys.stderr.flush()
            os._exit(0)  # an engine that does not come back cannot be ended otherwise


class _Server(uvicorn.Server):
    """uvicorn's server with this service's signals, and its end."""

    def __init__(
        self, config: uvicorn.Config, service: Service, gate: Gate, ready: Callable[[str, Generation], None]
    ) -> None:
        super().__init__(config)
        self._service = service
        self._reloader = Reloader(service, gate)
        self._ready = ready

    @property
    def loading(self) -> bool:
        """Whether a new bundle was still being loaded at the end."""
        return self._reloader.loading

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        assert sockets is not None
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(_log_oddity)
        self._service.pool.start(loop)
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._end)
        if hasattr(signal, "SIGHUP"):
            loop.add_signal_handler(signal.SIGHUP, self._reloader.ask)
        await super().startup(sockets)
        self._reloader.start()
        host, port = sockets[0].getsockname()[:2]
        self._ready(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}", self._service.generation)

    async def on_tick(self, counter: int) -> bool:
        if counter % 10 == 0:
            self._look()
        return await super().on_tick(counter)

    def _look(self) -> None:
        """Ends the connections of callers that are too slow."""
        now = asyncio.get_running_loop().time()
        for connection in list(self.server_state.connections):
            if isinstance(connection, BoundedProtocol):
                connection.look(now)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for _ in range(2):  # turns of the loop, in which it takes the connections that the system has taken already
            await asyncio.sleep(0)
        for server in self.servers:
            server.close()
        for each in sockets or []:
            each.close()
        await self._reloader.stop()
        begun = time.monotonic()
        while not self.force_exit and (spent := time.monotonic() - begun) < self._service.settings.drain_s:
            if not self._close_resting(spent > GRACE_S):
                break
            self._look()
            await asyncio.sleep(0.02)
        self._service.pool.refuse_all(self._service.ending)
        await asyncio.sleep(0 if self.force_exit else 0.2)
        for connection in list(self.server_state.connections):
            if isinstance(connection, BoundedProtocol):
                connection.transport.abort()
        tasks = list(self.server_state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _close_resting(self, over: bool) -> int:
        """Closes what rests once the grace is over; the number of connections that are left."""
        connections = list(self.server_state.connections)
        for connection in connections:
            if over and isinstance(connection, BoundedProtocol) and connection.resting:
                connection.transport.close()
        return len(connections)

    def _end(self) -> None:
        if self.should_exit:
            self.force_exit = True
        self.should_exit = True
        self._service.draining = True


def _listener(settings: ServeSettings) -> socket.socket:
    """The socket that listens.

    Raises:
        OptionError: The host is none of this machine's, or the port is taken.
    """
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        listener = socket.socket(family, kind, protocol)
        try:
            if os.name == "posix":
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(1024)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise OptionError(
            f"cannot listen on {settings.host} port {settings.port}: {error.strerror}; choose another --port or --host"
        ) from error
    listener.setblocking(False)
    return listener


def _log_oddity(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What the event loop has to report, by its kind alone: the rest may quote a text."""
    error = context.get("exception")
    sys.stderr.write(f"edgekit: error: {type(error).__name__} in the event loop\n")
