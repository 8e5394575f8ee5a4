"""The log of deltas: whatever is repeated, killed or late, each range counts once or it stops."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.delta_log import Applied, Decision, DeltaGapError, advance, judge
from schemas.events import CohortDelta, OffsetRange

TOPIC = "sms.message.receipt.v1"


def delta(
    sequence: int, first: int, following: int, *, chain: str = "c", topic: str = TOPIC
) -> CohortDelta:
    """A delta of partition 3 over one range."""
    return CohortDelta(
        event_id=f"{chain}:{sequence}",
        occurred_at_ms=0,
        partition=3,
        chain=chain,
        sequence=sequence,
        worker="w",
        ranges=(OffsetRange(topic=topic, first_offset=first, next_offset=following),),
        piece=0,
        pieces=1,
        body=b"",
    )


@dataclass
class Owner:
    """The durable side of a partition, and every delta ever put on the topic."""

    offset: int = 0
    sequence: int = 0
    outbox: list[CohortDelta] = field(default_factory=list)
    topic: list[CohortDelta] = field(default_factory=list)

    def flush(self, records: int) -> None:
        """One transaction: offsets, number, outbox."""
        self.sequence += 1
        self.outbox.append(delta(self.sequence, self.offset, self.offset + records))
        self.offset += records

    def publish(self, count: int) -> None:
        """Publish that many of the outbox; their removal is another transaction, in `tidy`."""
        self.topic += self.outbox[:count]

    def tidy(self) -> None:
        """Remove what Kafka has; a crash before this publishes it again."""
        self.outbox = [each for each in self.outbox if each not in self.topic]

    def late(self, place: int) -> None:
        """A process that lost the partition long ago gets through with a delta of then."""
        if self.topic:
            self.topic.append(self.topic[place % len(self.topic)])

    def foreign(self, records: int) -> None:
        """A worker in a folder of its own begins to count the partition again."""
        self.topic.append(delta(1, 0, records, chain="other"))


@dataclass
class Sink:
    """Counts records; a crash reads the last part of the topic again."""

    applied: Applied | None = None
    records: int = 0

    def read(self, topic: list[CohortDelta]) -> None:
        """Apply what is to be applied."""
        for each in topic:
            if judge(self.applied, each) is Decision.APPLY:
                self.records += sum(r.next_offset - r.first_offset for r in each.ranges)
                self.applied = advance(each, self.applied)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("flush"), st.integers(0, 50)),
        st.tuples(st.just("publish"), st.integers(1, 3)),
        st.tuples(st.just("tidy")),
        st.tuples(st.just("late"), st.integers(0, 100)),
        st.tuples(st.just("foreign"), st.integers(1, 200)),
    ),
    max_size=60,
)


@given(STEPS, st.lists(st.integers(0, 80), max_size=4))
def test_any_crashes_and_repetitions_count_every_range_once(
    steps: list[tuple[str, int]], crashes: list[int]
) -> None:
    """Owners and sink die anywhere, old deltas come late: the sum is that of one pass."""
    owner = Owner()
    owner.flush(1)
    owner.publish(1)  # the sink adopts the first chain it meets
    for name, *arguments in steps:
        getattr(owner, name)(*arguments)
    owner.publish(len(owner.outbox))
    sink, read = Sink(), 0
    for crash in crashes:
        sink.read(owner.topic[min(read, crash // 2) : crash])
        read = max(read, crash)
    sink.read(owner.topic)
    assert sink.records == owner.offset


@given(st.lists(st.integers(1, 9), min_size=2, max_size=9), st.data())
def test_a_missing_delta_stops_the_sink(sizes: list[int], data: st.DataObject) -> None:
    """Whichever delta but the last is lost, the sink stops at the hole."""
    owner = Owner()
    for size in sizes:
        owner.flush(size)
    lost = data.draw(st.integers(0, len(sizes) - 2))
    sink = Sink()
    with pytest.raises(DeltaGapError):
        sink.read(owner.outbox[:lost] + owner.outbox[lost + 1 :])
    assert sink.records == sum(sizes[:lost])


@pytest.mark.parametrize("first", [9, 11, 0])
def test_a_range_must_start_where_the_last_one_ended(first: int) -> None:
    """A number that continues does not excuse offsets that do not."""
    applied = advance(delta(1, 0, 10), None)
    with pytest.raises(DeltaGapError, match=r"receipt\.v1\[3\]"):
        judge(applied, delta(2, first, 20))


def test_topics_have_ranges_of_their_own() -> None:
    """A topic that appears later begins where its log does; the others stay."""
    applied = advance(delta(2, 7, 9, topic="other"), advance(delta(1, 0, 10), None))
    assert applied.offsets == {TOPIC: 10, "other": 9}
    assert judge(applied, delta(3, 10, 11)) is Decision.APPLY
