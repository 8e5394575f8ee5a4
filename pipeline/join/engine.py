"""Events in any order → exact changes of the aggregates."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from pipeline.join.cohorts import VECTOR, CohortKey, Contribution, contributions_of
from pipeline.join.facts import (
    AnyFact,
    Assignment,
    Facts,
    Receipt,
    decode_facts,
    encode_facts,
    event_id_of,
    fact_of,
    merge,
)
from pipeline.join.horizon import HORIZON_MS, Schedule, Sketch, kept_until_ms
from pipeline.join.latency import LatencyKey
from pipeline.join.matching import Unmatched
from pipeline.join.project import project
from pipeline.rows import UnmatchedReceipt
from schemas.events import CampaignDefined, SubjectEvent
from schemas.topics import topic_of

HOUR_MS = 3_600_000
ACTIVITY_MS = 10_000
WHOLE_SYSTEM = ""
"""Key of `Deltas.health` for what belongs to no campaign."""
SHARED_LIMIT = 100_000
"""Most people have one of few outcomes, kept once. Beyond this many the sharing starts anew."""

SWEPT_AT_ONCE = 50_000
"""People looked at per sweep, about 0.2 s of work; who is left is looked at in the next."""

DeliverabilityKey = tuple[str, int, str, str]
ActivityKey = tuple[int, str]


class Retired(msgspec.Struct, frozen=True, gc=False):
    """A person put aside: give `facts` to `JoinEngine.load` before the next word about them."""

    facts: bytes
    campaigns: tuple[str, ...]
    """Campaigns that assigned the person, sorted."""


@dataclass(slots=True)
class Deltas:
    """What changed since the last `JoinEngine.take`; add it to what was there."""

    cohorts: dict[CohortKey, list[int]]
    """Changes in the order of `cohorts.VECTOR`."""
    deliverability: dict[DeliverabilityKey, int]
    """(connection, hour_start_ms, state, err) → final receipts."""
    health: dict[str, list[int]]
    """campaign_id, or "" for the whole system → double_assigned, receipts, unmatched_receipts."""
    activity: dict[ActivityKey, int]
    """(start of ten seconds of event time, topic) → events."""
    unmatched: dict[str, UnmatchedReceipt | None]
    """event_id → the receipt that has no submit, or None: it has one now."""
    states: dict[str, bytes]
    """subject → facts, of the people about whom something new is known."""
    applied: int
    """Events that were new."""
    duplicates: int
    """Events whose event_id was known."""
    watermark_ms: int
    """Newest occurred_at_ms ever seen, 0 before the first."""
    retired: dict[str, Retired] = field(default_factory=dict)
    """subject → what must be kept of people whose horizon has passed."""
    latencies: dict[LatencyKey, int] = field(default_factory=dict)
    """(connection, hour of the submit, upper end) → message parts."""


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What one person adds to the aggregates."""

    contributions: tuple[Contribution, ...] = ()
    double_assigned: tuple[str, ...] = ()
    unmatched: tuple[Unmatched, ...] = ()
    latencies: tuple[LatencyKey, ...] = ()


NOTHING = Outcome()


class Person(msgspec.Struct, gc=False):
    """A person's facts and what is already in the aggregates because of them."""

    facts: Facts
    outcome: Outcome | None
    """None: loaded and not looked at since; to be projected from the facts."""


class JoinEngine:
    """Keeps every person's facts and says how the aggregates change.

    The sum of all `Deltas` depends on the set of events and on the definitions only, not on
    order, repetition or the moments of `take`. After a restart first `define` what was in force
    when the last deltas were stored, then `load` every state: a definition that comes later
    counts as new and changes the aggregates.

    People whose horizon has passed are put aside by `sweep` and handed over in
    `Deltas.retired`. Before an event about one of them (`forgotten`), or a definition of a
    campaign that assigned them (`changes`), whoever keeps them must `load` them again.

    Not thread-safe. Reads no clock.

    Args:
        horizon_ms: How long a person is kept after the last assignment or submit, besides the
            attribution window.
    """

    def __init__(self, horizon_ms: int = HORIZON_MS) -> None:
        self._horizon_ms = horizon_ms
        self._people: dict[str, Person] = {}
        self._schedule = Schedule()
        self._retiring: list[str] = []
        self._retired = Sketch()
        self._definitions: dict[str, CampaignDefined] = {}
        self._assigned: dict[str, set[str]] = {}
        self._shared: dict[Outcome, Outcome] = {}
        self._stale: set[str] = set()
        self._changed: set[str] = set()
        self._deliverability: dict[DeliverabilityKey, int] = {}
        self._activity: dict[ActivityKey, int] = {}
        self._receipts = 0
        self._applied = 0
        self._duplicates = 0
        self._watermark_ms = 0

    def define(self, definition: CampaignDefined) -> None:
        """Put a definition in force and project its recipients anew at the next `take`.

        Of two versions the higher plan_version stays, then the later; so a topic may be read
        again from its beginning.
        """
        if not self.changes(definition):
            return
        campaign_id = definition.campaign_id
        for subject in self._assigned.get(campaign_id, ()):
            self._mark_stale(subject, self._people[subject])
        self._definitions[campaign_id] = definition

    def changes(self, definition: CampaignDefined) -> bool:
        """Whether `define` would put it in force."""
        known = self._definitions.get(definition.campaign_id)
        return known is None or _version(definition) > _version(known)

    def apply(self, events: Iterable[SubjectEvent]) -> None:
        """Take in events of the joined topics, in any order; known ones change nothing.

        Raises:
            ValueError: If an event is of a type that the join does not read.
        """
        for event in events:
            key, fact = fact_of(event)
            self._watermark_ms = max(self._watermark_ms, fact.at_ms)
            person = self._people.get(event.subject)
            if person is None:
                person = self._people[event.subject] = Person({}, NOTHING)
                self._schedule.add(event.subject, fact.at_ms + self._horizon_ms)
            known = person.facts.get(key)
            if known is None:
                self._applied += 1
            else:
                self._duplicates += 1
                fact = merge(known, fact)
                if fact is known:
                    continue
                self._tally(known, topic_of(event).name, -1)
            self._mark_stale(event.subject, person)
            self._keep(event.subject, person, key, fact)
            self._changed.add(event.subject)
            self._tally(fact, topic_of(event).name, 1)

    def load(self, subject: str, facts: bytes) -> None:
        """Restore a person from the state log; what the facts add is in the aggregates already.

        Several states of one person may be loaded in any order: the union counts.

        Raises:
            ValueError: If an event of this person was applied before.
            msgspec.MsgspecError: If `facts` is not from `Deltas.states`.
        """
        person = self._people.get(subject)
        if person is None:
            person = self._people[subject] = Person({}, None)
            self._schedule.add(subject, 0)
        if person.outcome is not None:
            raise ValueError(f"subject == {subject}, must be loaded before its first event.")
        for key, fact in decode_facts(facts).items():
            self._watermark_ms = max(self._watermark_ms, fact.at_ms)
            known = person.facts.get(key)
            self._keep(subject, person, key, fact if known is None else merge(known, fact))

    def _keep(self, subject: str, person: Person, key: str, fact: AnyFact) -> None:
        person.facts[key] = fact
        if type(fact) is Assignment:
            self._assigned.setdefault(fact.campaign_id, set()).add(subject)

    def __len__(self) -> int:
        """How many people are at hand."""
        return len(self._people)

    def __contains__(self, subject: str) -> bool:
        return subject in self._people

    def forgotten(self, events: Iterable[SubjectEvent]) -> set[str]:
        """Subjects of `events` that may have been put aside; to be loaded before `apply`."""
        if not self._retired:
            return set()
        strangers = {event.subject for event in events if event.subject not in self._people}
        return {subject for subject in strangers if subject in self._retired}

    def remember_retired(self, subjects: Iterable[str]) -> None:
        """Say, after a restart, who was put aside."""
        self._retired.update(subjects)

    def sweep(self, now_ms: int) -> None:
        """Put people aside whose horizon has passed; the next `take` hands them over.

        Args:
            now_ms: Not later than the oldest event that still waits to be applied, or people
                are put aside only to be fetched back.
        """
        now_ms = min(now_ms, self._watermark_ms)
        for subject in self._schedule.due(now_ms, SWEPT_AT_ONCE):
            person = self._people.get(subject)
            if person is None:
                continue
            until = kept_until_ms(person.facts, self._definitions, self._horizon_ms)
            if until > now_ms:
                self._schedule.add(subject, until)
            else:
                self._retiring.append(subject)

    def take(self) -> Deltas:
        """The changes since the last call; they are counted as stored from now on."""
        pending: dict[Contribution, int] = {}
        health: dict[str, list[int]] = {}
        unmatched: dict[str, UnmatchedReceipt | None] = {}
        latencies: dict[LatencyKey, int] = {}
        for subject in self._stale:
            person = self._people[subject]
            old, new = person.outcome or NOTHING, self._outcome_of(person.facts)
            person.outcome = new
            if old is not new:
                _count_changes(pending, old, new)
                _count_health(health, old, new)
                if old.latencies != new.latencies:
                    _count_latencies(latencies, old, new)
                _list_unmatched(unmatched, subject, person.facts, old, new)
        if self._receipts:
            health.setdefault(WHOLE_SYSTEM, [0, 0, 0])[1] += self._receipts
        retired = self._retire()
        deltas = Deltas(
            cohorts=_sum_vectors(pending),
            deliverability={key: n for key, n in self._deliverability.items() if n},
            health={key: counts for key, counts in health.items() if any(counts)},
            activity={key: n for key, n in self._activity.items() if n},
            unmatched=unmatched,
            states={name: encode_facts(self._people[name].facts) for name in self._changed},
            applied=self._applied,
            duplicates=self._duplicates,
            watermark_ms=self._watermark_ms,
            retired=retired,
            latencies={key: n for key, n in latencies.items() if n},
        )
        self._forget_pending()
        return deltas

    def _retire(self) -> dict[str, Retired]:
        retired = {}
        for subject in self._retiring:
            person = self._people.pop(subject, None)
            if person is None:
                continue
            assigned = {f.campaign_id for f in person.facts.values() if type(f) is Assignment}
            for campaign_id in assigned:
                self._assigned[campaign_id].discard(subject)
            retired[subject] = Retired(encode_facts(person.facts), tuple(sorted(assigned)))
        self._retired.update(retired)
        self._changed.difference_update(retired)
        self._retiring = []
        return retired

    def _forget_pending(self) -> None:
        self._stale = set()
        self._changed = set()
        self._deliverability = {}
        self._activity = {}
        self._receipts = self._applied = self._duplicates = 0

    def _mark_stale(self, subject: str, person: Person) -> None:
        """Call before facts or definitions change: the old outcome needs the old ones."""
        if person.outcome is None:
            person.outcome = self._outcome_of(person.facts)
        self._stale.add(subject)

    def _outcome_of(self, facts: Facts) -> Outcome:
        projection = project(facts, self._definitions)
        contributions: list[Contribution] = []
        for campaign_id, exposure in projection.exposures.items():
            definition = self._definitions.get(campaign_id)
            if definition is not None:
                contributions.extend(contributions_of(exposure, definition))
        outcome = Outcome(
            tuple(contributions),
            projection.double_assigned,
            projection.unmatched,
            projection.latencies,
        )
        if len(self._shared) >= SHARED_LIMIT:
            self._shared.clear()
        return self._shared.setdefault(outcome, outcome)

    def _tally(self, fact: AnyFact, topic: str, sign: int) -> None:
        """Count what needs no person: activity, receipts, deliverability."""
        moment = (fact.at_ms // ACTIVITY_MS * ACTIVITY_MS, topic)
        self._activity[moment] = self._activity.get(moment, 0) + sign
        if type(fact) is Receipt:
            self._receipts += sign
            if fact.is_final:
                hour = fact.at_ms // HOUR_MS * HOUR_MS
                key = (fact.connection, hour, fact.state, fact.err)
                self._deliverability[key] = self._deliverability.get(key, 0) + sign


def _version(definition: CampaignDefined) -> tuple[int, int, str]:
    return definition.plan_version, definition.occurred_at_ms, definition.event_id


def _count_changes(pending: dict[Contribution, int], old: Outcome, new: Outcome) -> None:
    for contribution in old.contributions:
        pending[contribution] = pending.get(contribution, 0) - 1
    for contribution in new.contributions:
        pending[contribution] = pending.get(contribution, 0) + 1


def _sum_vectors(pending: dict[Contribution, int]) -> dict[CohortKey, list[int]]:
    """Each distinct contribution once, times how often it came or went."""
    sums: dict[CohortKey, list[int]] = {}
    for (key, vector), times in pending.items():
        if times:
            total = sums.setdefault(key, [0] * len(VECTOR))
            for place, value in enumerate(vector):
                if value:
                    total[place] += times * value
    return {key: total for key, total in sums.items() if any(total)}


def _count_health(health: dict[str, list[int]], old: Outcome, new: Outcome) -> None:
    for outcome, sign in ((old, -1), (new, 1)):
        for campaign_id in outcome.double_assigned:
            health.setdefault(campaign_id, [0, 0, 0])[0] += sign
        if outcome.unmatched:
            health.setdefault(WHOLE_SYSTEM, [0, 0, 0])[2] += sign * len(outcome.unmatched)


def _count_latencies(latencies: dict[LatencyKey, int], old: Outcome, new: Outcome) -> None:
    for outcome, sign in ((old, -1), (new, 1)):
        for key in outcome.latencies:
            latencies[key] = latencies.get(key, 0) + sign


def _list_unmatched(
    rows: dict[str, UnmatchedReceipt | None],
    subject: str,
    facts: Facts,
    old: Outcome,
    new: Outcome,
) -> None:
    if old.unmatched == new.unmatched:
        return
    for key, _, _ in old.unmatched:
        rows[event_id_of(key)] = None
    for key, at_ms, reason in new.unmatched:
        receipt = facts[key]
        assert isinstance(receipt, Receipt)
        rows[event_id_of(key)] = UnmatchedReceipt(
            connection=receipt.connection,
            smsc_message_id=receipt.smsc_message_id,
            subject=subject,
            state=receipt.state,
            received_at_ms=at_ms,
            reason=reason,
        )
