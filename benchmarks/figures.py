"""What a benchmark gives: named figures, one value per run, and their medians."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Final

from benchmarks.cores import Cores

WARM_UP: Final = 0.1
"""Share of every total that is left out: JVM and caches are cold."""
Values = Mapping[str, float]
Measure = Callable[[int], Values]
"""One run; the argument is its number, from 0."""


class WrongTotalError(Exception):
    """What came out is not what was put in: the run proves nothing. Ends the benchmark."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured quantity. `at_least` or `at_most` is the project's target, if it has one."""

    name: str
    unit: str
    at_least: float | None = None
    at_most: float | None = None


@dataclass(frozen=True, slots=True)
class Setup:
    """What all benchmarks are given."""

    scale: float
    """1 for the real sizes; less for a look, whose figures mean little."""
    cores: Cores = field(default_factory=Cores.of_this_machine)

    def size(self, full: int) -> int:
        """A size, scaled."""
        return max(200, round(full * self.scale))


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A benchmark: `prepare` opens what its runs share and gives the function that runs once."""

    name: str
    summary: str
    figures: tuple[Figure, ...]
    prepare: Callable[[Setup], AbstractContextManager[Measure]]


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure and its values in the order of the runs."""

    figure: Figure
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The value to quote."""
        return statistics.median(self.values)


def run(benchmark: Benchmark, setup: Setup, runs: int) -> list[Measured]:
    """Run a benchmark `runs` times.

    Raises:
        WrongTotalError: If a run lost or invented something.
    """
    with _named(benchmark), benchmark.prepare(setup) as measure:
        results = [measure(number) for number in range(runs)]
    return [collected(figure, results) for figure in benchmark.figures]


def collected(figure: Figure, results: Sequence[Values]) -> Measured:
    """The values of one figure."""
    return Measured(figure, tuple(result[figure.name] for result in results))


def must_equal(what: str, found: object, expected: object) -> None:
    """Check a total.

    Raises:
        WrongTotalError: If it differs.
    """
    if found != expected:
        raise WrongTotalError(f"{what}: {found}, must be {expected}.")


@contextmanager
def _named(benchmark: Benchmark) -> Iterator[None]:
    try:
        yield
    except WrongTotalError as error:
        raise WrongTotalError(f"{benchmark.name}: {error}") from error
