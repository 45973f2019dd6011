"""What the machine itself can do: its clock, how fast it reads, and the most int8 products that its cores are built for."""

from __future__ import annotations

import ctypes
import mmap
import platform
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

CHAIN = 200
"""Additions in the loop, each of which waits for the one before."""

LOOPS = 20_000
TRIES = 60
READS, READ_BYTES = 15, 128 << 20
"""How often so many bytes are read, or one time what is more than that."""

FROM_MEMORY_BYTES = 256 << 20
"""Far more than any cache of the machine holds for one process."""

ADDITIONS = {
    # add rax, rax …; dec rdi; jnz; ret
    "x86_64": (bytes.fromhex("4801c0") * CHAIN, bytes.fromhex("48ffcf0f85"), -(3 * CHAIN + 9), bytes.fromhex("c3")),
}
"""Machine code of a chain of additions, of what counts the loops down, the jump's distance, and the return."""


@dataclass(frozen=True)
class Peak:
    """Multiply-adds of int8 that a core is built to do in a cycle, by its widest instruction, and who says so."""

    macs_a_cycle: int
    instruction: str
    source: str


AMX = Peak(1024, "AMX TDPBUSD", "Intel 64 and IA-32 Architectures Optimization Reference Manual, chapter on AMX")
ZEN4 = Peak(
    64,
    "AVX-512 VNNI VPDPBUSD, 512 bits in two halves",
    "A. Yee, Zen 4's AVX512 teardown, numberworld.org; uops.info: one of 512 bits a cycle",
)
N1 = Peak(32, "SDOT", "Arm Neoverse N1 Software Optimization Guide: two of 128 bits a cycle")

X86_PEAKS = {
    ("GenuineIntel", 6, 143): AMX,
    ("GenuineIntel", 6, 207): AMX,
    **{("AuthenticAMD", 25, model): ZEN4 for model in (*range(0x10, 0x20), *range(0x60, 0x80), *range(0xA0, 0xB0))},
}
"""Vendor, family and model to the peak; what is not here is unknown."""

ARM_PEAKS = {("0x41", "0xd0c"): N1}
"""Implementer and part to the peak."""


def peak(cpuinfo: Path = Path("/proc/cpuinfo")) -> Peak | None:
    """The processor's, None where it is unknown.

    Args:
        cpuinfo: Of Linux.
    """
    if not cpuinfo.exists():
        return None
    lines = (line.partition(":") for line in cpuinfo.read_text(encoding="utf-8").split("\n\n")[0].splitlines())
    said = {key.strip(): value.strip() for key, _, value in lines}
    if "CPU part" in said:
        return ARM_PEAKS.get((said.get("CPU implementer", ""), said["CPU part"]))
    if not said.get("cpu family", "").isdigit() or not said.get("model", "").isdigit():
        return None
    found = X86_PEAKS.get((said.get("vendor_id", ""), int(said["cpu family"]), int(said["model"])))
    needed = {AMX: "amx_int8", ZEN4: "avx512_vnni"}
    return found if found is not None and needed[found] in said.get("flags", "").split() else None


def clock_hz() -> float | None:
    """Cycles a second of a core that is busy: a chain of additions takes one cycle each. None where it is not known how.

    What a virtual machine says of its clock is often another.
    """
    code = ADDITIONS.get(platform.machine())
    if code is None or platform.system() != "Linux":
        return None
    chain, jump, distance, end = code
    with mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC) as page:
        page.write(chain + jump + distance.to_bytes(4, "little", signed=True) + end)
        held = ctypes.c_char.from_buffer(page)
        run = ctypes.CFUNCTYPE(None, ctypes.c_long)(ctypes.addressof(held))
        seconds = _least(partial(run, LOOPS), TRIES)
        del run, held  # the page cannot be closed while something points into it
    return CHAIN * LOOPS / seconds


def read_rate(size: int, threads: int) -> float:
    """Bytes a second at which ``threads`` threads together read ``size`` bytes again and again, each its own part.

    What fits into a cache comes from there.
    """
    parts = np.array_split(np.ones(size, dtype=np.int8), threads)
    times = -(-READ_BYTES // size)

    def read(part: NDArray[np.int8]) -> None:
        for _ in range(times):
            part.max()

    with ThreadPoolExecutor(threads) as pool:
        seconds = _least(lambda: list(pool.map(read, parts)), READS)
    return times * size / seconds


def _least(call: Callable[[], object], tries: int) -> float:
    """Seconds of the quickest of several calls: a ceiling is what the machine can do undisturbed."""
    taken = []
    for _ in range(tries):
        begin = time.perf_counter()
        call()
        taken.append(time.perf_counter() - begin)
    return min(taken)
