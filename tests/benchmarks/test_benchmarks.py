"""The benchmarks run to their end on tiny sizes. No figure is judged, only totals are."""

from __future__ import annotations

import asyncio
import json
import math
import os
import sys
from collections import Counter
from pathlib import Path

import pytest

from benchmarks import engines
from benchmarks.__main__ import BENCHMARKS, main
from benchmarks.corpus import CAMPAIGN, Corpus, definition
from benchmarks.figures import Figure, Measured, WrongTotalError, must_equal
from benchmarks.foreign_environment import NotInstalledError
from benchmarks.freshness import Sightings
from benchmarks.progress import Look, Progress
from benchmarks.report import shown, table
from benchmarks.worker import totals
from pipeline.join.cohorts import VECTOR
from pipeline.join.engine import JoinEngine
from pipeline.rows import Counters
from pipeline.storage.reader import ResultsReader
from runtime.process import ExitCode

ROOT = Path(__file__).parents[2]
FOREIGN = {"engines"}
"""Installs packages that are none of ours, for a minute or more."""


@pytest.mark.kafka
@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.soak] * (n in FOREIGN)) for n in BENCHMARKS],
)
async def test_every_benchmark_gives_its_figures(name: str, tmp_path: Path) -> None:
    """As a command: all figures in the table and in the file, with the machine they come from."""
    arguments = ["--only", name, "--runs", "1", "--scale", "0.002", "--out", str(tmp_path)]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks",
        *arguments,
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert process.returncode == ExitCode.DONE, errors.decode()
    (path,) = tmp_path.iterdir()  # noqa: ASYNC240 - nothing else runs in this loop
    written = json.loads(path.read_text("utf-8"))
    figures = [figure["figure"] for figure in written["benchmarks"][name]]
    assert figures == [figure.name for figure in BENCHMARKS[name].figures]
    assert all(figure in output.decode() for figure in figures)
    assert all(len(figure["values"]) == 1 for figure in written["benchmarks"][name])
    assert written["machine"]["cores"] > 0
    assert (written["runs"], written["scale"]) == (1, 0.002)


def test_the_list_names_every_benchmark(capsys: pytest.CaptureFixture[str]) -> None:
    """`--list` says what there is."""
    assert main(["--list"]) == ExitCode.DONE
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(BENCHMARKS)


@pytest.mark.parametrize("wrong", [["--runs", "0"], ["--scale", "0"], ["--only", "nothing"]])
def test_wrong_arguments_are_refused(wrong: list[str]) -> None:
    """Exit code 2 with the rule."""
    with pytest.raises(SystemExit) as ended:
        main(wrong)
    assert ended.value.code == ExitCode.WRONG_USE


def test_the_corpus_means_what_it_counts() -> None:
    """The join, given every event, comes to the totals that the corpus counted by itself."""
    corpus = Corpus(3000)
    engine = JoinEngine()
    engine.define(definition(corpus.recipients))
    engine.apply(corpus.events())
    deltas = engine.take()
    assert (deltas.applied, deltas.duplicates) == (corpus.distinct, corpus.sent - corpus.distinct)
    assert deltas.duplicates > 0
    names = [name for name in VECTOR if name in Counters.__struct_fields__]
    cohorts = (
        (key[1], Counters(**dict(zip(names, vector[: len(names)], strict=True))))
        for key, vector in deltas.cohorts.items()
        if key[0] == CAMPAIGN and key[4] == ""
    )
    assert totals(cohorts) == +corpus.totals
    assert {counter for _, counter in corpus.totals} == {c for _, c in totals_of_every_kind()}


def totals_of_every_kind() -> Counter[tuple[str, str]]:
    """All counters that `totals` looks at."""
    ones = Counters(**dict.fromkeys(Counters.__struct_fields__, 1))
    return totals([("A", ones)])


def test_a_corpus_is_the_same_every_time() -> None:
    """Runs can be compared: same seed, same events."""
    assert list(Corpus(300).events()) == list(Corpus(300).events())
    assert list(Corpus(300, seed=12).events()) != list(Corpus(300).events())


def test_a_wrong_total_ends_the_benchmark() -> None:
    """No figure without its proof."""
    must_equal("events", 3, 3)
    with pytest.raises(WrongTotalError, match="events: 2, must be 3"):
        must_equal("events", 2, 3)


def progress(total: int, *looks: tuple[float, int, float]) -> Progress:
    """A finished measurement."""
    return Progress(total, looks=[Look(*look) for look in looks])


def test_rates_leave_the_warm_up_out() -> None:
    """From the first look at a tenth or more to the first look at the total."""
    rates = progress(100, (0, 0, 0), (5, 9, 1), (6, 20, 2), (7, 60, 2.5), (10, 100, 4)).rates()
    assert rates.per_s == pytest.approx(80 / 4)
    assert rates.per_cpu_s == pytest.approx(80 / 2)
    assert rates.cores == pytest.approx(2 / 4)


def test_rates_up_to_a_share_of_the_total() -> None:
    """What is on its way at the end is then as much as at the beginning."""
    looks = [Look(0, 0, 0), Look(2, 30, 1), Look(4, 80, 2), Look(5, 95, 3), Look(9, 100, 4)]
    rates = Progress(100, 0.2, 0.9, looks).rates()
    assert rates.per_s == pytest.approx(65 / 3)
    assert rates.cores == pytest.approx(2 / 3)


def test_rates_of_what_was_over_at_the_first_look() -> None:
    """A tiny run is measured from the look before, and an unmeasured one is undefined."""
    assert progress(10, (0, 0, 0), (2, 10, 1)).rates().per_s == pytest.approx(5)
    assert math.isnan(progress(10, (0, 10, 0)).rates().per_s)


def test_a_target_is_met_by_the_median() -> None:
    """The table says whether."""
    values = (20.0, 26.0, 90.0)
    targets = [Figure("f", "×", at_least=25), Figure("f", "ms", at_most=25), Figure("f", "1")]
    drawn = table({"b": [Measured(figure, values) for figure in targets]})
    assert [list(column.cells) for column in drawn.columns][-1] == ["≥ 25 met", "≤ 25 missed", ""]


@pytest.mark.parametrize(
    ("value", "text"), [(12.345, "12.3"), (0.5, "0.5"), (4567.0, "4,570"), (123456.0, "123,000")]
)
def test_numbers_are_shown_with_three_digits(value: float, text: str) -> None:
    """More would claim a precision that is not there."""
    assert shown(value) == text


def test_an_event_is_seen_with_the_first_snapshot_that_is_past_it(tmp_path: Path) -> None:
    """Its age is from the producer's timestamp to that sighting, per partition."""
    sightings = Sightings(ResultsReader(tmp_path / "serve.duckdb"), [10.0, 11.0, 13.0])
    sightings.positions = [{("t", 0): 1}, {("t", 0): 1, ("t", 1): 9}, {("t", 0): 3, ("t", 1): 9}]
    assert sightings.latencies_s(("t", 0), [9.5, 9.75, 12.0]) == [0.5, 3.25, 1.0]
    assert sightings.latencies_s(("t", 1), [10.5]) == [0.5]


def test_an_engine_that_cannot_be_had_is_said_and_has_no_figures(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are measured all the same."""

    def refuse(engine: str) -> Path:
        raise NotInstalledError(f"{engine} cannot be installed: no wheel")

    monkeypatch.setattr(engines, "python_of", refuse)
    pythons = engines.pythons()
    assert pythons == {"quixstreams": None, "bytewax": None}
    assert "quixstreams cannot be installed: no wheel" in capsys.readouterr().err
    rates = {way: {"events/s": 6.0, "events/CPU-s": 3.0} for way in engines.ALL}
    rates["bytewax"] = dict.fromkeys(("events/s", "events/CPU-s"), math.nan)
    values = engines.values_of(rates)
    assert math.isnan(values["worker ÷ bytewax, events/s"])
    assert values["worker ÷ quixstreams, events/s"] == 1
    assert set(values) == {figure.name for figure in engines.ENGINES.figures}
