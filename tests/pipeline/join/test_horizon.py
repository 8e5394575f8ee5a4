"""Putting people aside saves memory and changes no number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from unittest.mock import patch

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.join import directory, places
from pipeline.join.deltas import Deltas, Retired
from pipeline.join.engine import JoinEngine
from pipeline.join.facts import News, fact_of
from pipeline.join.horizon import (
    HORIZON_MS,
    Rounds,
    Schedule,
    kept_until_ms,
    most_are_due_ms,
)
from pipeline.join.places import Found
from schemas.events import (
    CampaignDefined,
    Costs,
    MessageSubmitted,
    ReceiptReceived,
    RecipientAssigned,
    SubjectEvent,
)
from tests.support.join_events import DAY_MS, Sums, definition, definitions, worlds
from tests.support.join_oracle import Expected

FAR_MS = 10 * 365 * DAY_MS
MANY = settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=200
)  # the machine may be slow; the worlds are small


class Keeper:
    """An engine with its history, as the worker and its database keep it."""

    def __init__(
        self, horizon_ms: int = HORIZON_MS, at_hand: int = 10**9, log_slack: int = 10**9
    ) -> None:
        self._make = partial(JoinEngine, horizon_ms, at_hand, log_slack)
        self.engine = self._make()
        self.history: dict[str, Retired] = {}
        self.shelf: dict[int, tuple[str, Retired]] = {}
        self.given = 0
        """Places, those emptied included."""
        self.log: list[tuple[int, list[News], list[SubjectEvent]]] = []
        self.applied: list[SubjectEvent] = []
        """Since the last round."""
        self.definitions: list[CampaignDefined] = []
        """Those that are stored."""
        self.defining: list[CampaignDefined] = []
        self.sums = Sums()

    def define(self, definition: CampaignDefined) -> None:
        """Fetch whom it concerns, then put it in force."""
        if self.engine.changes(definition):
            self._load(
                s
                for s, r in self.history.items()
                if definition.campaign_id in r.campaigns and not self.engine.find_shelved([s])
            )
            before = self.engine.define(definition)
            on_shelf = [(s, place, each.facts) for place, (s, each) in self.shelf.items()]
            if self.engine.shelved_of(definition.campaign_id):
                self.engine.revise(before, on_shelf)
            self.defining.append(definition)

    def sweep(self) -> None:
        """Far into the future, as the agent `join` does."""
        for found in self.engine.sweep(FAR_MS):
            assert [self.shelf[place][0] for place in found.values()] == list(found)
            facts = [self.shelf[place][1].facts for place in found.values()]
            self.engine.sweep_shelved(FAR_MS, found, facts)

    def restart(self) -> None:
        """What was not taken was not stored, and comes again; the caller gives it."""
        self.engine, self.defining = self._make(), []
        for each in self.definitions:
            self.engine.define(each)
        self.applied = []
        for place, (subject, shelved) in sorted(self.shelf.items()):
            self.engine.remember_shelved([subject], [place], Counter(shelved.campaigns))
        self.engine.give_places_from(self.given)
        for round_, news, events in self.log:
            self.engine.replay(news, round_, events)
        self.engine.remember_retired(list(self.history))

    def apply(self, events: Sequence[SubjectEvent]) -> None:
        """Apply; what is postponed after fetching whom it concerns."""
        postponed = self.engine.apply(events)
        self._load(self.history.keys() & postponed.retired)
        self._recall(postponed.shelved)
        self.engine.apply_postponed(postponed)
        self.applied += events

    def take(self) -> Deltas:
        """Keep what is handed over."""
        deltas = self.engine.take()
        gone = {subject for subject, _, fact in deltas.news if fact is None}
        assert gone == deltas.retired.keys()
        self.history |= deltas.retired
        shelved = deltas.shelved
        self.given += len(shelved.subjects)
        kept = map(Retired, shelved.facts, shelved.campaigns)
        self.shelf |= zip(shelved.places, zip(shelved.subjects, kept, strict=True), strict=True)
        for place in deltas.emptied:
            del self.shelf[place]
        self.log = [row for row in self.log if row[0] >= deltas.news_from]
        self.log.append((deltas.round, deltas.news, self.applied))
        self.applied = []
        self.definitions, self.defining = [*self.definitions, *self.defining], []
        self.sums.add(deltas)
        self._check_that_all_are_looked_at()
        return deltas

    def _check_that_all_are_looked_at(self) -> None:
        """Whoever is at hand or on the shelf will be looked at some day, or they never leave."""
        absent = self.engine._absent
        buckets = absent.schedule._buckets.values()
        assert self.engine._hand.people.keys() <= {each for bucket in buckets for each in bucket}
        waiting = absent._rounds._waiting
        assert self.shelf.keys() <= {n for _, first, stop in waiting for n in range(first, stop)}
        expected = {subject: place for place, (subject, _) in self.shelf.items()}
        assert absent.places.within(range(self.given)) == expected
        assert absent.places.find([*expected, "nobody"]) == expected

    def _recall(self, found: Found) -> None:
        for subject, place in found.items():
            assert self.shelf[place][0] == subject
            self.engine.fetch(subject, self.shelf[place][1].facts)

    def _load(self, subjects: Iterable[str]) -> None:
        for subject in subjects:
            if subject not in self.engine:
                self.engine.fetch(subject, self.history[subject].facts)


@MANY
@given(
    worlds(),
    definitions(),
    st.sampled_from([0, 2_000, HORIZON_MS]),
    st.sampled_from([0, 1, 2, 10**9]),
    st.sampled_from([0, 10**9]),
    st.sampled_from([0, 1, directory.BITS]),
    st.data(),
)
def test_sweeping_shelving_and_restarting_at_any_moment_changes_nothing(
    events: list[SubjectEvent],
    defined: list[CampaignDefined],
    horizon_ms: int,
    at_hand: int,
    log_slack: int,
    bits: int,
    data: st.DataObject,
) -> None:
    """Whoever is put aside, whenever: late events and definitions find everybody again.

    In segments of the shelf that end, too, and whether a few or many are looked for.
    """
    with (
        patch.object(places, "Directory", partial(directory.Directory, bits)),
        patch.object(directory, "_MANY", 1 if bits else 9),
    ):
        check_that_nothing_changes(events, defined, Keeper(horizon_ms, at_hand, log_slack), data)


def check_that_nothing_changes(
    events: list[SubjectEvent],
    defined: list[CampaignDefined],
    keeper: Keeper,
    data: st.DataObject,
) -> None:
    """Against an engine that has room for all, and is never swept."""
    rest = data.draw(st.permutations(events))
    for each in data.draw(st.permutations([*defined, *[None] * 4])):
        size = data.draw(st.integers(0, len(rest)))
        keeper.apply(rest[:size])
        rest = rest[size:]
        if each is not None:
            keeper.define(each)
        if data.draw(st.booleans()):
            keeper.sweep()
        if data.draw(st.booleans()):
            keeper.take()
            assert len(keeper.engine) <= keeper.engine._at_hand
            if data.draw(st.booleans()):
                keeper.restart()
    keeper.apply(rest)
    keeper.take()
    plain = Keeper()
    for each in defined:
        plain.define(each)
    plain.apply(events)
    plain.take()
    assert keeper.sums.aggregates() == plain.sums.aggregates()
    assert keeper.sums.unmatched.keys() == Expected(events, defined).unmatched.keys()


def assigned(subject: str, at_ms: int) -> RecipientAssigned:
    """An assignment to campaign c1."""
    return RecipientAssigned(
        event_id=f"a-{subject}",
        occurred_at_ms=at_ms,
        subject=subject,
        campaign_id="c1",
        variant_id="a",
    )


def receipt(subject: str, at_ms: int) -> ReceiptReceived:
    """A receipt of message 77."""
    return ReceiptReceived(
        event_id=f"r-{subject}",
        occurred_at_ms=at_ms,
        subject=subject,
        connection="op",
        smsc_message_id="77",
        raw_state="DELIVRD",
        state="DELIVERED",
        is_final=True,
    )


def submitted(subject: str, at_ms: int) -> MessageSubmitted:
    """Message m1 was accepted as 77."""
    return MessageSubmitted(
        event_id=f"s-{subject}",
        occurred_at_ms=at_ms,
        subject=subject,
        message_id="m1",
        connection="op",
        source_addr="Shop",
        outcome="accepted",
        smsc_message_id="77",
        campaign_id="c1",
        variant_id="a",
    )


def test_a_person_is_kept_for_the_horizon_and_the_window() -> None:
    """Seven days after the last assignment or submit, plus the window, whatever came since."""
    window_ms = definition("c1").goal.window_ms
    events = [assigned("s", 1_000), submitted("s", 5_000), receipt("s", DAY_MS)]
    facts = dict(fact_of(event) for event in events)
    until_ms = kept_until_ms(facts, {"c1": definition("c1")}, HORIZON_MS)
    assert until_ms == 5_000 + 7 * DAY_MS + window_ms
    alone = dict([fact_of(receipt("s", DAY_MS))])
    assert kept_until_ms(alone, {}, HORIZON_MS) == 8 * DAY_MS


def test_only_who_is_due_goes_and_the_memory_is_free() -> None:
    """After the horizon the person is handed over once and is no longer at hand."""
    keeper = Keeper()
    keeper.define(definition("c1"))
    keeper.apply([assigned("old", 0), assigned("new", 9 * DAY_MS)])
    keeper.sweep()
    assert keeper.take().retired.keys() == {"old"}
    assert ("old" in keeper.engine, "new" in keeper.engine, len(keeper.engine)) == (False, True, 1)
    keeper.sweep()
    assert not keeper.take().retired


def test_after_a_restart_the_sweep_leaves_on_the_shelf_who_is_not_due() -> None:
    """Everybody on the shelf is looked at once; only whose horizon has passed leaves it."""
    keeper = Keeper(at_hand=2)
    keeper.define(definition("c1"))
    keeper.apply([assigned("old", 0), *(assigned(f"s{n}", 9 * DAY_MS) for n in range(20))])
    keeper.take()
    keeper.restart()
    assert (len(keeper.engine), keeper.engine.shelved) == (2, 19)
    keeper.sweep()
    assert keeper.engine.shelved == 18
    assert len(keeper.engine) <= 3
    deltas = keeper.take()
    assert deltas.retired.keys() == {"old"}
    assert [each for each in deltas.news if each[2] is not None] == []
    keeper.apply([assigned("late", 30 * DAY_MS)])
    keeper.sweep()
    assert len(keeper.take().retired) == 20, "who was left is looked at again when it is time"


def test_time_claimed_by_the_clock_alone_puts_nobody_aside() -> None:
    """The sweep goes as far as event time has come: a backlog of old events keeps its people."""
    keeper = Keeper()
    keeper.apply([assigned("s", 0), assigned("t", DAY_MS)])
    keeper.sweep()
    assert not keeper.take().retired


def test_a_receipt_weeks_late_corrects_its_old_cohort() -> None:
    """It is looked up in what was put aside before it could count as unmatched."""
    keeper = Keeper()
    keeper.define(definition("c1"))
    keeper.apply([assigned("s", 0), submitted("s", 10), assigned("other", 30 * DAY_MS)])
    keeper.sweep()
    assert "s" in keeper.take().retired
    keeper.apply([receipt("s", 30 * DAY_MS)])
    keeper.take()
    assert keeper.sums.cohorts["c1", "a", 0, 1_000, "", "", "delivered"] == 1
    assert not keeper.sums.unmatched


@pytest.mark.parametrize("at_hand", [0, 1])
def test_an_assignment_that_moves_to_another_campaign_leaves_no_trace(at_hand: int) -> None:
    """The same event_id with another campaign, then put aside: the first one may be defined."""
    keeper = Keeper(at_hand=at_hand)
    moved = msgspec.structs.replace(assigned("s", 5), campaign_id="c2")
    keeper.apply([assigned("s", 10), moved])
    keeper.take()
    keeper.define(definition("c1"))
    keeper.define(definition("c2"))
    keeper.take()
    assert keeper.sums.cohorts["c2", "a", 0, 1_000, "", "", "assigned"] == 1
    assert ("c1", "a", 0, 1_000, "", "", "assigned") not in keeper.sums.cohorts


def test_the_log_is_as_long_as_the_people_at_hand_need() -> None:
    """News of people who went to the shelf are dropped, whatever came about them since."""
    keeper = Keeper(at_hand=3)
    for number in range(50):
        keeper.apply([assigned(f"s{number}", number), submitted(f"s{number // 2}", number)])
        keeper.take()
    assert len(keeper.engine) == 3
    assert keeper.engine.shelved == 47
    assert len(keeper.log) <= 6
    keeper.restart()
    assert len(keeper.engine) == 3


def test_at_least_a_hundredth_goes_on_the_shelf_at_once() -> None:
    """Never more at hand than may be, no board of a few people, and the same totals.

    Flushes bring from one to seven new people, and somebody back who went long ago.
    """
    keeper, plain = Keeper(at_hand=1_000), Keeper()
    each = [keeper, plain]
    for one in each:
        one.define(definition("c1"))
    boards, number = [], 0
    while number < 2_000:
        coming = range(number, number := number + 1 + number % 7)
        back = number * 7 % number
        some = [
            *(assigned(f"s{new}", new) for new in coming),
            *(submitted(f"s{new}", new) for new in coming if new % 3),
            receipt(f"s{back}", number),
        ]
        for one in each:
            one.apply(some)
        boards.append(len(keeper.take().shelved.subjects))
        assert len(keeper.engine) <= 1_000
    plain.take()
    shelved = [people for people in boards if people]
    assert 10 <= min(shelved) <= max(shelved) < 20
    assert len(shelved) < len(boards) / 3
    assert keeper.engine.shelved == len(keeper.shelf) == number - len(keeper.engine)
    assert keeper.sums.aggregates() == plain.sums.aggregates()


@pytest.mark.parametrize(
    ("limit", "people", "goes"),
    [
        (1_000, 1_000, 0),
        (1_000, 1_001, 11),
        (1_000, 5_000, 4_010),
        (99, 100, 1),
        (0, 3, 3),
        (1, 2, 1),
    ],
)
def test_so_many_go_on_the_shelf(limit: int, people: int, goes: int) -> None:
    """Nobody up to the limit; above it the excess and a hundredth of the limit."""
    engine = JoinEngine(at_hand=limit)
    engine.apply([assigned(f"s{number}", number) for number in range(people)])
    shelved = engine.take().shelved
    assert list(shelved.subjects) == [f"s{number}" for number in range(goes)]
    assert (len(engine), engine.shelved) == (people - goes, goes)


@pytest.mark.parametrize("times", [1, 20])
def test_the_log_does_not_grow_with_time_because_of_one_who_stays(times: int) -> None:
    """Somebody gets a message every day for years, others come and go: the log stays short.

    Also when every event comes many times.
    """
    keeper = Keeper(log_slack=100)
    for day in range(400):
        if day == 200:
            keeper.restart()
        again = msgspec.structs.replace(
            submitted("regular", day * DAY_MS), event_id=f"s{day}", message_id=f"m{day}"
        )
        others = [f"p{day}-{number}" for number in range(20)]
        keeper.apply([again, *(assigned(name, day * DAY_MS) for name in others)])
        keeper.apply([submitted(name, day * DAY_MS) for name in others] * times)
        keeper.sweep()
        keeper.take()
        logged = sum(len(news) + len(events) for _, news, events in keeper.log)
        assert logged <= 3 * keeper.engine.facts + 100 + 200 * times
    assert keeper.engine.facts > 400
    assert keeper.engine.facts == sum(len(p.facts) for p in keeper.engine._hand.people.values())


def test_an_orphan_is_matched_when_its_submit_turns_up_weeks_later() -> None:
    """It stays listed while it is put aside, and leaves the list with its submit."""
    keeper = Keeper()
    keeper.apply([receipt("s", 0), assigned("other", 30 * DAY_MS)])
    keeper.sweep()
    assert "s" in keeper.take().retired
    assert keeper.sums.unmatched["r-s"].reason == "no_submit"
    keeper.apply([submitted("s", 30 * DAY_MS)])
    keeper.take()
    assert not keeper.sums.unmatched


HOUR_MS = 3_600_000
Entries = list[tuple[str, int]]
MOMENTS = st.integers(0, 20 * HOUR_MS)


@given(st.lists(st.tuples(st.text(max_size=3), MOMENTS), max_size=30), st.data())
def test_the_schedule_forgets_nobody(entries: Entries, data: st.DataObject) -> None:
    """In portions of any size everybody comes out once, nobody an hour or more too early.

    Whoever comes when others have come out too.
    """
    schedule = Schedule()
    now_ms = data.draw(MOMENTS)
    out: list[str] = []
    for subject, at_ms in entries:
        schedule.add(subject, at_ms)
        out += schedule.due(now_ms, data.draw(st.integers(0, 2)))
    while found := schedule.due(now_ms, data.draw(st.integers(1, 5))):
        out += found
    assert sorted(out) == sorted(s for s, at_ms in entries if at_ms // HOUR_MS * HOUR_MS <= now_ms)
    rest = schedule.due(now_ms + 21 * HOUR_MS, len(entries))
    assert sorted(out + rest) == sorted(s for s, _ in entries)


@given(
    st.lists(st.tuples(st.text(max_size=3), MOMENTS), max_size=30),
    st.sets(st.text(max_size=3)),
    MOMENTS,
    st.integers(0, 30),
)
def test_the_schedule_forgets_only_who_is_gone(
    entries: Entries, here: set[str], now_ms: int, told: int
) -> None:
    """Who came first and is gone is forgotten, told or not; all others are as before."""
    schedule, other = Schedule(), Schedule()
    for subject, at_ms in entries:
        schedule.add(subject, at_ms)
        other.add(subject, at_ms)
    schedule.forget_all_but(here, [s for s, _ in entries if s not in here][:told])
    for until_ms in (now_ms, 21 * HOUR_MS):
        found, before = schedule.due(until_ms, 99), other.due(until_ms, 99)
        assert [s for s in found if s in here] == [s for s in before if s in here]
        assert not found or found[0] in here


def test_who_goes_in_the_order_of_coming_is_not_looked_for() -> None:
    """Thirty thousand names a flush, each in a place that no cache has."""
    asked: list[object] = []

    class People(set[str]):
        def __contains__(self, name: object) -> bool:
            asked.append(name)
            return super().__contains__(name)

    schedule, names = Schedule(), [f"s{number}" for number in range(9)]
    for number, name in enumerate(names):
        schedule.add(name, number // 3 * HOUR_MS)
    schedule.forget_all_but(People(names[7:]), names[:7])
    assert (asked, schedule.due(9 * HOUR_MS, 9)) == ([names[7]], names[7:])


def test_the_schedule_keeps_who_is_here_once_when_it_has_grown() -> None:
    """Behind one who stays the others would wait for ever; buckets of nobody go at once."""
    schedule = Schedule()
    for bucket in range(3):
        for each in ["stays", *(f"s{n}" for n in range(500)), "stays", "late"]:
            schedule.add(each, bucket * HOUR_MS)
    schedule.add("gone", 9 * HOUR_MS)
    schedule.forget_all_but(["stays", "late"])
    assert (len(schedule), list(schedule._buckets)) == (2, [0])
    schedule.add("new", 0)
    assert schedule.due(0, 9) == ["stays", "late", "new"]
    schedule.add("new", 0)
    assert schedule.due(0, 9) == ["new"]


def test_people_on_the_shelf_leave_no_name_behind() -> None:
    """The schedule would keep the names of ten million in memory."""
    keeper = Keeper(at_hand=100)
    for number in range(50):
        at_ms = number * HOUR_MS
        keeper.apply([assigned(f"s{number}-{each}", at_ms + each) for each in range(100)])
        keeper.take()
    schedule = keeper.engine._absent.schedule
    assert len(schedule) == len(keeper.engine) == 99


@given(
    st.lists(st.tuples(st.integers(0, 40), MOMENTS), max_size=9),
    st.integers(1, 7),
    MOMENTS,
    st.data(),
)
def test_rounds_come_when_it_is_time(
    entries: list[tuple[int, int]], portion: int, now_ms: int, data: st.DataObject
) -> None:
    """Every place once, in portions, those of an earlier moment first; who is not due waits."""
    rounds = Rounds()
    rounds.PORTION = portion  # type: ignore[misc]
    first, moments = 0, dict[int, int]()
    for people, at_ms in entries:
        rounds.add(range(first, first + people), at_ms)
        moments |= dict.fromkeys(range(first, first + people), at_ms)
        first += people
    out: list[int] = []
    while found := list(rounds.due(now_ms, data.draw(st.integers(1, 20)))):
        assert all(len(places) <= portion for places in found)
        out += [place for places in found for place in places]
    assert sorted(out) == [place for place, at_ms in moments.items() if at_ms <= now_ms]
    assert sorted(out, key=moments.__getitem__) == out


def test_one_wrong_clock_does_not_decide_when_others_are_looked_at() -> None:
    """Of three the middle one counts, and an hour."""
    assert most_are_due_ms([5, FAR_MS, 7]) == 7 + HOUR_MS


def test_who_is_not_due_at_hand_is_not_looked_at_all_the_time() -> None:
    """Early in the hour in which the horizon passes, and when that hour has passed for all."""
    keeper = Keeper()
    keeper.apply([assigned("s", HOUR_MS // 2)])
    looked_at = Counter[str]()
    due = keeper.engine._absent.schedule.due

    def count(now_ms: int, limit: int) -> list[str]:
        found = due(now_ms, limit)
        looked_at.update(found)
        return found

    keeper.engine._absent.schedule.due = count  # type: ignore[method-assign]
    for minute in range(0, 3 * 60, 10):
        keeper.apply([receipt("clock", HORIZON_MS + minute * 60_000)])
        list(keeper.engine.sweep(FAR_MS))
        keeper.take()
    assert looked_at == {"s": 2}
    assert keeper.history.keys() == {"s"}


def test_who_is_not_due_on_the_shelf_is_not_looked_at_all_the_time() -> None:
    """Once when most are due, then when most of the others are."""
    keeper = Keeper(at_hand=0)
    looked_at = []

    def sweep_at(now_ms: int) -> None:
        keeper.apply([receipt("clock", now_ms)])
        for found in keeper.engine.sweep(now_ms):
            looked_at.extend(each for each in found if each != "clock")
            facts = [keeper.shelf[place][1].facts for place in found.values()]
            keeper.engine.sweep_shelved(now_ms, found, facts)
        keeper.take()

    keeper.apply([assigned("early", 0), assigned("s", HOUR_MS), assigned("late", 3 * HOUR_MS)])
    keeper.take()
    for minute in range(0, 9 * 60, 10):
        sweep_at(HORIZON_MS + minute * 60_000)
    assert looked_at == ["early", "s", "late", "late"]
    assert keeper.history.keys() == {"early", "s", "late"}


def test_a_new_definition_corrects_people_on_the_shelf_where_they_are() -> None:
    """Their costs change, and nobody comes back into memory for it."""
    keeper, plain = Keeper(at_hand=0), Keeper()
    later = msgspec.structs.replace(
        definition("c1", costs=Costs(currency="EUR", price_per_segment_micro=9)), plan_version=2
    )
    for each in (keeper, plain):
        each.apply([assigned("s", 10), submitted("s", 20), assigned("t", 30)])
        each.take()
        for version in (definition("c1"), later):
            each.define(version)
            each.take()
    assert keeper.sums.aggregates() == plain.sums.aggregates()
    assert keeper.sums.cohorts["c1", "a", 0, 1_000, "", "", "cost_micro"] == 9
    assert (len(keeper.engine), keeper.engine.shelved) == (0, 2)
