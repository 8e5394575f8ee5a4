"""`python -m benchmarks`: measure on this machine, print a table, write a JSON file."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import Final

from rich.console import Console

from benchmarks import report
from benchmarks.bridge import BRIDGE
from benchmarks.bridge_limits import LIMITS
from benchmarks.engines import ENGINES
from benchmarks.evaluation import EVALUATION
from benchmarks.exits import exit_code_of
from benchmarks.figures import Benchmark, Measured, Setup, run
from benchmarks.freshness import FRESHNESS
from benchmarks.machine import machine
from benchmarks.peers import PEERS
from benchmarks.several import SEVERAL
from benchmarks.transport import TRANSPORT
from benchmarks.worker import WORKER
from runtime.process import ExitCode

BENCHMARKS: Final[dict[str, Benchmark]] = {
    benchmark.name: benchmark
    for benchmark in (
        TRANSPORT,
        ENGINES,
        WORKER,
        SEVERAL,
        FRESHNESS,
        BRIDGE,
        LIMITS,
        PEERS,
        EVALUATION,
    )
}
_RESULTS: Final = Path(__file__).parent / "results"
_EXAMPLES: Final = """examples:
  python -m benchmarks                              everything, three runs each
  python -m benchmarks --only transport --runs 5    one of them
  python -m benchmarks --scale 0.02 --runs 1        a look at whether it works; figures mean nothing
  make bench ARGS="--only worker"

Every benchmark starts its own Apache Kafka. Leave the machine alone meanwhile: see
benchmarks/README.md for what the figures mean. Exit code 1: a total was wrong.
"""


def main(arguments: list[str]) -> int:
    """Run what was asked for; the exit code."""
    chosen = _parser().parse_args(arguments)
    if chosen.list:
        for benchmark in BENCHMARKS.values():
            print(f"{benchmark.name:12}{benchmark.summary}")
        return int(ExitCode.DONE)
    return exit_code_of(partial(_report, chosen))


def _report(chosen: argparse.Namespace) -> None:
    before, setup = machine(), Setup(chosen.scale)
    results = _measure(chosen.only or list(BENCHMARKS), setup, chosen.runs)
    Console().print(report.table(results))
    print(report.write(chosen.out, results, before, runs=chosen.runs, scale=chosen.scale))


def _measure(names: list[str], setup: Setup, runs: int) -> dict[str, list[Measured]]:
    results = {}
    for name in dict.fromkeys(names):
        print(f"{name}: {BENCHMARKS[name].summary}, {runs} runs", file=sys.stderr)
        results[name] = run(BENCHMARKS[name], setup, runs)
    return results


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measures the transport, the worker and the bridge on a real Apache Kafka.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--list", action="store_true", help="show the names and end")
    parser.add_argument(
        "--only", action="append", choices=BENCHMARKS, help="this one; may be repeated"
    )
    parser.add_argument("--runs", type=_runs, default=3, help="runs of each; the median counts")
    parser.add_argument("--scale", type=_scale, default=1.0, help="share of the full sizes")
    parser.add_argument("--out", type=Path, default=_RESULTS, help="folder of the JSON file")
    return parser


def _runs(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 100:
        raise argparse.ArgumentTypeError("must be a whole number from 1 to 100.")
    return int(text)


def _scale(text: str) -> float:
    try:
        scale = float(text)
    except ValueError:
        scale = 0.0
    if not 0 < scale <= 10:
        raise argparse.ArgumentTypeError("must be a number above 0, at most 10.")
    return scale


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
