"""A service on 127.0.0.1: a line of JSON in, a line of JSON out; SIGTERM lets it finish what it has begun.

How to start it, and to ask it::

    python service.py model.edgekit --port 7077
    echo '{"id": 1, "text": "what a film"}' | nc -q 1 127.0.0.1 7077
"""

import argparse
import asyncio
import contextlib
import json
import signal
import sys

import edgekit_runtime as ek

MAX_LINE_BYTES = 1 << 20
PATIENCE_SECONDS = 10  # for clients that do not read their last answer


class Service:
    """Answers any number of connections, and classifies at most ``at_once`` texts at a time."""

    def __init__(self, classify: ek.Classifier, at_once: int) -> None:
        self.classify = classify
        self.slots = asyncio.Semaphore(at_once)
        self.stop = asyncio.Event()
        self.connections: set[asyncio.Task[None]] = set()

    async def run(self, port: int) -> None:
        """Listens until ``stop`` is set."""
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self.stop.set)
        server = await asyncio.start_server(self.connected, "127.0.0.1", port, limit=MAX_LINE_BYTES)
        sys.stderr.write(f"listening on 127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
        await self.stop.wait()
        server.close()  # no new connections
        if self.connections:
            await asyncio.wait(self.connections, timeout=PATIENCE_SECONDS)

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: the next line is read only when the last one is answered, so that a client cannot flood."""
        task = asyncio.current_task()
        self.connections.add(task)
        try:
            while not self.stop.is_set() and (line := await self.next_line(reader)):
                writer.write(json.dumps(await self.answer(line)).encode() + b"\n")
                await writer.drain()
        except ValueError:  # from readline
            writer.write(json.dumps({"error": f"a line has over {MAX_LINE_BYTES} bytes"}).encode() + b"\n")
        except ConnectionError:  # the client has gone
            pass
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            self.connections.discard(task)

    async def next_line(self, reader: asyncio.StreamReader) -> bytes:
        """The next line, or nothing at the end of the connection or of the service."""
        reading, stopping = asyncio.create_task(reader.readline()), asyncio.create_task(self.stop.wait())
        await asyncio.wait([reading, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if reading.done():
            return reading.result()
        reading.cancel()
        return b""

    async def answer(self, line: bytes) -> dict[str, object]:
        """The answer to one request, or what is wrong with it."""
        try:
            request = json.loads(line)
            key, text = request.get("id"), request["text"]
            async with self.slots:
                found = await asyncio.to_thread(self.classify, text)
        except ek.EngineError as error:
            return {"error": str(error)}
        except (ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
            return {"error": f'a request is {{"text": "…"}} on one line ({type(error).__name__}: {error})'}
        return {"id": key, "label": found.label, "score": found.score}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Classifies lines of JSON on 127.0.0.1.")
    parser.add_argument("bundle")
    parser.add_argument("--port", type=int, default=7077, help="0 takes any that is free")
    parser.add_argument("--at-once", type=int, default=4, help="texts that are classified at a time")
    options = parser.parse_args()
    try:
        with ek.load(options.bundle) as classifier:
            asyncio.run(Service(classifier, options.at_once).run(options.port))
    except (ek.EdgekitError, OSError) as error:
        sys.exit(f"service.py: {error}")
