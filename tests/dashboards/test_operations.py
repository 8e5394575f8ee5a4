"""The operations page in words and HTML."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.components import operations as parts
from dashboards.facts import Operations
from dashboards.operations_words import (
    STALE_MS,
    Figure,
    behind_by_worker,
    figures,
    lag_by_topic,
    lost_by_topic,
    rate,
    status,
)
from dashboards.rates import rates_chart
from dashboards.texts import Words
from pipeline.rows import Activity, ConnectionState, DeadLetter, Lag, Partition, SnapshotInfo
from tests.support.decisions import read_operations
from tests.support.snapshots import connection, gap, write_cases

NOW = 1_700_000_000_000
UTC = ZoneInfo("UTC")
INFO = SnapshotInfo(
    snapshot=1,
    snapshot_at_ms=NOW,
    events_applied=1,
    duplicates_ignored=17,
    is_broker_in_memory=False,
    kafka_cluster_id="",
    schema_version=1,
)
DEAD = [DeadLetter(topic="t", partition=0, record_offset=1, reason="r", seen_at_ms=NOW)]
QUIET = Operations(INFO, [], [], [], [], [], [])


def with_connections(*found: ConnectionState) -> Operations:
    """A system with these connections and nothing else."""
    return dataclasses.replace(QUIET, connections=found)


@pytest.mark.parametrize(
    ("operations", "tone", "say"),
    [
        (QUIET, "wait", "Nothing is connected"),
        (with_connections(connection("a", NOW)), "good", "Everything is running"),
        (
            with_connections(connection("a", NOW), connection("b", NOW, bound=1)),
            "warn",
            "1 of 2 connections are not fully bound",
        ),
        (
            with_connections(connection("a", NOW, bound=0)),
            "bad",
            "1 of 1 connections are not fully bound",
        ),
        (
            with_connections(connection("a", NOW - STALE_MS - 1)),
            "bad",
            "1 of 1 connections have gone silent",
        ),
        (
            dataclasses.replace(
                with_connections(connection("a", NOW)),
                lags=[Lag(topic="t", partition=0, next_offset=0, end_offset=50_000)],
            ),
            "warn",
            "The worker is 50,000 events behind",
        ),
    ],
)
def test_the_worst_is_said_first(operations: Operations, tone: str, say: str) -> None:
    """One sentence tells whether a person is needed."""
    told = status(Words("en"), operations, NOW)
    assert (told.tone, told.say) == (tone, say)


def test_silence_is_seen_as_time_passes() -> None:
    """Ten seconds without a report, and the card says so, without a new snapshot."""
    operations = with_connections(connection("a", NOW))
    fresh = parts.connections(Words("en"), operations, NOW + STALE_MS)
    stale = parts.connections(Words("en"), operations, NOW + STALE_MS + 1)
    assert "reported 10 s ago" in fresh
    assert "silent for 10 s" in stale


def test_lag_is_added_up_and_never_negative() -> None:
    """A partition that was read past its reported end is not ahead of others."""
    lags = [
        Lag(topic="a", partition=0, next_offset=5, end_offset=15),
        Lag(topic="a", partition=1, next_offset=9, end_offset=5),
        Lag(topic="b", partition=0, next_offset=0, end_offset=30),
    ]
    assert lag_by_topic(dataclasses.replace(QUIET, lags=lags)) == [("b", 30, 30), ("a", 10, 10)]


def test_the_rate_is_that_of_the_last_full_minute() -> None:
    """Six buckets of ten seconds; the one that still fills is left out."""
    start = NOW // 10_000 * 10_000
    activity = [
        Activity(bucket_start_ms=start - i * 10_000, topic="t", events=100) for i in range(20)
    ]
    assert rate(activity, NOW) == 10.0


def test_the_chart_has_a_point_for_every_bucket() -> None:
    """A silent topic falls to zero instead of keeping its last value."""
    start = NOW // 10_000 * 10_000
    topics = ("sms.message.submitted.v1", "sms.message.receipt.v1", "made.up")
    activity = [
        Activity(bucket_start_ms=start - 30_000, topic=topic, events=50) for topic in topics
    ]
    chart = rates_chart(Words("zh"), activity, NOW, UTC)
    assert chart is not None
    values = chart["data"]["values"]
    assert [v["rate"] for v in values if v["kind"] == "提交"] == [5.0, 0.0, 0.0]
    assert {v["kind"] for v in values} == {"提交", "回执"}
    assert rates_chart(Words("zh"), [], NOW, UTC) is None


def test_the_chart_shows_the_time_of_the_zone() -> None:
    """Vega draws UTC, so that what it draws is the clock of the settings."""
    start = NOW // 10_000 * 10_000
    activity = [
        Activity(bucket_start_ms=start - 10_000, topic="sms.message.submitted.v1", events=1)
    ]
    there = rates_chart(Words(), activity, NOW, ZoneInfo("Asia/Shanghai"))
    here = rates_chart(Words(), activity, NOW, UTC)
    assert there is not None
    assert here is not None
    first = [chart["data"]["values"][0]["at"] for chart in (there, here)]
    assert first[0] - first[1] == 8 * 3_600_000


def test_the_page_shows_everything_the_snapshot_knows(tmp_path: Path) -> None:
    """States, errors, reasons and counts of a real snapshot."""
    write_cases(tmp_path, "ship")
    operations = read_operations(tmp_path)
    words, now_ms = Words("en"), operations.info.snapshot_at_ms
    page = (
        parts.summary(words, operations, now_ms)
        + parts.connections(words, operations, now_ms)
        + parts.tables(words, operations, UTC)
    )
    for text in (
        "unicom-2",
        "31 / 50",
        "ESME_RINVPASWD",
        "MK:0012",
        "must fit 64 bits",
        "no submit with this id",
        "BOUND_TRX",
        "168,220",
    ):
        assert text in page
    assert [f.value for f in figures(words, operations, now_ms)][1:6] == ["66", "7", "3", "0", "17"]


def test_what_kafka_removed_unread_is_an_alarm() -> None:
    """A red number in the strip, and which records, most first; otherwise a calm sentence."""
    words = Words("en")
    found = (gap(400), gap(9), gap(3_000, "sms.link.clicked.v1"))
    operations = dataclasses.replace(QUIET, gaps=found)
    assert Figure("3,409", "records lost", "bad") in figures(words, operations, NOW)
    assert Figure("0", "records lost") in figures(words, QUIET, NOW)
    assert lost_by_topic(operations) == [
        ("sms.link.clicked.v1", 3_000, found[0].seen_at_ms),
        ("sms.message.receipt.v1", 409, found[0].seen_at_ms),
    ]
    page = parts.tables(words, operations, UTC)
    assert "3,000" in page
    assert words("lost.none") not in page
    assert words("lost.none") in parts.tables(words, QUIET, UTC)


@given(text=st.text(st.sampled_from("<>&\"'/script=onerror"), min_size=1, max_size=20))
def test_what_operators_send_is_never_html(text: str) -> None:
    """Errors, states and reasons come from outside."""
    hostile = connection("c", NOW, connection=text, last_error=text, state=text)
    usual = parts.connections(Words("en"), with_connections(connection("c", NOW)), NOW)
    page = parts.connections(Words("en"), with_connections(hostile), NOW)
    extra = page.count("<") - usual.count("<")
    assert extra == 2, "the paragraph of the error, and nothing else"


def test_long_tables_are_cut_and_say_so() -> None:
    """A thousand different errors do not make a page of a thousand lines."""
    dead = [
        msgspec.structs.replace(letter, reason=f"reason {i}") for i in range(50) for letter in DEAD
    ]
    page = parts.tables(Words("en"), dataclasses.replace(QUIET, dead_letters=dead), UTC)
    assert page.count("reason ") <= parts.SHOWN + 2
    assert "and 38 more kinds" in page


def test_the_page_says_who_counts_whom() -> None:
    """With several workers each has its partitions and what waits in them; alone, no table."""
    rows = [
        Partition(partition=number, worker=worker, deltas=1, counted_at_ms=number)
        for number, worker in enumerate(("b:1", "a:1", "b:1"))
    ]
    lags = [
        Lag(topic="sms.message.receipt.v1", partition=2, next_offset=1, end_offset=5),
        Lag(topic="sms.cohort.delta.v1", partition=1, next_offset=1, end_offset=5),
    ]
    shared = dataclasses.replace(QUIET, partitions=rows, lags=lags)
    assert behind_by_worker(shared) == [("a:1", "1", 0, 1), ("b:1", "0, 2", 4, 2)]
    words = Words("en")
    assert "b:1" in parts.tables(words, shared, UTC)
    assert words("workers.title") not in parts.tables(words, QUIET, UTC)
