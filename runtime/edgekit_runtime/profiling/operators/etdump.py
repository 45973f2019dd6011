"""ExecuTorch's traces (ETDump), read without its tools, which need torch.

A trace is a FlatBuffer: https://flatbuffers.dev/internals/ tells how its tables lie in memory, and
``devtools/etdump/etdump_schema_flatcc.fbs`` in ExecuTorch's wheel what they hold.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from edgekit_runtime.errors import EngineError
from edgekit_runtime.profiling.operators.times import Inference

IDENTIFIER = b"ED00"
WHOLE = "Method::execute"
HOLDERS = (WHOLE, "DELEGATE_CALL", "OPERATOR_CALL")
"""Events that hold others, whose time must not be added a second time."""

# Fields of the schema's tables, by their position.
DUMP_RUNS, RUN_EVENTS, EVENT_PROFILE = 1, 3, 0
PROFILE_NAME, PROFILE_DELEGATE_NAME, PROFILE_START, PROFILE_END = 0, 4, 6, 7


def inferences(dump: bytes) -> tuple[Inference, ...]:
    """What a trace tells of each run of a method.

    Args:
        dump: What ``edgekit_executorch.Program.etdump`` gives; times in it are nanoseconds.

    Raises:
        EngineError: It is no such trace, or a damaged one.
    """
    try:
        if dump[8:12] != IDENTIFIER:  # behind the size of the rest and the place of the root
            raise ValueError(f"it is no {IDENTIFIER.decode()}")
        root = _Table(dump, 4 + _number("<I", dump, 4))
        runs = ([_timed(profile) for profile in _profiles(run)] for run in root.tables(DUMP_RUNS))
        return tuple(inference for events in runs for inference in _inference(events))
    except (ValueError, struct.error) as error:
        raise EngineError(f"ExecuTorch's trace cannot be read ({error}); reinstall edgekit-executorch") from error


class _Table:
    """A table of a FlatBuffer: for each field the vtable says how far behind the table's start its value is."""

    def __init__(self, data: bytes, position: int) -> None:
        self._data, self._position = data, position
        self._vtable = position - _number("<i", data, position)
        self._size = _number("<H", data, self._vtable)

    def _field(self, index: int) -> int:
        """Where a field's value is; 0 if the table has none."""
        entry = 4 + 2 * index
        offset = _number("<H", self._data, self._vtable + entry) if entry < self._size else 0
        return self._position + offset if offset else 0

    def _target(self, place: int) -> int:
        """What the offset at a place points to."""
        return place + _number("<I", self._data, place)

    def whole(self, index: int) -> int:
        """A ulong; the schema's defaults are 0."""
        place = self._field(index)
        return _number("<Q", self._data, place) if place else 0

    def text(self, index: int) -> str:
        """A string; empty if there is none."""
        if not (place := self._field(index)):
            return ""
        start = self._target(place)
        end = start + 4 + _number("<I", self._data, start)
        if end > len(self._data):
            raise ValueError("a name goes beyond its end")
        return self._data[start + 4 : end].decode()

    def table(self, index: int) -> _Table | None:
        """A table that a field points to."""
        place = self._field(index)
        return _Table(self._data, self._target(place)) if place else None

    def tables(self, index: int) -> Iterator[_Table]:
        """The tables of a vector."""
        if place := self._field(index):
            start = self._target(place)
            for number in range(_number("<I", self._data, start)):
                yield _Table(self._data, self._target(start + 4 + 4 * number))


def _number(layout: str, data: bytes, position: int) -> int:
    if position < 0:  # which struct would count from the end
        raise ValueError("an offset leads out of it")
    value: int = struct.unpack_from(layout, data, position)[0]
    return value


def _profiles(run: _Table) -> Iterator[_Table]:
    for event in run.tables(RUN_EVENTS):
        if profile := event.table(EVENT_PROFILE):
            yield profile


def _timed(profile: _Table) -> tuple[str, float]:
    """An event's name and milliseconds. A delegate names its own operators, and numbers them: "Softmax (NC, F32) #1"."""
    name = profile.text(PROFILE_DELEGATE_NAME) or profile.text(PROFILE_NAME)
    nanoseconds = profile.whole(PROFILE_END) - profile.whole(PROFILE_START)
    if nanoseconds < 0:
        raise ValueError("an event ends before it starts")
    return name.partition(" #")[0].removeprefix("native_call_"), nanoseconds / 1e6


def _inference(events: list[tuple[str, float]]) -> Iterator[Inference]:
    """The inference of a run; none where what ran is the loading of the program."""
    totals = [ms for name, ms in events if name == WHOLE]
    if len(totals) > 1:
        raise ValueError(f"a run has {len(totals)} times {WHOLE}")
    for total in totals:
        yield Inference(total, tuple((name, ms) for name, ms in events if name not in HOLDERS))
