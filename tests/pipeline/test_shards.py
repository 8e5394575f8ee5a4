"""A member takes partitions over: whatever their last owner did until the last moment."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from pipeline.batch import Delivery, LostRecordsError, RecordBatch
from pipeline.flush import DecodedBatch, Flush
from pipeline.join.engine import JoinEngine
from pipeline.member import Member
from pipeline.opening import Log
from pipeline.settings import WorkerSettings
from pipeline.shard import BEHIND_MS, Shard, Tools
from pipeline.shards import Shards
from pipeline.storage import shard
from pipeline.storage.change import table_of, unpack
from pipeline.storage.log_rows import EVENTS_CODEC
from pipeline.storage.results import gaps
from pipeline.storage.shard import ShardState, open_shard
from pipeline.storage.state import State, open_state
from pipeline.watchdog import StalledError
from pipeline.worker import Worker
from runtime.process import CannotRun
from schemas.codec import decode, encode
from schemas.events import CohortDelta, ReceiptReceived
from schemas.topics import JOINED_TOPICS, MESSAGE_RECEIPT, SUBJECT_PARTITIONS
from tests.support.worker import FakeRecord, campaign_events

RECEIPTS = [e for e in campaign_events(recipients=40, seed=4) if isinstance(e, ReceiptReceived)]
PLACE = (MESSAGE_RECEIPT.name, 0)


class Publisher:
    """Kafka that has everything at once."""

    def put(self, _topic: str, _place: int, _key: bytes, _value: bytes, done: Any) -> None:
        """Confirm."""
        done(None)


class NoDefinitions:
    """Nobody has defined a campaign."""

    everything: Sequence[Delivery] = ()


def tools(data: Path) -> Tools:
    """Of a process without Kafka."""
    settings = WorkerSettings(kafka="127.0.0.1:1", data=data, flush_ms=1)
    return Tools(settings, "w", Publisher(), lambda: 0, lambda _, __: None, dict)  # type: ignore[arg-type]


def kafka(ends: Mapping[tuple[str, int], int], beginning: int = 0) -> Log:
    """What the broker says."""
    beginnings = {(topic.name, 0): beginning for topic in JOINED_TOPICS}
    return Log("", {}, beginnings, ends, {PLACE: 66})


def receipts(first: int, following: int) -> RecordBatch:
    """Records of the receipts' topic."""
    records = [FakeRecord(n, encode(RECEIPTS[n])) for n in range(first, following)]
    return RecordBatch(MESSAGE_RECEIPT.name, 0, first, following, records)


def delivery(first: int, following: int) -> Delivery:
    """The same as the transport hands it over."""
    return Delivery(receipts(first, following), lambda: None)


def store(state: ShardState, first: int, following: int) -> None:
    """As an owner does."""
    batch = DecodedBatch(delivery(first, following))
    state.commit(Flush([batch], JoinEngine().take()), 0)


async def opened(data: Path, log: Log) -> Shards:
    """A member that has opened partition 0."""

    async def ask() -> Log:
        return log

    shards = Shards(tools(data), NoDefinitions(), ask)  # type: ignore[arg-type]
    await shards._open_next({0})
    return shards


async def test_what_the_last_owner_stored_while_kafka_was_asked_is_no_shortened_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It counts on until it lets the partition go; an answer from before must not be compared."""
    owner = open_shard(tmp_path, 0, "owner")
    store(owner, 0, 1)
    ends = {PLACE: 1}
    open_state = shard.open_state

    def open_late(folder: Path, *, wait_s: float) -> State:
        ends[PLACE] = 5
        store(owner, 1, 5)
        owner.close()
        return open_state(folder, wait_s=wait_s)

    async def ask() -> Log:
        return kafka(dict(ends))

    monkeypatch.setattr(shard, "open_state", open_late)
    shards = Shards(tools(tmp_path), NoDefinitions(), ask)  # type: ignore[arg-type]
    await shards._open_next({0})
    assert shards.offsets()[PLACE] == 5
    await shards.close()


async def test_a_partition_that_the_group_takes_away_is_not_locked_for_nothing(
    tmp_path: Path,
) -> None:
    """One is opened after the other, and the group is asked in between."""
    given: list[set[tuple[str, int]]] = [{(MESSAGE_RECEIPT.name, n) for n in range(3)}, {PLACE}]
    shards = Shards(tools(tmp_path), NoDefinitions(), answer)  # type: ignore[arg-type]
    source = SimpleNamespace(assigned=lambda: given.pop(0) if len(given) > 1 else given[0])
    following = asyncio.create_task(shards.follow(source))
    async with asyncio.timeout(30):
        while not shards.is_ready or given != [{PLACE}]:  # noqa: ASYNC110 - it tells nobody else
            await asyncio.sleep(0.01)
    following.cancel()
    assert shards.partitions == [0]
    assert not (tmp_path / "shards" / "01").exists()
    await shards.close()


async def test_open_partitions_share_the_records_of_a_group(tmp_path: Path) -> None:
    """However many they are, SIGTERM waits for so much work and no more."""
    shards = Shards(tools(tmp_path), NoDefinitions(), answer)  # type: ignore[arg-type]
    shares = []
    for partition in range(3):
        await shards._open_next({partition})
        shares.append({each._max_records for each in shards._open.values()})
    await shards._close({0})
    shares.append({each._max_records for each in shards._open.values()})
    assert shares == [{100_000}, {100_000}, {66_666}, {100_000}]
    await shards.close()


async def answer() -> Log:
    """Nothing in Kafka yet."""
    return kafka({})


async def test_without_an_answer_from_kafka_a_partition_is_free_for_others(tmp_path: Path) -> None:
    """It is neither open nor held; the next look tries again."""

    async def ask() -> None:
        return None

    shards = Shards(tools(tmp_path), NoDefinitions(), ask)  # type: ignore[arg-type]
    await shards._open_next({0})
    assert not shards.is_open(0)
    with closing(open_shard(tmp_path, 0, "other")) as other:
        assert other.deltas == 0


async def test_the_first_records_of_a_partition_cannot_be_missed(tmp_path: Path) -> None:
    """Nothing is stored yet, and the first batch does not begin where the log does: it stops."""
    shards = await opened(tmp_path, kafka({PLACE: 9}))
    await shards.put(delivery(3, 5))
    with pytest.raises(LostRecordsError, match="continues at 3, but 0 is next"):
        await asyncio.wait_for(shards._runs.pop(0), 20)
    await shards.close()


async def test_while_much_is_unread_a_partition_waits_longer_for_a_flush(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is on its way is not unread, so a flush that waited makes the next wait no longer."""
    monkeypatch.setattr(Shard, "run", lambda _: asyncio.sleep(0))
    shards = await opened(tmp_path, kafka({PLACE: 99}))
    one, waits = shards._open[0], []
    flush_ms, share = one._tools.settings.flush_ms, 100_000 // SUBJECT_PARTITIONS
    for ends in (None, {PLACE: share}, {PLACE: share + 9}):
        one._tools = replace(one._tools, ends=lambda ends=ends: ends)
        waits.append(one._wait_ms())
    await shards.put(delivery(0, 9))
    waits.append(one._wait_ms())
    await anext(one._deliveries())
    waits.append(one._wait_ms())
    assert waits == [flush_ms, flush_ms, BEHIND_MS, BEHIND_MS, flush_ms]
    await shards.close()


async def test_a_log_that_begins_later_is_read_from_there(tmp_path: Path) -> None:
    """Retention came before the first worker: a row in `gaps` says so, and it goes on."""
    shards = await opened(tmp_path, kafka({PLACE: 9}, beginning=3))
    await shards.put(delivery(3, 5))
    async with asyncio.timeout(30):
        while shards.offsets()[PLACE] < 5:  # noqa: ASYNC110 - the shard tells nobody else
            await asyncio.sleep(0.01)
    await shards.close()
    with closing(open_shard(tmp_path, 0, "next")) as state:
        assert state.offsets()[PLACE] == 5


def test_the_delta_says_before_when_the_missing_were_written(tmp_path: Path) -> None:
    """By the oldest record left, of topics that have one."""
    with closing(open_shard(tmp_path, 0, "w")) as state:
        Shard.open(0, state, tools(tmp_path), kafka({PLACE: 9}, beginning=3))
        ((_, value),) = state.unpublished()
    delta = decode(value)
    assert isinstance(delta, CohortDelta)
    rows = table_of(unpack(delta.body).tables["gaps"]).to_pylist()
    found = {row["topic"]: row["written_before_ms"] for row in rows}
    assert found == {topic.name: None for topic in JOINED_TOPICS} | {PLACE[0]: 66}


async def test_one_standing_partition_ends_the_member(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Partition 1 counts, partition 0 has records and stores none: the process says which."""
    member = Member(WorkerSettings(kafka="127.0.0.1:1", data=tmp_path, watchdog_s=30))
    places = {(MESSAGE_RECEIPT.name, number): 0 for number in (0, 1)}
    flushes = count()

    class Standing:
        """Both are open."""

        def is_open(self, _: int) -> bool:
            """Yes."""
            return True

        def offsets(self) -> dict[tuple[str, int], int]:
            """Nothing is stored."""
            return places

        @property
        def steps(self) -> dict[int, int]:
            """Partition 1 goes on."""
            return {0: 3, 1: next(flushes)}

    monkeypatch.setattr(member, "_shards", Standing())
    monkeypatch.setattr(member, "_ends", dict.fromkeys(places, 5))
    monkeypatch.setattr("pipeline.member.LOOK_S", 0)
    monkeypatch.setattr("pipeline.member.time", SimpleNamespace(monotonic=count(0, 7).__next__))
    source = SimpleNamespace(failure=lambda: None)
    with pytest.raises(StalledError, match="partition 0: 5 records wait and none was"):
        await asyncio.wait_for(member._watch(source), 20)  # type: ignore[arg-type]


def test_the_worker_alone_misses_no_first_records_either(tmp_path: Path) -> None:
    """What was never read is expected from the beginning."""
    worker = Worker(WorkerSettings(kafka="127.0.0.1:1", data=tmp_path))
    with closing(open_state(tmp_path)) as state:
        worker._restore(state, kafka({PLACE: 9}, beginning=3))
        assert {gap.written_before_ms for gap in gaps(state)} == {66, None}
    assert worker._stored[PLACE] == 3
    assert worker._stored[MESSAGE_RECEIPT.name, 1] == 0


def test_events_of_the_log_that_cannot_be_read_are_one_sentence(tmp_path: Path) -> None:
    """A member and a worker alone say which folder and what to do."""
    body = pa.compress(b"{}", codec=EVENTS_CODEC, asbytes=True)
    worker = Worker(WorkerSettings(kafka="127.0.0.1:1", data=tmp_path))
    with closing(open_shard(tmp_path, 0, "w")) as state, closing(open_state(tmp_path)) as alone:
        for each in (state, alone):
            each.connection.execute(
                "INSERT INTO event_log BY NAME SELECT ? AS topic, 1 AS events, 2 AS size, "
                '? AS body, 1 AS "round", false AS waits',
                [PLACE[0], body],
            )
        with pytest.raises(CannotRun, match=r"SMS_WORKER_DATA .*event_id.*--rebuild"):
            worker._restore(alone, kafka({PLACE: 9}))
        with pytest.raises(CannotRun, match=r"SMS_WORKER_DATA .*event_id.*--rebuild"):
            Shard.open(0, state, tools(tmp_path), kafka({PLACE: 9}))
