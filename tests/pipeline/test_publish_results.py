"""When a snapshot is published, what time may change, and how a verdict is told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import duckdb
import pytest

from pipeline import publish_results
from pipeline.batch import Delivery, RecordBatch
from pipeline.flush import DecodedBatch, Flush
from pipeline.join.engine import JoinEngine
from pipeline.publish_results import (
    BEHIND_MS,
    BEHIND_RECORDS,
    NOTE_MS,
    ResultsPublisher,
    lags_of,
)
from pipeline.rows import JoinHealth, Verdict
from pipeline.snapshot import changed, health_of, verdict_event
from pipeline.storage.lost import skip_lost
from pipeline.storage.state import State, open_state
from runtime.kafka import PublishError
from schemas.events import SubjectEvent, VerdictReached
from tests.support.topics import wait_until
from tests.support.worker import START_MS, FakeRecord, campaign_events, definition

TOPIC = "sms.recipient.assigned.v1"
WINDOW_MS = 600_000
EVENTS = campaign_events(recipients=30, seed=2)
FIRST_COHORT_MS = START_MS // 10_000 * 10_000 + 10_000
"""End of the first slice of ten seconds; the 30 recipients come within 0.6 s."""


class Stage:
    """A results publisher on a real database, with broker and clock in the test's hands."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.state: State = open_state(folder)
        self.ends: Mapping[tuple[str, int], int] | None = {(TOPIC, 0): 0}
        self.now_ms = START_MS
        self.told: list[VerdictReached] = []
        self.confirms = True
        self.stored: dict[tuple[str, int], int] = {}
        self.engine = JoinEngine()
        self.database = asyncio.Lock()
        self.asked = asyncio.Event()
        """Whether the publisher has asked Kafka."""
        monkeypatch.setattr(publish_results, "now_ms", lambda: self.now_ms)
        self.publisher = self.new_publisher()

    def new_publisher(self) -> ResultsPublisher:
        """A publisher as after a start."""
        return ResultsPublisher(
            self.state,
            self.folder,
            database=self.database,
            stored=self.stored,
            ends=self._ends,
            tell=self._tell,
            is_broker_in_memory=False,
        )

    async def _ends(self) -> Mapping[tuple[str, int], int] | None:
        self.asked.set()
        return self.ends

    async def _tell(self, event: VerdictReached) -> None:
        if not self.confirms:
            raise PublishError(event.event_id)
        self.told.append(event)

    def commit(self, events: list[SubjectEvent]) -> None:
        """Join and store events as one flush that starts with the definition."""
        self.engine.define(definition())
        self.engine.apply(events)
        first = self.stored.get((TOPIC, 0), 0)
        end = self.stored[TOPIC, 0] = first + len(events)
        records = [FakeRecord(offset, b"") for offset in range(first, end)]
        delivery = Delivery(RecordBatch(TOPIC, 0, first, end, records), lambda: None)
        batch = DecodedBatch(delivery, definitions=[definition()])
        self.state.commit(Flush([batch], self.engine.take()), self.now_ms)
        self.ends = {(TOPIC, 0): end}

    def served(self, query: str) -> list[tuple[object, ...]]:
        """Rows of the published file."""
        with duckdb.connect(self.folder / "serve.duckdb", read_only=True) as connection:
            return connection.execute(query).fetchall()


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """An empty stage at the start of the campaign."""
    return Stage(tmp_path, monkeypatch)


async def test_it_publishes_once_per_change(stage: Stage) -> None:
    """The first look publishes, even an empty database; then only what changed."""
    assert await stage.publisher.publish_if_changed()
    assert not await stage.publisher.publish_if_changed()
    stage.commit(EVENTS)
    assert await stage.publisher.publish_if_changed()
    assert not await stage.publisher.publish_if_changed()
    assert stage.served("SELECT snapshot, events_applied FROM snapshot_info") == [(2, len(EVENTS))]


async def test_a_snapshot_says_how_far_it_is_itself(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flush that is stored while Kafka is asked is in the counts, so it is not behind."""

    async def ends() -> Mapping[tuple[str, int], int] | None:
        stage.commit(EVENTS)
        stage.stored.clear()  # the worker says so only after its transaction
        return stage.ends

    monkeypatch.setattr(stage.publisher, "_ends", ends)
    assert await stage.publisher.publish_if_changed()
    assert stage.served("SELECT events_applied FROM snapshot_info") == [(len(EVENTS),)]
    assert stage.served("SELECT next_offset, end_offset FROM lags") == [(len(EVENTS),) * 2]


@pytest.mark.parametrize(
    ("waiting", "knows", "written_after"), [(0, True, START_MS), (1, True, None), (0, False, None)]
)
async def test_a_gap_is_held_against_the_last_moment_without_lag(
    stage: Stage, waiting: int, written_after: int | None, *, knows: bool
) -> None:
    """What Kafka removes later can only concern who was alive since; the light says it."""
    stage.commit(EVENTS)
    end = len(EVENTS)
    stage.ends = {(TOPIC, 0): end + waiting} if knows else None
    assert await stage.publisher.publish_if_changed()
    stage.now_ms += 1000
    beginnings = {(TOPIC, 0): end + 7}
    assert skip_lost(stage.state, beginnings, stage.now_ms) == 7
    stage.ends = beginnings
    stage.stored.update(beginnings)
    assert await stage.new_publisher().publish_if_changed()
    assert stage.served("SELECT written_after_ms FROM gaps") == [(written_after,)]
    found = (
        "SELECT status, evidence->>'missing' FROM health_checks WHERE \"check\" = 'nothing_lost'"
    )
    assert stage.served(found) == [("bad", "7")]


async def test_cohorts_mature_in_silence(stage: Stage) -> None:
    """With nothing left to read, the passing of the window alone brings a new snapshot."""
    stage.commit(EVENTS)
    await stage.publisher.publish_if_changed()
    stage.now_ms = FIRST_COHORT_MS + WINDOW_MS - 1
    assert not await stage.publisher.publish_if_changed()
    stage.now_ms += 1
    assert await stage.publisher.publish_if_changed()
    assert not await stage.publisher.publish_if_changed()


async def test_a_verdict_that_is_not_confirmed_is_told_again(stage: Stage) -> None:
    """A broker that is just starting ends nothing: no snapshot now, everything at the next look."""
    stage.commit(EVENTS)
    stage.confirms = False
    assert not await stage.publisher.publish_if_changed()
    assert not (stage.folder / "serve.duckdb").exists()
    stage.confirms = True
    assert await stage.publisher.publish_if_changed()
    assert [event.campaign_id for event in stage.told] == ["c1"]


async def test_what_is_stored_since_the_last_snapshot_does_not_wait(stage: Stage) -> None:
    """The lag falls with every flush, not only when Kafka is asked again for the next snapshot."""
    stage.ends = {(TOPIC, 0): len(EVENTS)}
    await stage.publisher.publish_if_changed()
    assert stage.publisher.lag == len(EVENTS)
    stage.commit(EVENTS[:10])
    assert stage.publisher.lag == len(EVENTS) - 10
    stage.commit(EVENTS[10:])
    assert stage.publisher.lag == 0


async def test_the_positions_of_a_snapshot_are_those_of_its_totals(stage: Stage) -> None:
    """A flush that comes between the question to Kafka and the picture counts in both."""
    stage.commit(EVENTS[:10])
    async with stage.database:
        publishing = asyncio.create_task(stage.publisher.publish_if_changed())
        await stage.asked.wait()
        stage.commit(EVENTS[10:25])
    assert await publishing
    assert stage.served("SELECT events_applied FROM snapshot_info") == [(25,)]
    assert stage.served("SELECT next_offset, end_offset FROM lags") == [(25, 25)]


def caught_up(stage: Stage) -> object:
    """The moment of which the database knows that nothing had been missed then."""
    ((at_ms,),) = stage.state.connection.execute("SELECT caught_up_ms FROM progress").fetchall()
    return at_ms


async def test_under_steady_traffic_it_is_known_how_far_nothing_was_missed(stage: Stage) -> None:
    """Something always waits; what Kafka had at a look is stored by a later one."""
    asked = []
    for number in range(4):
        stage.commit(EVENTS[3 * number : 3 * number + 3])
        stage.ends = {(TOPIC, 0): stage.stored[TOPIC, 0] + 3}
        stage.now_ms += 500
        asked.append(stage.now_ms)
        assert await stage.publisher.look()
    assert caught_up(stage) == asked[2], "reached by the last look"


async def test_in_silence_it_is_noted_every_hour_that_nothing_was_missed(stage: Stage) -> None:
    """No picture is drawn, and a gap of later weeks must not concern what was over before."""
    await stage.publisher.publish_if_changed()
    begun_ms = stage.now_ms
    for hours, noted in ((0.9, 0), (1.0, 1.0), (1.9, 1.0), (30, 30)):
        stage.now_ms = begun_ms + round(hours * NOTE_MS)
        assert not await stage.publisher.look()
        assert caught_up(stage) == begun_ms + round(noted * NOTE_MS)


class Looks:
    """What a running publisher does, look by look: when it began, and whether it published."""

    def __init__(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun_s: list[float] = []
        self.published: list[bool] = []
        self._look = stage.publisher.look
        monkeypatch.setattr(stage.publisher, "look", self._note)

    async def _note(self) -> bool:
        self.begun_s.append(time.monotonic())
        self.published.append(await self._look())
        return self.published[-1]


async def test_a_flush_is_shown_when_it_is_stored(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a quiet time it waits for no tick: here the next one is an hour away."""
    await stage.publisher.publish_if_changed()
    looks, stop = Looks(stage, monkeypatch), asyncio.Event()
    running = asyncio.create_task(stage.publisher.run(3_600_000, stop))
    await wait_until(lambda: looks.published == [False])
    stage.commit(EVENTS)
    stage.publisher.flushed()
    await wait_until(lambda: looks.published == [False, True])
    assert stage.served("SELECT events_applied FROM snapshot_info") == [(len(EVENTS),)]
    stop.set()
    await running


async def test_pictures_keep_their_distance(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often something is stored, they are begun `interval_ms` apart; none is forgotten."""
    looks, stop = Looks(stage, monkeypatch), asyncio.Event()
    running = asyncio.create_task(stage.publisher.run(150, stop))
    for event in EVENTS[:40]:
        async with stage.database:
            stage.commit([event])
        stage.publisher.flushed()
        await asyncio.sleep(0.01)
    await wait_until(lambda: stage.served("SELECT events_applied FROM snapshot_info") == [(40,)])
    stop.set()
    await running
    drawn = [at for at, drew in zip(looks.begun_s, looks.published, strict=True) if drew]
    assert len(drawn) > 1
    assert all(later - earlier >= 0.149 for earlier, later in pairwise(drawn))


@pytest.mark.parametrize(("waiting", "is_rarer"), [(BEHIND_RECORDS, False), (10**6, True)])
async def test_pictures_are_rarer_while_much_waits(
    stage: Stage, waiting: int, *, is_rarer: bool
) -> None:
    """While more than `BEHIND_RECORDS` wait, every `BEHIND_MS`; the lag is told all the same."""
    published = []
    for number, at_ms in enumerate((0, 1000, BEHIND_MS - 1, BEHIND_MS)):
        stage.commit(EVENTS[number : number + 1])
        stage.ends = {(TOPIC, 0): stage.stored[TOPIC, 0] + waiting}
        stage.now_ms = START_MS + at_ms
        published.append(await stage.publisher.look())
        assert stage.publisher.lag == waiting
    assert published == [True, not is_rarer, not is_rarer, True]


@pytest.mark.parametrize("ends", [None, {(TOPIC, 0): 10**6}])
async def test_time_does_not_pass_while_records_wait(
    stage: Stage, ends: Mapping[tuple[str, int], int] | None
) -> None:
    """With lag, or without an answer about it, only event time may make a cohort mature."""
    stage.commit([event for event in EVENTS if event.occurred_at_ms < START_MS + WINDOW_MS])
    await stage.publisher.publish_if_changed()
    stage.ends = ends
    stage.now_ms += 10 * WINDOW_MS
    assert not await stage.publisher.publish_if_changed()


@pytest.mark.parametrize("restarts", [False, True])
async def test_who_is_mature_stays_mature(stage: Stage, *, restarts: bool) -> None:
    """A late record, a Kafka that stops to answer, a restart: no verdict is taken back by that."""
    early = [event for event in EVENTS if event.occurred_at_ms < START_MS + WINDOW_MS]
    stage.commit(early[:-1])
    stage.now_ms = START_MS + 3 * WINDOW_MS
    await stage.publisher.publish_if_changed()
    mature = "SELECT sum(assigned) FROM variant_results WHERE maturity = 'mature'"
    verdicts = "SELECT verdict, decided_at_ms FROM verdicts"
    before, said = stage.served(mature), stage.served(verdicts)
    assert before == [(30,)]
    assert [verdict for verdict, _ in said] != ["collecting"]
    if restarts:
        stage.publisher = stage.new_publisher()
    stage.commit(early[-1:])
    stage.ends = None
    stage.now_ms += 1000
    assert await stage.publisher.publish_if_changed()
    assert stage.served(mature) == before
    assert stage.served(verdicts) == said


async def test_a_verdict_is_told_once(stage: Stage) -> None:
    """It is told when it is reached and when it changes, and kept with its history."""
    stage.commit(EVENTS[:1])
    await stage.publisher.publish_if_changed()
    assert len(stage.told) == 1
    for start in range(1, len(EVENTS), 20):
        stage.commit(EVENTS[start : start + 20])
        await stage.publisher.publish_if_changed()
    told = [(event.verdict, event.variant_id, event.reason) for event in stage.told]
    assert all(one != other for one, other in pairwise(told))
    kept = stage.served("SELECT verdict, variant_id, reason FROM verdicts ORDER BY decided_at_ms")
    assert kept == told


def test_lags_name_every_partition() -> None:
    """Unread partitions count from the beginning; lag is never negative."""
    lags = lags_of({("t", 0): 5, ("t", 1): 9}, {("t", 2): 3, ("t", 0): 7, ("t", 1): 8})
    assert [(lag.partition, lag.next_offset, lag.end_offset) for lag in lags] == [
        (0, 5, 7),
        (1, 9, 9),
        (2, 0, 3),
    ]


def verdict(**changes: object) -> Verdict:
    """A verdict of one campaign."""
    fields: dict[str, object] = {
        "campaign_id": "c",
        "decided_at_ms": 1,
        "verdict": "collecting",
        "variant_id": None,
        "reason": "r",
        "evidence": {},
        "plan_hash": "h",
    }
    return Verdict(**(fields | changes))  # type: ignore[arg-type]  # fields by name


def test_only_another_meaning_is_a_change() -> None:
    """Time and evidence move all the while; verdict, arm, reason and plan do not."""
    history = [verdict(verdict="ship", variant_id="B"), verdict()]
    assert changed([verdict(decided_at_ms=9, evidence={"n": 2})], history) == []
    ship = verdict(verdict="ship", variant_id="A")
    assert changed([ship], history) == [ship]
    assert verdict_event(ship).variant_id == "A"


def test_receipts_are_judged_for_the_whole_system() -> None:
    """A campaign's health holds its own double assignments and everybody's receipts."""
    own = JoinHealth(campaign_id="c", double_assigned=2)
    whole = JoinHealth(campaign_id="", receipts=10, unmatched_receipts=3)
    assert health_of([own, whole], "c") == JoinHealth(
        campaign_id="c", double_assigned=2, receipts=10, unmatched_receipts=3
    )
