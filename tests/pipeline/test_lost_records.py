"""Which campaigns a gap concerns."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.evaluate import campaign_rows
from pipeline.lost_records import CLOCKS_MS, COUNTED, LATE_MS, lost_to
from pipeline.rows import Campaign, Cohort, Counters, Gap
from schemas.topics import JOINED_TOPICS
from tests.support.results import WINDOW_MS, definition

BEGIN_MS = 10**12
END_MS = BEGIN_MS + 10_000 + WINDOW_MS
TOPIC = "sms.message.receipt.v1"


def gap(
    seen_at_ms: int,
    written_after_ms: int | None = None,
    topic: str = TOPIC,
    written_before_ms: int | None = None,
) -> Gap:
    """Five records that are missing."""
    return Gap(
        topic=topic,
        partition=0,
        first_offset=10,
        next_offset=15,
        missing=5,
        seen_at_ms=seen_at_ms,
        written_after_ms=written_after_ms,
        written_before_ms=written_before_ms,
    )


def cohort(variant_id: str, assigned: int, start_ms: int = BEGIN_MS) -> Cohort:
    """Recipients of ten seconds."""
    return Cohort(
        campaign_id="spring",
        variant_id=variant_id,
        cohort_start_ms=start_ms,
        cohort_width_ms=10_000,
        counters=Counters(assigned=assigned),
    )


def lost(*gaps: Gap, audience_size: int | None = 20) -> int:
    """What a campaign of 20 may have lost."""
    campaign, _ = campaign_rows(definition(audience_size=audience_size))
    return lost_to(campaign, [cohort("A", 10), cohort("B", 10)], gaps).get(TOPIC, 0)


def test_every_joined_topic_is_looked_at() -> None:
    """A kind of record that the join reads cannot be lost unseen."""
    assert set(COUNTED) == {topic.name for topic in JOINED_TOPICS}
    assert {name for names in COUNTED.values() for name in names} <= set(Counters.__struct_fields__)


@pytest.mark.parametrize(
    ("found", "missing"),
    [
        (lost(gap(BEGIN_MS - 1)), 0),
        (lost(gap(BEGIN_MS)), 5),
        (lost(gap(10 * BEGIN_MS)), 5),
        (lost(gap(10 * BEGIN_MS, END_MS + LATE_MS - 1)), 5),
        (lost(gap(10 * BEGIN_MS, END_MS + LATE_MS)), 0),
        (lost(gap(10 * BEGIN_MS, END_MS + LATE_MS), audience_size=21), 5),
        (lost(gap(10 * BEGIN_MS, END_MS + LATE_MS), audience_size=None), 5),
        (lost(gap(BEGIN_MS), gap(BEGIN_MS), gap(BEGIN_MS - 1)), 10),
        (lost(gap(BEGIN_MS, topic="sms.campaign.verdict.v1")), 0),
    ],
)
def test_only_campaigns_that_were_alive_are_concerned(found: int, missing: int) -> None:
    """Before it began and a week after it ended nothing about a campaign was written."""
    assert found == missing


def test_before_the_first_recipient_the_definition_is_the_begin() -> None:
    """When everybody who was assigned is among the lost, too."""
    campaign, _ = campaign_rows(definition())
    campaign = msgspec.structs.replace(campaign, defined_at_ms=BEGIN_MS)
    assert lost_to(campaign, [], [gap(BEGIN_MS - 1)]) == {}
    assert lost_to(campaign, [], [gap(BEGIN_MS, 10 * BEGIN_MS)]) == {TOPIC: 5}


def campaign_of(version: int = 1, defined_at_ms: int = BEGIN_MS - 5) -> Campaign:
    """Of 20, whose first recipients came five milliseconds after its definition."""
    campaign, _ = campaign_rows(definition(audience_size=20))
    return msgspec.structs.replace(campaign, plan_version=version, defined_at_ms=defined_at_ms)


def older(written_before_ms: int | None) -> Gap:
    """Records that were gone when a worker began anew, long after the campaign."""
    return gap(10 * BEGIN_MS, written_before_ms=written_before_ms)


@pytest.mark.parametrize("everybody", [True, False])
@pytest.mark.parametrize(
    ("found", "missing"),
    [
        ((campaign_of(), older(BEGIN_MS - 6 - CLOCKS_MS)), 0),
        ((campaign_of(), older(0)), 0),
        ((campaign_of(), older(BEGIN_MS - 5 - CLOCKS_MS)), 5),
        ((campaign_of(), older(10 * BEGIN_MS)), 5),
        ((campaign_of(), older(None)), 5),
        ((campaign_of(version=2), older(0)), 5),
        ((campaign_of(defined_at_ms=2 * BEGIN_MS), older(0)), 5),
    ],
)
def test_what_was_written_before_a_campaign_was_defined_is_not_its(
    found: tuple[Campaign, Gap], missing: int, *, everybody: bool
) -> None:
    """A new folder on an old Kafka withholds no verdict of those whose records are all there.

    Who has begun when is known of a first definition only that no recipient came before, and by
    clocks that may be a day apart.
    """
    campaign, met = found
    cohorts = [cohort("A", 10), cohort("B", 10 if everybody else 1)]
    assert lost_to(campaign, cohorts, [met]).get(TOPIC, 0) == missing


def test_recipients_that_are_left_do_not_say_when_a_campaign_began() -> None:
    """The first of them may be what is missing."""
    left = [cohort("A", 10, BEGIN_MS + 20 * CLOCKS_MS)]
    assert lost_to(campaign_of(), left, [older(BEGIN_MS + CLOCKS_MS)]) == {TOPIC: 5}


MOMENTS = st.integers(BEGIN_MS - 10 * LATE_MS, BEGIN_MS + 10 * LATE_MS)


@given(written=MOMENTS, before=st.integers(0, 3 * LATE_MS), after=st.integers(0, 3 * LATE_MS))
def test_no_record_of_a_campaign_is_taken_for_another_s(
    written: int, before: int, after: int
) -> None:
    """Whenever a lost record may have been the campaign's, its light says so."""
    found = lost(gap(written + after, written - before))
    if BEGIN_MS <= written < END_MS + LATE_MS:
        assert found == 5


@given(
    written=MOMENTS,
    after=st.integers(0, 3 * LATE_MS),
    wrong=st.integers(-CLOCKS_MS, CLOCKS_MS),
    first=MOMENTS,
    version=st.integers(1, 2),
)
def test_a_first_record_left_with_a_wrong_clock_hides_no_loss(
    written: int, after: int, wrong: int, first: int, version: int
) -> None:
    """Whatever recipients are left, and in whichever version, as long as it is less than a day."""
    campaign = campaign_of(version, BEGIN_MS if version == 1 else first)
    met = gap(20 * BEGIN_MS, written_before_ms=written + after + wrong)
    found = lost_to(campaign, [cohort("A", 10, max(first, BEGIN_MS))], [met])
    if written >= BEGIN_MS:
        assert found == {TOPIC: 5}
