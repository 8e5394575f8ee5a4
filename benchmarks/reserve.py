"""Memory that the host backs, kept for a process that is about to be measured.

In a virtual machine with free page reporting, what a process frees goes back to the host within
seconds, and whoever touches it next pays for that with its own system time: some 30 µs a page
instead of 3 to 6. So a process of its own (`python -m benchmarks.reserve BLOCKS`) touches memory
beforehand, and lets go of it faster than the measured one takes it.
"""

from __future__ import annotations

import mmap
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from select import select
from tempfile import TemporaryDirectory
from typing import Final

import psutil

from benchmarks.processes import Process

GIB: Final = 2**30
BLOCK: Final = 64 * 2**20
PAUSE_S: Final = 0.175
"""Between two blocks: 366 MiB/s. A worker takes half a page an event, 200 MB/s at 100,000 events/s;
the host takes free memory back after two seconds."""


@contextmanager
def reserved(octets: int, cores: frozenset[int]) -> Iterator[Callable[[], None]]:
    """Hold that much, in whole blocks, until the end of the block at the latest.

    Of the memory that is available never more than half: less is said on stderr.

    Args:
        octets: Less than a block is nothing, and starts nothing.
        cores: Of the process that holds it.

    Yields:
        Lets go of it block by block, without waiting for that; to be called once.

    Raises:
        ProcessEndedError: If the memory is not there, or is lost before it is let go.
    """
    blocks = _affordable(octets) // BLOCK
    if blocks <= 0:
        yield lambda: None
        return
    with TemporaryDirectory(prefix="smslab-reserve-") as name:
        log = Path(name) / "log"
        with Process("benchmarks.reserve", str(blocks), cores=cores, log=log) as holder:
            holder.hear()

            def let_go() -> None:
                holder.check()
                holder.tell("let go")

            yield let_go


def _affordable(octets: int) -> int:
    half: int = psutil.virtual_memory().available // 2
    if octets > half:
        less = f"{half / GIB:.2f} GiB instead of {octets / GIB:.2f}"
        print(f"a reserve of {less}: half of the memory available", file=sys.stderr)
    return min(octets, half)


def _hold(blocks: int) -> None:
    """Until told to let go; ends at once when standard input does."""
    held: list[mmap.mmap] = []
    while len(held) < blocks and not _hears(0):
        held.append(_touched())
    print(len(held), flush=True)
    if sys.stdin.readline():
        while held:
            held.pop().close()
            if _hears(PAUSE_S):
                return
        sys.stdin.read()


def _hears(within_s: float) -> bool:
    return bool(select([sys.stdin], [], [], within_s)[0])


def _touched() -> mmap.mmap:
    try:
        block = mmap.mmap(-1, BLOCK, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError as error:
        sys.exit(f"The memory for a reserve is not there: {error}")
    block[:: mmap.PAGESIZE] = b"\1" * (BLOCK // mmap.PAGESIZE)
    return block


if __name__ == "__main__":
    _hold(int(sys.argv[1]))
