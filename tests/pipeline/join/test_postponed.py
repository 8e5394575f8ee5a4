"""Events about people who are absent wait until these are fetched, and count once."""

from __future__ import annotations

import msgspec
import pytest

from pipeline.join.engine import JoinEngine
from schemas.events import SubjectEvent
from tests.pipeline.join.test_horizon import Keeper, assigned, receipt, submitted
from tests.support.join_events import DAY_MS, definition

LATE_MS = 30 * DAY_MS
AGAIN = msgspec.structs.replace(receipt("s", LATE_MS), occurred_at_ms=LATE_MS + 5)
LATE: list[SubjectEvent] = [receipt("s", LATE_MS), submitted("s", 20), AGAIN]
"""About s, of three runs of one type; the receipt comes twice."""


def keeper_without(subject: str, *, is_aside: bool) -> Keeper:
    """Somebody and others were assigned, then the former was put aside or shelved."""
    keeper = Keeper(at_hand=10**9 if is_aside else 1)
    keeper.define(definition("c1"))
    keeper.apply([assigned(subject, 0), assigned("other", LATE_MS)])
    if is_aside:
        keeper.sweep()
    deltas = keeper.take()
    assert [*deltas.retired, *deltas.shelved.subjects] == [subject]
    return keeper


@pytest.mark.parametrize("is_aside", [False, True])
def test_events_about_the_absent_alone_wait_and_count_once(*, is_aside: bool) -> None:
    """In their order, also several of one person in one call; nobody fresh takes their place."""
    keeper = keeper_without("s", is_aside=is_aside)
    engine = keeper.engine
    postponed = engine.apply([LATE[0], submitted("other", 30), assigned("new", 40), *LATE[1:]])
    assert postponed.events == LATE
    assert (postponed.retired, postponed.shelved) == (
        ({"s"}, {}) if is_aside else (set(), {"s": 0})
    )
    assert ("s" in engine, "new" in engine) == (False, True)
    engine.fetch("s", keeper.history["s"].facts if is_aside else keeper.shelf[0][1].facts)
    engine.apply_postponed(postponed)
    deltas = keeper.take()
    assert (deltas.applied, deltas.duplicates) == (4, 1)
    assert keeper.sums.cohorts["c1", "a", 0, 1_000, "", "", "assigned"] == 2
    assert keeper.sums.cohorts["c1", "a", 0, 1_000, "", "", "delivered"] == 1
    assert not keeper.sums.unmatched


def test_who_is_taken_for_absent_by_mistake_counts_as_new() -> None:
    """The history has nothing of them: the second time the event is not postponed."""
    keeper = Keeper()
    keeper.define(definition("c1"))
    keeper.engine.remember_retired(["s"])
    postponed = keeper.engine.apply([assigned("s", 0), *LATE])
    assert (postponed.retired, len(postponed.events)) == ({"s"}, 4)
    keeper.engine.apply_postponed(postponed)
    assert not keeper.engine.apply(LATE), "who is at hand is not looked for"
    deltas = keeper.take()
    assert (deltas.applied, deltas.duplicates) == (3, 4)
    assert keeper.sums.cohorts["c1", "a", 0, 1_000, "", "", "delivered"] == 1


def test_of_somebody_on_the_shelf_what_was_put_aside_is_not_asked_for() -> None:
    """Put aside, back, then on the shelf: what is on the shelf is newer."""
    keeper = keeper_without("s", is_aside=False)
    keeper.engine.remember_retired(["s"])
    postponed = keeper.engine.apply(LATE)
    assert (postponed.retired, postponed.shelved) == (set(), {"s": 0})


def test_events_about_somebody_still_on_the_shelf_are_refused() -> None:
    """They would begin a second person."""
    keeper = keeper_without("s", is_aside=False)
    postponed = keeper.engine.apply(LATE)
    with pytest.raises(ValueError, match="subject == s, must be fetched"):
        keeper.engine.apply_postponed(postponed)


def test_nothing_is_taken_while_events_are_postponed() -> None:
    """They would be stored as read, and lost."""
    keeper = keeper_without("s", is_aside=False)
    keeper.engine.apply(LATE)
    with pytest.raises(ValueError, match="postponed == 3, must be applied"):
        keeper.engine.take()


def test_nobody_is_postponed_while_nobody_is_absent() -> None:
    """Strangers are met at once."""
    assert not JoinEngine().apply([assigned("s", 0), *LATE])
