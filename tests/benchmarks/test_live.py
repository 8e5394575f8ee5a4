"""The benchmark beside live exposures: whom it measures, from where on, and what it proves."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks.batches import batches_of
from benchmarks.corpus import CAMPAIGN
from benchmarks.live import Live, Run, filled, main, newcomers, summary
from benchmarks.progress import Rates
from benchmarks.restart import Worker
from benchmarks.worker import totals
from pipeline.storage.results import cohorts, progress
from runtime.process import ExitCode

PEOPLE, AT_HAND = 900, 400


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Live:
    """A folder with people, most of them on the shelf."""
    return filled(tmp_path_factory.mktemp("live") / "data", PEOPLE, AT_HAND)


def test_a_filled_folder_has_its_people_and_has_read_nothing(live: Live) -> None:
    """Whatever Kafka comes is read from its beginning, and no event waits for Parquet."""
    worker = Worker(live.folder, AT_HAND)
    connection = worker.state.connection
    waiting = connection.execute("SELECT count(*) FROM event_log WHERE waits").fetchall()
    assert (worker.people, len(worker.engine)) == (PEOPLE, PEOPLE - worker.engine.shelved)
    assert (worker.engine.shelved > 0, worker.state.offsets(), waiting) == (True, {}, [(0,)])
    assert progress(worker.state).cluster_id == ""
    worker.state.close()


def test_newcomers_are_counted_beside_those_who_are_live(live: Live) -> None:
    """None of them is known or comes before the others, and the totals are those of both."""
    worker, corpus = Worker(live.folder, AT_HAND), newcomers(300)
    engine, before = worker.engine, progress(worker.state)
    events = list(corpus.events())
    subjects = {event.subject for event in events}
    assert not any(each in engine for each in subjects)
    assert not engine.find_shelved(list(subjects))
    assert min(event.occurred_at_ms for event in events) > before.watermark_ms
    worker.feed(batches_of(events, Counter()))
    after = progress(worker.state)
    assert before.events_applied == live.corpus.distinct
    assert after.events_applied == live.corpus.distinct + corpus.distinct
    found = totals((c.variant_id, c.counters) for c in cohorts(worker.state) if c.dimension == "")
    assert found == live.corpus.totals + corpus.totals
    assert {c.campaign_id for c in cohorts(worker.state)} == {CAMPAIGN}
    worker.state.close()


def test_medians_stand_beside_their_ratio_to_the_first() -> None:
    """The first number of people is what the others are compared with."""
    rates = {1000: [(100.0, 200.0), (90.0, 190.0), (130.0, 250.0)], 5000: [(80.0, 100.0)]}
    found = {n: [Run(Rates(*each, 1.0), 0) for each in runs] for n, runs in rates.items()}
    assert [line.split(";")[1] for line in summary(found)] == [
        " × 1.00 and × 1.00",
        " × 0.80 and × 0.50",
    ]
    assert "1,000 live, median of 3: 100 events/s, 200 events/CPU-s" in summary(found)[0]


@pytest.mark.kafka
def test_the_command_gives_a_line_per_run_and_the_medians(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With a real worker and a real Kafka, totals proved."""
    sizes = ["--runs", "1", "--newcomers", "300", "--at-hand", str(AT_HAND), "--reserve", "0.1"]
    assert main([str(PEOPLE), *sizes]) == ExitCode.DONE
    run, median = capsys.readouterr().out.splitlines()
    assert f"{PEOPLE} live: " in run
    assert median.endswith("× 1.00 and × 1.00")
