"""Millions of names in memory: the worker's `Directory` beside a dict, memory and CPU time.

In turns, each in a process of its own: names come five thousand at a time, then strangers are
asked for, a batch of them at once.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final

import psutil

from pipeline.join.directory import Directory

KINDS: Final = ("dict", "directory")
_TOGETHER: Final = 5_000
_BATCH: Final = 3_000
_BATCHES: Final = 100
Figures = dict[str, float]


def measure(kind: str, people: int) -> Figures:
    """In this process.

    Raises:
        ValueError: If there is no such kind.
    """
    if kind not in KINDS:
        raise ValueError(f"kind == {kind!r}, must be one of {', '.join(KINDS)}.")
    of, a_dict = Directory(), dict[str, int]()
    before = psutil.Process().memory_info().rss

    def add(names: Sequence[str], places: range) -> None:
        if kind == "dict":
            a_dict.update(zip(names, places, strict=True))
        else:
            of.add(names, places)

    def find(names: Sequence[str]) -> dict[str, int]:
        return {n: a_dict[n] for n in names if n in a_dict} if kind == "dict" else of.find(names)

    adding = finding = 0.0
    for first in range(0, people, _TOGETHER):
        places = range(first, min(first + _TOGETHER, people))
        names = _tokens(len(places))
        adding += _spent(lambda names=names, places=places: add(names, places))
    octets = psutil.Process().memory_info().rss - before
    for _ in range(_BATCHES):
        names = _tokens(_BATCH)
        finding += _spent(lambda names=names: find(names))
    return {
        "octets_per_name": octets / people,
        "us_per_name_added": adding / people * 1e6,
        "us_per_stranger": finding / (_BATCHES * _BATCH) * 1e6,
    }


def _spent(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def _tokens(count: int) -> list[str]:
    """As subject tokens look; random."""
    return [f"k1.{base64.urlsafe_b64encode(os.urandom(16))[:22].decode()}" for _ in range(count)]


def _in_a_process(kind: str, people: int) -> Figures:
    command = [sys.executable, "-m", "benchmarks.names", str(people), "--kind", kind]
    found: Figures = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return found


def main() -> None:
    """A line per run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.names", description=__doc__)
    parser.add_argument("people", type=int, nargs="?", default=2_000_000)
    parser.add_argument("--runs", type=int, default=3, help="of each")
    parser.add_argument("--kind", choices=KINDS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.kind:
        print(json.dumps(measure(given.kind, given.people)))
        return
    for run in range(given.runs):
        for kind in KINDS[:: -1 if run % 2 else 1]:
            found = _in_a_process(kind, given.people)
            shown = ", ".join(f"{value:.2f} {name}" for name, value in found.items())
            print(f"{kind:>9}, {given.people:,} names: {shown}", flush=True)


if __name__ == "__main__":
    main()
