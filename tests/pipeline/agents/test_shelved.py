"""The chain on a real database, with people on the shelf and put aside: nobody's facts are lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import closing
from pathlib import Path

import duckdb
import msgspec
import pytest

from pipeline.agents import join as join_agent
from pipeline.agents.commit import commit
from pipeline.agents.join import join
from pipeline.batch import Delivery, RecordBatch
from pipeline.flush import DecodedBatch, Flush, lines_of
from pipeline.history import StoredHistory
from pipeline.join.cohorts import VECTOR
from pipeline.join.engine import JoinEngine
from pipeline.join.horizon import BUCKET_MS, DAY_MS
from pipeline.storage import history, log_rows, shelf
from pipeline.storage.restore import restore
from pipeline.storage.state import State, open_state
from schemas.codec import encode
from schemas.events import (
    CampaignDefined,
    MessageSubmitted,
    ReceiptReceived,
    RecipientAssigned,
    SubjectEvent,
)
from schemas.topics import topic_of
from tests.support.worker import START_MS, FakeRecord, campaign_events, definition

KEY = ("campaign_id", "variant_id", "cohort_start_ms", "cohort_width_ms", "dimension", "value")
FAR_MS = 10**13
EVENTS = sorted(campaign_events(recipients=24, seed=2), key=lambda event: event.occurred_at_ms)
ASSIGNED = [event for event in EVENTS if isinstance(event, RecipientAssigned)]
SUBMITTED = [event for event in EVENTS if isinstance(event, MessageSubmitted)]
RECEIPTS = [event for event in EVENTS if isinstance(event, ReceiptReceived)]
Some = Sequence[SubjectEvent] | CampaignDefined


@pytest.fixture(autouse=True, params=[0, log_rows.SMALL])
def small_flushes(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Flushes that keep their events, and small ones."""
    monkeypatch.setattr(log_rows, "SMALL", request.param)


class Chain:
    """Join and commit on a folder, as after a start of the worker; use with `closing`."""

    def __init__(self, folder: Path, *, at_hand: int, horizon_ms: int = 0) -> None:
        self.state = open_state(folder)
        self.engine = JoinEngine(horizon_ms, at_hand)
        restore(self.state, self.engine)
        self._history = StoredHistory(self.state, asyncio.Lock())
        self.now_ms = 0

    def close(self) -> None:
        """As a SIGKILL after the last flush."""
        self.state.close()

    async def feed(self, some: Some, sweep_until_ms: int | None = None) -> Flush:
        """One flush of events of one type, or of a definition."""
        return await self.feed_together(some, sweep_until_ms=sweep_until_ms)

    async def feed_together(self, *each: Some, sweep_until_ms: int | None = None) -> Flush:
        """One flush of several batches."""

        async def group() -> AsyncIterator[list[DecodedBatch]]:
            yield [self._batch(some) for some in each]

        async def store(flush: Flush) -> None:
            self.state.commit(flush, self.now_ms)

        joined = join(group(), self.engine, self._history, lambda: sweep_until_ms)
        (flush,) = [flush async for flush in commit(joined, store)]
        return flush

    def _batch(self, some: Some) -> DecodedBatch:
        events = [some] if isinstance(some, CampaignDefined) else list(some)
        topic = topic_of(events[0]).name
        first = self.state.offsets().get((topic, 0), 0)
        records = [FakeRecord(first + n, b"") for n in range(len(events))]
        batch = RecordBatch(topic, 0, first, first + len(events), records)
        delivery = Delivery(batch, lambda: None)
        if isinstance(some, CampaignDefined):
            return DecodedBatch(delivery, definitions=[some])
        return DecodedBatch(delivery, subject_events=some, lines=lines_of(list(map(encode, some))))


def stored(state: State) -> dict[tuple[object, ...], list[int]]:
    """The cohorts, zeros left out."""
    columns = [duckdb.ColumnExpression(name) for name in (*KEY, *VECTOR)]
    rows = state.connection.table("cohorts").select(*columns).fetchall()
    return {row[:6]: [int(n) for n in row[6:]] for row in rows if any(row[6:])}


def expected(*events: Sequence[SubjectEvent]) -> dict[tuple[object, ...], list[int]]:
    """The cohorts of an engine that has room for all."""
    engine = JoinEngine()
    engine.define(definition())
    for each in events:
        engine.apply(each)
    return {key: list(v) for key, v in engine.take().cohorts.items() if any(v)}


@pytest.mark.parametrize("is_restarted", [False, True])
async def test_what_was_put_aside_of_somebody_on_the_shelf_is_old(
    tmp_path: Path, *, is_restarted: bool
) -> None:
    """Put aside, back with a late event, on the shelf: a definition must not fetch the older."""
    chain = Chain(tmp_path, at_hand=0)
    aside = await chain.feed(ASSIGNED, FAR_MS)
    assert len(aside.deltas.retired) > 20
    await chain.feed(SUBMITTED)
    assert chain.engine.shelved == len(SUBMITTED)
    if is_restarted:
        chain.close()
        chain = Chain(tmp_path, at_hand=0)
    with closing(chain):
        await chain.feed(definition())
        assert chain.engine.shelved >= len(SUBMITTED)
        assert stored(chain.state) == expected(ASSIGNED, SUBMITTED)


async def test_a_full_last_file_that_everybody_has_left_still_tells_the_next_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The horizon of all passes when the file is exactly full: the shelf goes on behind it."""
    monkeypatch.setattr(shelf, "PER_FILE", 16)
    first, others = ASSIGNED[:16], ASSIGNED[16:]
    subjects = {event.subject for event in first}
    receipts = [event for event in RECEIPTS if event.subject in subjects]
    later_ms = receipts[0].occurred_at_ms + 2 * BUCKET_MS
    receipts[0] = msgspec.structs.replace(receipts[0], occurred_at_ms=later_ms)
    with closing(Chain(tmp_path, at_hand=0)) as chain:
        await chain.feed(first)
        assert chain.state.shelf.end == chain.engine.shelved == 16
        await chain.feed(receipts[:1], FAR_MS)
        assert (chain.state.shelf.end, chain.engine.shelved) == (16, 0)
        await chain.feed(others)
        assert chain.state.shelf.end == 16 + len(others)
    with closing(Chain(tmp_path, at_hand=0)) as chain:
        await chain.feed(receipts[1:])
        await chain.feed(definition())
        assert stored(chain.state) == expected(ASSIGNED, receipts)


async def test_after_a_restart_nobody_leaves_the_shelf_who_is_not_due(tmp_path: Path) -> None:
    """The sweep looks at everybody; memory, log and history get nobody for it."""
    with closing(Chain(tmp_path, at_hand=2, horizon_ms=10**9)) as chain:
        await chain.feed(ASSIGNED)
    with closing(Chain(tmp_path, at_hand=2, horizon_ms=10**9)) as chain:
        before = len(chain.engine), chain.engine.shelved
        flush = await chain.feed(ASSIGNED[-1:], FAR_MS)
        assert (len(chain.engine), chain.engine.shelved) == before
        assert (flush.deltas.news, flush.deltas.emptied) == ([], [])
    with closing(Chain(tmp_path, at_hand=2)) as chain:
        flush = await chain.feed(ASSIGNED[-1:], FAR_MS)
        assert len(flush.deltas.retired) > before[1], "whose horizon has passed goes for good"
        assert (len(chain.engine), chain.engine.shelved) == (0, 0)
        await chain.feed(SUBMITTED)
        await chain.feed(definition())
        assert stored(chain.state) == expected(ASSIGNED, SUBMITTED)


async def test_who_is_looked_up_in_vain_counts_once(tmp_path: Path) -> None:
    """Taken for somebody put aside by mistake: new after all."""
    with closing(Chain(tmp_path, at_hand=10**6)) as chain:
        chain.engine.remember_retired([event.subject for event in ASSIGNED[::2]])
        await chain.feed(definition())
        await chain.feed(ASSIGNED * 2)
        await chain.feed(SUBMITTED)
        assert stored(chain.state) == expected(ASSIGNED, SUBMITTED)


async def test_one_look_into_the_history_serves_a_whole_flush(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reads every name that was put aside, however few are asked for."""
    asked = list[int]()
    people = history.people

    def count(state: State, subjects: Collection[str]) -> list[tuple[str, bytes]]:
        asked.append(len(subjects))
        return people(state, subjects)

    monkeypatch.setattr(history, "people", count)
    with closing(Chain(tmp_path, at_hand=10**6)) as chain:
        aside = (await chain.feed(ASSIGNED, FAR_MS)).deltas.retired
        await chain.feed_together(RECEIPTS, SUBMITTED, ASSIGNED)
        assert asked == [len(aside)] != [0]
        await chain.feed(definition())
        assert stored(chain.state) == expected(ASSIGNED, SUBMITTED, RECEIPTS)


async def test_people_are_fetched_from_the_shelf_in_portions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many are asked for at once; all are there then."""
    monkeypatch.setattr(join_agent, "_PORTION", 5)
    with closing(Chain(tmp_path, at_hand=0)) as chain:
        await chain.feed(definition())
        await chain.feed(ASSIGNED)
        await chain.feed_together(RECEIPTS, SUBMITTED)
        assert stored(chain.state) == expected(ASSIGNED, SUBMITTED, RECEIPTS)


def stranger(day: int) -> list[SubjectEvent]:
    """Somebody else's receipt, so that time goes on."""
    far = {"subject": "k1.x", "event_id": f"x{day}", "occurred_at_ms": START_MS + day * DAY_MS}
    return [msgspec.structs.replace(RECEIPTS[0], **far)]


@pytest.mark.parametrize("is_restarted", [False, True])
@pytest.mark.parametrize("days", [400, 20])
async def test_a_late_event_about_somebody_forgotten_is_of_a_stranger(
    tmp_path: Path, days: int, *, is_restarted: bool
) -> None:
    """Within the days it counts; after them a receipt is unmatched and the totals stay."""
    chain = Chain(tmp_path, at_hand=10**6)
    chain.now_ms, chain.state.history_ms = FAR_MS, days * DAY_MS
    await chain.feed(definition())
    await chain.feed(ASSIGNED)
    await chain.feed(SUBMITTED)
    everybody = len(ASSIGNED) + 1
    assert len((await chain.feed(stranger(1), FAR_MS)).deltas.retired) == everybody
    await chain.feed(stranger(30))
    is_forgotten = days < 29
    assert sum(map(len, history.subjects(chain.state))) == (0 if is_forgotten else everybody)
    if is_restarted:
        chain.close()
        chain = Chain(tmp_path, at_hand=10**6)
    with closing(chain):
        await chain.feed(RECEIPTS)
        known = () if is_forgotten else RECEIPTS
        assert stored(chain.state) == expected(ASSIGNED, SUBMITTED, known)
        unmatched = "SELECT unmatched_receipts FROM join_health WHERE campaign_id = ''"
        ((found,),) = chain.state.connection.execute(unmatched).fetchall()
        assert found == 2 + (len(RECEIPTS) if is_forgotten else 0)
