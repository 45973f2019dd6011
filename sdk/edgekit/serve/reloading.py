"""Hot reload: a new bundle is loaded and proven beside the old one, and takes its place at once."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading

from edgekit.serve.gate import Gate
from edgekit.serve.generation import Generation, Stamp, file_stamp, load_generation
from edgekit.serve.keys import ApiKeys
from edgekit.serve.service import Service
from edgekit_runtime.errors import EdgekitError


class Reloader:
    """Watches the bundle's file, and loads it anew when it is another one or when it is asked to."""

    def __init__(self, service: Service, gate: Gate) -> None:
        self._service = service
        self._gate = gate
        self._asked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._loader: threading.Thread | None = None
        self._seen: Stamp = service.generation.stamp
        service.pool.closed_hook = self._close

    def start(self) -> None:
        """Begins to watch."""
        self._task = asyncio.get_running_loop().create_task(self._watch())

    async def stop(self) -> None:
        """Ends it; a bundle that is being loaded is left alone."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def loading(self) -> bool:
        """Whether a bundle is being loaded."""
        return self._loader is not None and self._loader.is_alive()

    def ask(self) -> None:
        """Loads the bundle and the keys anew, whether they changed or not."""
        self._asked.set()

    async def _watch(self) -> None:
        watch_s = self._service.settings.watch_s
        before: Stamp | None = None
        stamp: Stamp | None
        while True:
            try:
                await asyncio.wait_for(self._asked.wait(), watch_s or None)
                self._asked.clear()
                self._reload_keys()
            except asyncio.TimeoutError:
                stamp = await asyncio.to_thread(self._stamp)
                settled, before = stamp == before, stamp  # one that is still being written is not loaded yet
                if stamp is None or stamp == self._seen or not settled:
                    continue
            await self._reload()

    def _stamp(self) -> Stamp | None:
        try:
            return file_stamp(self._service.settings.bundle)
        except EdgekitError:
            return None

    async def _reload(self) -> None:
        service = self._service
        stamp = await asyncio.to_thread(self._stamp)
        self._seen = self._seen if stamp is None else stamp
        try:
            made = await self._load()
        except Exception as error:
            reason = " ".join(str(error).split()) if isinstance(error, EdgekitError) else type(error).__name__
            sys.stderr.write(f"edgekit: error: the bundle was not loaded anew, the old one goes on: {reason}\n")
            service.metrics.reloaded("failed")
            return
        old, service.generation = service.generation, made
        self._seen = made.stamp
        service.metrics.reloaded("ok")
        sys.stderr.write(f"edgekit: {made.name} {made.sha256[:12]} took the place of {old.name} {old.sha256[:12]}\n")
        old.retired = True
        if old.uses == 0:
            self._close(old)

    async def _load(self) -> Generation:
        """Loads the bundle in a thread for which the end of the service does not wait, as it would for those of asyncio."""
        loop = asyncio.get_running_loop()
        loaded: asyncio.Future[Generation] = loop.create_future()

        def tell(made: Generation | None, error: Exception | None) -> None:
            if loaded.done():
                return
            if made is not None:
                loaded.set_result(made)
            elif error is not None:
                loaded.set_exception(error)

        def work() -> None:
            made, failed = None, None
            try:
                made = load_generation(self._service.settings, trial=True)
            except Exception as error:
                failed = error
            with contextlib.suppress(RuntimeError):  # the loop is closed: the service has ended
                loop.call_soon_threadsafe(tell, made, failed)

        self._loader = threading.Thread(target=work, name="loader", daemon=True)
        self._loader.start()
        return await loaded

    def _close(self, generation: Generation) -> None:
        """Frees a bundle that nothing uses any more, beside the event loop."""
        task = asyncio.get_running_loop().create_task(asyncio.to_thread(generation.close))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _reload_keys(self) -> None:
        path = self._service.settings.api_keys
        if path is None:
            return
        try:
            self._gate.keys = ApiKeys(path)
        except EdgekitError as error:
            sys.stderr.write(f"edgekit: error: the keys were not read anew, the old ones go on: {error}\n")
