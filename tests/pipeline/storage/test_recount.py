"""SQL over row-level facts, and the stream: two ways of counting, one result."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from pyarrow import parquet

from pipeline.evaluate import campaign_rows
from pipeline.join.cohorts import VECTOR
from pipeline.join.engine import JoinEngine
from pipeline.storage.facts import columns_of, kind_of
from pipeline.storage.recount import Cohorts, _view, differences, recount_cohorts
from schemas.events import CampaignDefined, SubjectEvent
from schemas.topics import INBOUND_RECEIVED, JOINED_TOPICS, topic_of
from tests.support.join_crowd import crowd, crowd_definitions
from tests.support.join_events import definitions, worlds
from tests.support.worker import campaign_events, definition


def recounted(events: Sequence[SubjectEvent], defined: Sequence[CampaignDefined]) -> Cohorts:
    """Whole cohorts by SQL alone."""
    with duckdb.connect(config={"threads": 1}) as connection:
        for topic in JOINED_TOPICS:
            columns = columns_of(topic.event)
            body = ", ".join(f"{name} {kind}" for name, kind in columns.items())
            connection.execute(f"CREATE TABLE {kind_of(topic)} ({body})")
            rows = [
                [field_of(each, name) for name in columns]
                for each in events
                if topic_of(each) is topic
            ]
            if rows:
                write_rows(
                    connection,
                    kind_of(topic),
                    dict(zip(columns, zip(*rows, strict=True), strict=True)),
                )
        campaigns = [msgspec.structs.asdict(campaign_rows(each)[0]) for each in defined]
        connection.register("campaigns", pa.Table.from_pylist(campaigns))
        return recount_cohorts(connection)


def field_of(event: SubjectEvent, name: str) -> Any:
    """What a file holds: an absent field is NULL."""
    value = getattr(event, name)
    return None if value is msgspec.UNSET else value


def write_rows(
    connection: duckdb.DuckDBPyConnection, table: str, columns: dict[str, tuple[Any, ...]]
) -> None:
    """Fill a table whose map column, if any, nobody reads here."""
    arrays = {name: pa.array(v) for name, v in columns.items() if name != "attributes"}
    connection.register("batch", pa.table(arrays))
    connection.execute(f"INSERT INTO {table} BY NAME SELECT * FROM batch")  # noqa: S608 - ours
    connection.unregister("batch")


def streamed(events: Sequence[SubjectEvent], defined: Sequence[CampaignDefined]) -> Cohorts:
    """Whole cohorts by the join."""
    engine = JoinEngine()
    for each in defined:
        engine.define(each)
    engine.apply(events)
    cohorts = engine.take().cohorts
    return {key[:4]: tuple(vector) for key, vector in cohorts.items() if key[4] == ""}


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=30)
@given(worlds(), definitions())
def test_two_ways_of_counting_agree_in_any_world(
    events: list[SubjectEvent], defined: list[CampaignDefined]
) -> None:
    """Multipart, contradictions, reused ids, refunds: SQL says what the join says."""
    assert not differences(streamed(events, defined), recounted(events, defined))


@pytest.mark.parametrize("seed", range(4))
def test_two_ways_of_counting_agree_about_a_crowd(seed: int) -> None:
    """The same for hundreds of people with a dozen colliding events each."""
    rng = random.Random(seed)
    defined, events = crowd_definitions(rng), crowd(rng, 250)
    found = streamed(events, defined)
    assert not differences(found, recounted(events, defined))
    totals = dict(zip(VECTOR, map(sum, zip(*found.values(), strict=True)), strict=True))
    happened = ("rejected", "unknown", "delivered", "failed", "conflicts", "replied", "attributed")
    assert all(totals[name] > 0 for name in happened), totals


def test_a_whole_campaign_agrees() -> None:
    """Hundreds of people with everything that happens to them."""
    events = campaign_events(recipients=150, seed=4)
    found = recounted([*events, *events[:50]], [definition()])
    assert found == streamed(events, [definition()])
    assert sum(vector[0] for vector in found.values()) == 150


def test_a_difference_is_named() -> None:
    """A cohort that is missing on one side is a difference in each of its figures."""
    key = ("c", "A", 0, 1000)
    vector = (3, *[0] * (len(VECTOR) - 1))
    (found,) = differences({key: vector}, {})
    assert (found.cohort, found.column, found.streamed, found.recounted) == (key, "assigned", 3, 0)


def test_files_from_before_a_field_was_added_are_read(tmp_path: Path) -> None:
    """The field is NULL there, whether all files are old or some."""
    columns = columns_of(INBOUND_RECEIVED.event)
    new = dict.fromkeys(columns) | {"event_id": "2", "part": 3}
    old = {name: value for name, value in new.items() if name != "part"} | {"event_id": "1"}
    parquet.write_table(pa.Table.from_pylist([old]), tmp_path / "old.parquet")
    parquet.write_table(pa.Table.from_pylist([new]), tmp_path / "new.parquet")
    for files, expected in ((["old"], [("1", None)]), (["new", "old"], [("1", None), ("2", 3)])):
        with duckdb.connect() as connection:
            connection.execute("CREATE SCHEMA serve")
            connection.execute("CREATE TABLE serve.fact_files (topic TEXT, file TEXT, events INT)")
            rows = [(INBOUND_RECEIVED.name, f"{file}.parquet", 1) for file in files]
            connection.executemany("INSERT INTO serve.fact_files VALUES (?, ?, ?)", rows)
            assert _view(connection, tmp_path, INBOUND_RECEIVED) == len(files)
            query = "SELECT event_id, part FROM inbound_received ORDER BY ALL"
            assert connection.execute(query).fetchall() == expected
