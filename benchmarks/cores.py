"""Which process may use which core (Linux; elsewhere nothing is pinned)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True, slots=True)
class Cores:
    """The core of what is measured, and the cores of everything else."""

    measured: frozenset[int]
    others: frozenset[int]

    @classmethod
    def of_this_machine(cls) -> Self:
        """The last core is for what is measured; a machine with one core shares it."""
        if not hasattr(os, "sched_getaffinity"):
            return cls(frozenset(), frozenset())
        mine = sorted(os.sched_getaffinity(0))
        return cls(frozenset(mine[-1:]), frozenset(mine[:-1] or mine))

    @property
    def everything(self) -> frozenset[int]:
        """All of them."""
        return self.measured | self.others


@contextmanager
def on(cores: frozenset[int]) -> Iterator[None]:
    """Use only `cores` while the block runs; processes started in it inherit that."""
    if not cores:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def move(pid: int, cores: frozenset[int]) -> None:
    """Move a running process: the call is per thread, and new threads inherit from theirs."""
    if not cores:
        return
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(ProcessLookupError):  # a thread that has just ended
            os.sched_setaffinity(int(thread.name), cores)
