"""Events in any order → exact changes of the aggregates."""

from __future__ import annotations

import sys
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from pipeline.join.absent import Absent, Postponed
from pipeline.join.at_hand import AtHand
from pipeline.join.deltas import Deltas
from pipeline.join.facts import (
    AnyFact,
    Assignment,
    News,
    Receipt,
    Submit,
    campaigns_of,
    converter_of,
    decode_facts,
    fact_of,
    merge,
)
from pipeline.join.horizon import HORIZON_MS
from pipeline.join.latency import count_latencies
from pipeline.join.log_length import SLACK, LogLength
from pipeline.join.money import Definitions
from pipeline.join.outcomes import outcome_of
from pipeline.join.pending import Pending
from pipeline.join.places import Found
from pipeline.join.stories import SIGNS, Person, Stories, Story
from pipeline.join.tally import Tally
from schemas.events import CampaignDefined, SubjectEvent
from schemas.topics import JOINED_TOPICS

_TOPIC_NAMES = {topic.event: topic.name for topic in JOINED_TOPICS}


class JoinEngine:
    """Keeps every person's facts and says how the aggregates change.

    The sum of all `Deltas` depends on the set of events and on the definitions only, not on
    order, repetition or the moments of `take`. After a restart first `define` what was in force
    when the last deltas were stored, say who is on the shelf (`remember_shelved`), then `replay`
    every round: a definition that comes later counts as new and changes the aggregates.

    People whose horizon has passed are put aside by `sweep` and handed over in
    `Deltas.retired`. Of more than `at_hand` people, who came first goes on the shelf and is
    handed over in `Deltas.shelved`. Events about either are `Postponed` by `apply`: whoever keeps
    these people must `fetch` them again and then `apply_postponed`. Before a definition of a
    campaign that assigned them (`changes`) those put aside must be fetched, while those on the
    shelf can be revised where they are (`revise`), and when `sweep` asks for them are judged
    there (`sweep_shelved`).

    Not thread-safe. Reads no clock.

    Args:
        horizon_ms: How long a person is kept after the last assignment or submit, besides the
            attribution window.
        at_hand: How many people are kept in memory with all their facts.
        log_slack: A log of so many facts is short enough, whatever it holds.
    """

    def __init__(
        self,
        horizon_ms: int = HORIZON_MS,
        at_hand: int = sys.maxsize,
        log_slack: int = SLACK,
    ) -> None:
        self._at_hand = at_hand
        self._round = 1
        self._definitions: dict[str, CampaignDefined] = {}
        self._hand = AtHand()
        self._absent = Absent(self._hand, self._definitions, horizon_ms)
        self._log = LogLength(log_slack)
        self._postponed = 0
        self._stories = Stories(self._definitions)
        self._tally = Tally()
        self._forget_pending()

    def _forget_pending(self) -> None:
        self._pending = Pending(self._hand.people, self._definitions)
        self._news: list[News] = []
        self._tally.forget()
        self._applied = self._duplicates = 0

    def define(self, definition: CampaignDefined) -> Definitions:
        """Put a definition in force and project its recipients anew at the next `take`.

        Of two versions the higher plan_version stays, then the later; so a topic may be read
        again from its beginning.

        Returns: What was in force before, for `revise`.
        """
        before = dict(self._definitions)
        if not self.changes(definition):
            return before
        campaign_id = definition.campaign_id
        for subject, person in self._hand.assigned_to(campaign_id):
            self._pending.mark_stale(subject, person)
        self._definitions[campaign_id] = definition
        self._stories.forget()
        return before

    def revise(self, before: Definitions, people: Iterable[tuple[str, int, bytes]]) -> None:
        """Project people on the shelf anew: (subject, place, facts); who is not there is not.

        Raises:
            msgspec.MsgspecError: If the facts are not from `Deltas.shelved`.
        """
        for subject, place, data in people:
            if self._absent.places.has(subject, place):
                facts = decode_facts(data)
                old, new = outcome_of(facts, before), outcome_of(facts, self._definitions)
                self._pending.ledger.move(subject, facts, old, new)

    def shelved_of(self, campaign_id: str) -> int:
        """How many people on the shelf a campaign has assigned."""
        return self._absent.places.assigned(campaign_id)

    @property
    def shelved(self) -> int:
        """How many people are on the shelf."""
        return len(self._absent.places)

    def changes(self, definition: CampaignDefined) -> bool:
        """Whether `define` would put it in force."""
        known = self._definitions.get(definition.campaign_id)
        return known is None or _version(definition) > _version(known)

    def apply(self, events: Iterable[SubjectEvent]) -> Postponed:
        """Take in events of the joined topics, in any order; known ones change nothing.

        Returns: Events that were not taken in. `fetch` the people whom they are about, as far as
            there are such, then `apply_postponed`, before anything but another `apply` happens.

        Raises:
            ValueError: If an event is of a type that the join does not read.
        """
        postponed = Postponed()
        for kind, run in groupby(events, type):
            strangers = self._apply(kind, run)
            if strangers:
                self._begin(kind, self._absent.postpone(strangers, postponed))
        self._postponed += len(postponed.events)
        return postponed

    def apply_postponed(self, postponed: Postponed) -> None:
        """Take in what `apply` returned; who was not fetched was never put aside.

        Raises:
            ValueError: If somebody is still on the shelf.
        """
        for subject in self._absent.places.find(list(postponed.shelved)):
            raise ValueError(f"subject == {subject}, must be fetched before.")
        for kind, run in groupby(postponed.events, type):
            self._begin(kind, self._apply(kind, run))
        self._postponed -= len(postponed.events)

    def _apply(
        self, kind: type[SubjectEvent], events: Iterable[SubjectEvent]
    ) -> list[SubjectEvent]:
        """Events of one type. This loop is where the worker's time goes: docs/performance.md.

        Returns: Those about people who are not at hand, which were not taken in.
        """
        fact_of, sign_of, topic = converter_of(kind), None, _TOPIC_NAMES[kind]
        pending, known, people = self._pending, self._stories.cohorts, self._hand.people
        new: list[AnyFact] = []
        strangers: list[SubjectEvent] = []
        finished: list[tuple[Submit, Receipt]] = []
        for event in events:
            subject = event.subject
            person = people.get(subject)
            if person is None:
                strangers.append(event)
                continue
            key, fact = fact_of(event)
            facts = person.facts
            if key in facts:
                self._repeat(subject, person, key, fact, topic)
                continue
            story = person.story or self._story_of(person)
            sign = None
            if story is not None:
                sign_of = sign_of or SIGNS[type(fact)]
                sign = sign_of(person, fact, known)
            if sign is None:
                pending.mark_stale(subject, person)
            facts[key] = fact
            new.append(fact)
            if story is not None and sign is not None:
                step = story.steps.get(sign) or self._stories.step(story, sign, facts)
                crowd = step.crowds.get(person.cohorts) or pending.begin_crowd(step, person.cohorts)
                v = person.covariate
                crowd.people += 1
                crowd.sum_v += v
                crowd.sum_vv += v * v
                person.story = step.target
                if step.changes_unmatched:
                    pending.change_unmatched(subject, person)
                if step.adds_latency:
                    finished.append(person.finished())
        self._applied += len(new)
        self._hand.add(new)
        self._tally.add(new, topic)
        pending.ledger.book_latencies(count_latencies(finished))
        return strangers

    def _begin(self, kind: type[SubjectEvent], events: Sequence[SubjectEvent]) -> None:
        """Events of one type about people who are neither at hand nor absent."""
        absent, people = self._absent, self._hand.people
        for event in events:
            subject = event.subject
            if subject not in people:
                people[subject] = Person({}, self._stories.beginning, since=self._round)
                absent.schedule.add(subject, event.occurred_at_ms + absent.horizon_ms)
        self._apply(kind, events)

    def _repeat(self, subject: str, person: Person, key: str, fact: AnyFact, topic: str) -> None:
        """An event_id again: the smaller fact stays."""
        self._duplicates += 1
        self._tally.see(fact.at_ms)
        known = person.facts[key]
        fact = merge(known, fact)
        if fact is not known:
            self._pending.mark_stale(subject, person)
            person.facts[key] = fact
            if type(fact) is Assignment:
                self._hand.campaigns.add(fact.campaign_id)
            self._tally.add([known], topic, -1)
            self._tally.add([fact], topic)

    def load(self, subject: str, facts: bytes) -> None:
        """Restore a person; what the facts add is in the aggregates already.

        Several states of one person may be loaded in any order: the union counts.

        Raises:
            ValueError: If an event of this person was applied before.
            msgspec.MsgspecError: If `facts` is not from `Deltas.retired`.
        """
        _check_unseen(subject, self._hand.people.get(subject))
        kept = decode_facts(facts)
        self._restore(((subject, key, fact) for key, fact in kept.items()), self._round, ())
        self._absent.places.leave(subject, campaigns_of(kept))

    def fetch(self, subject: str, facts: bytes) -> None:
        """Take back who was put aside or on the shelf: `load`, and remember after a restart."""
        self.load(subject, facts)
        known = self._hand.people[subject].facts
        self._news += [(subject, key, fact) for key, fact in known.items()]

    def replay(
        self, news: Sequence[News], round_: int = 0, events: Sequence[SubjectEvent] = ()
    ) -> None:
        """After a restart, give back every round in order: its events, then its `Deltas.news`.

        Args:
            news: Of the round, or nothing yet.
            round_: As it was taken.
            events: Applied in it, known ones too, in any order and in pieces of any size.

        Raises:
            ValueError: If an event of one of the people was applied before.
        """
        self._round = max(self._round, round_ + 1)
        self._log.add(round_, len(events) + len(news))
        places = self._absent.places
        subjects = {event.subject for event in events} | {subject for subject, _, _ in news}
        elsewhere = places.find(list(subjects)) if places else ()
        read = ((event.subject, *fact_of(event)) for event in events)
        self._restore(read, round_, elsewhere)
        self._restore(news, round_, elsewhere)

    def _restore(self, news: Iterable[News], since: int, elsewhere: Container[str]) -> None:
        """Give people their facts, but for those who are elsewhere."""
        hand, absent = self._hand, self._absent
        people = hand.people
        for subject, key, fact in news:
            if fact is None:
                if subject in people:
                    hand.facts -= len(people.pop(subject).facts)
                continue
            self._tally.see(fact.at_ms)
            if subject in elsewhere:
                continue
            person = people.get(subject)
            if person is None:
                person = people[subject] = Person({}, since=since)
                absent.schedule.add(subject, 0)
            _check_unseen(subject, person)
            known = person.facts.get(key)
            hand.facts += known is None
            kept = person.facts[key] = fact if known is None else merge(known, fact)
            if type(kept) is Assignment:
                hand.campaigns.add(kept.campaign_id)

    def logged_anew(self) -> None:
        """Say that the log holds nothing any more but `everything`, as of the last round."""
        self._log.start_anew(self._round - 1, self._hand.facts)

    def everything(self) -> Iterator[News]:
        """The shortest news that `replay` to the present state."""
        return self._hand.everything()

    @property
    def facts(self) -> int:
        """How many facts `everything` gives."""
        return self._hand.facts

    def __len__(self) -> int:
        """How many people are at hand."""
        return len(self._hand.people)

    def __contains__(self, subject: str) -> bool:
        return subject in self._hand.people

    @property
    def round(self) -> int:
        """The number of the next `take`."""
        return self._round

    def remember_retired(self, subjects: Sequence[str]) -> None:
        """Say, after a restart, who was put aside."""
        self._absent.remember_retired(subjects)

    def remember_shelved(
        self, subjects: Sequence[str], places: Sequence[int], assigned: Mapping[str, int]
    ) -> None:
        """Say, after a restart and before `replay`, who is on the shelf, in order of places.

        The log still has their events, and no news tells who went on the shelf.

        Args:
            subjects: Some of them; call it for all.
            places: Of these.
            assigned: campaign_id → how many of these it has assigned.
        """
        self._absent.remember_shelved(subjects, places, assigned)

    def give_places_from(self, following: int) -> None:
        """Say, after a restart, what comes after all places ever given, those emptied included."""
        self._absent.places.following = following

    def find_shelved(self, subjects: Sequence[str]) -> Found:
        """Those of `subjects` who are on the shelf, hence what was put aside of them is old."""
        return self._absent.places.find(subjects)

    def sweep(self, now_ms: int) -> Iterator[Found]:
        """Put people aside whose horizon has passed; the next `take` hands them over.

        Returns: Whose horizon may have passed on the shelf, in portions; for `sweep_shelved`,
            before anything else happens.

        Args:
            now_ms: Not later than the oldest event that still waits to be applied, or people
                are put aside only to be fetched back.
        """
        return self._absent.sweep(min(now_ms, self._tally.watermark_ms))

    def sweep_shelved(self, now_ms: int, found: Found, facts: Iterable[bytes]) -> None:
        """Put aside who is due of a portion on the shelf; the others stay there.

        Args:
            now_ms: As given to `sweep`.
            found: As it came from `sweep`.
            facts: Of each.

        Raises:
            msgspec.MsgspecError: If the facts are not from `Deltas.shelved`.
        """
        now_ms = min(now_ms, self._tally.watermark_ms)
        for subject, data in self._absent.sweep_shelved(now_ms, found, facts):
            self.load(subject, data)

    def take(self) -> Deltas:
        """The changes since the last call; they are counted as stored from now on.

        Raises:
            ValueError: If events are postponed: stored as read, they would be lost.
        """
        if self._postponed:
            raise ValueError(f"postponed == {self._postponed}, must be applied before.")
        ledger = self._pending.book(self._stories)
        retired = self._absent.retire()
        shelved = self._absent.shelve(self._at_hand)
        self._news += [(subject, "", None) for subject in retired]
        self._news += self._log.renew(self._hand, self._round, self._logged)
        self._log.add(self._round, self._logged)
        deltas = Deltas(
            self._applied,
            self._duplicates,
            self._tally.watermark_ms,
            deliverability=self._tally.deliverability,
            activity=self._tally.activity,
            round=self._round,
            news=self._news,
            news_from=self._hand.since(self._round),
            retired=retired,
            shelved=shelved,
            emptied=self._absent.places.take_emptied(),
        )
        ledger.close(deltas, self._tally.receipts)
        self._round += 1
        self._forget_pending()
        return deltas

    @property
    def _logged(self) -> int:
        """How many facts the log gets of this round; repeated events are logged too."""
        return self._applied + self._duplicates + len(self._news)

    def _story_of(self, person: Person) -> Story | None:
        """Of somebody without a story: only who was just loaded may have one."""
        return self._stories.find(person) if person.outcome is None else None


def _check_unseen(subject: str, person: Person | None) -> None:
    if person is not None and (person.story is not None or person.outcome is not None):
        raise ValueError(f"subject == {subject}, must be loaded before its first event.")


def _version(definition: CampaignDefined) -> tuple[int, int, str]:
    return definition.plan_version, definition.occurred_at_ms, definition.event_id
