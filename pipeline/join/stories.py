"""The short way of the join: people of whom the same is known take the same step together.

Nearly everybody has one assignment, one message of one part and one receipt for it, a click or a
reply. What such a person adds to the aggregates depends on few things (the *signs* of their
facts), not on ids, covariates or exact times; to which cohorts, on the assignment alone
(`cohorts.Cohorts`). So people with equal signs share one `Story`, and the first who takes a step
from it is projected from the facts (`outcomes.outcome_of`); all others look the step up and are
counted there, by cohorts. Whoever does not fit (a second message, a conversion, …) has no story
and is projected each time, as if there were no stories.

A story is right because signs hold all that `project` reads of such facts, whatever their order:
tests compare both ways on arbitrary events.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

import msgspec

from pipeline.join.cohorts import Cohorts, Crowd, KnownCohorts
from pipeline.join.facts import (
    AnyFact,
    Assignment,
    Click,
    Conversion,
    Facts,
    Inbound,
    Receipt,
    Submit,
    campaigns_of,
)
from pipeline.join.latency import LatencyKey, latency_of
from pipeline.join.matching import NO_SUBMIT, Unmatched, share_group
from pipeline.join.outcomes import NOTHING, Covariates, Outcome, outcome_of
from pipeline.join.project import REPLY_WINDOW_MS
from schemas.events import CampaignDefined

LIMIT = 100_000
"""Steps remembered, some 50 MB; beyond it they are learned anew. A campaign has some hundred."""
_SOMEBODYS: tuple[Unmatched, ...] = (("", 0, NO_SUBMIT),)
"""Stands for everybody's own receipt in the outcome of a story."""
_SOME_TIME: tuple[LatencyKey, ...] = (("", 0, 0),)
"""Stands for how long everybody's own receipt took: six buckets would be six times the stories."""
Sign = tuple[Hashable, ...]
"""What counts of one fact; begins with the letter of its kind."""


class Story:
    """Everybody of whom the same is known."""

    __slots__ = ("outcome", "signs", "steps")

    def __init__(self, signs: frozenset[Sign], outcome: Outcome) -> None:
        self.signs = signs
        self.outcome = outcome
        """What each adds to their own cohorts."""
        self.steps: dict[Sign, Step] = {}


class Step:
    """From one story to the next, and who took it since the last `take`."""

    __slots__ = ("adds_latency", "changes_unmatched", "crowds", "source", "target")

    def __init__(self, source: Story, target: Story) -> None:
        self.source = source
        self.target = target
        self.crowds: dict[Cohorts | None, Crowd] = {}
        """By the cohorts they are of; `None`: not assigned."""
        self.changes_unmatched = source.outcome.unmatched != target.outcome.unmatched
        """Whether a receipt has come that has no submit, or the submit of one."""
        self.adds_latency = source.outcome.latencies != target.outcome.latencies
        """Whether submit and final receipt are together now."""


class Person(msgspec.Struct, gc=False):
    """A person's facts and what is already in the aggregates because of them."""

    facts: Facts
    story: Story | None = None
    """None: does not fit, or is not known yet."""
    outcome: Outcome | None = None
    """Of people without a story. None besides: loaded and not looked at since."""
    covariates: Covariates = ()
    """To `outcome`."""
    cohorts: Cohorts | None = None
    """The assignment's; this and the next four are those of people with a story."""
    covariate: int = 0
    """The assignment's."""
    assignment: Assignment | None = None
    submit: Submit | None = None
    receipt: Receipt | None = None
    since: int = 0
    """The round with whose news the person begins."""

    def campaigns(self) -> tuple[str, ...]:
        """Those that assigned the person, sorted."""
        if self.story is None:
            return campaigns_of(self.facts)
        return () if self.assignment is None else (self.assignment.campaign_id,)

    def leave_story(self) -> None:
        """From now on the person is projected from the facts."""
        if self.story is not None:
            outcome = self.story.outcome
            if outcome.profiles:
                assert self.cohorts is not None, "who adds to an exposure is assigned"
                own = tuple(replace(each, keys=self.cohorts.keys) for each in outcome.profiles)
                outcome = msgspec.structs.replace(outcome, profiles=own)
            if outcome.unmatched:
                outcome = msgspec.structs.replace(outcome, unmatched=(self.orphan(),))
            if outcome.latencies:
                submit, receipt = self.finished()
                latencies = (latency_of(submit, receipt.at_ms),)
                outcome = msgspec.structs.replace(outcome, latencies=latencies)
            self.outcome = outcome
            self.covariates = (self.covariate,) * len(outcome.profiles)
            self.story = None

    def orphan(self) -> Unmatched:
        """The receipt of somebody whose story has none but that, and no submit."""
        receipt = self.receipt
        assert receipt is not None
        key = next(key for key, fact in self.facts.items() if fact is receipt)
        return key, receipt.at_ms, NO_SUBMIT

    def finished(self) -> tuple[Submit, Receipt]:
        """The submit and its final receipt of somebody whose story has them."""
        submit, receipt = self.submit, self.receipt
        assert submit is not None
        assert receipt is not None
        return submit, receipt


class Stories:
    """All stories under the definitions in force."""

    def __init__(self, definitions: Mapping[str, CampaignDefined]) -> None:
        self._definitions = definitions
        self.beginning = Story(frozenset(), NOTHING)
        """Of people of whom nothing is known."""
        self._stories: dict[frozenset[Sign], Story] = {}
        self._known: list[Story] = []
        self._size = 0
        self.cohorts = KnownCohorts(definitions)

    def forget(self) -> None:
        """Learn everything anew; needed when a definition changes."""
        for story in self._known:
            story.steps = {}
        self._stories, self._known, self._size = {}, [], 0
        self.cohorts.forget()

    def step(self, source: Story, sign: Sign, facts: Facts) -> Step:
        """The step that leads from `source` to the story of `facts`."""
        step = source.steps.get(sign)
        if step is not None:
            return step
        if self._size >= LIMIT:
            self.forget()
        if not source.steps:
            self._known.append(source)
        is_known = sign in source.signs
        target = source if is_known else self._story(source.signs | {sign}, facts)
        step = source.steps[sign] = Step(source, target)
        self._size += 1
        return step

    def find(self, person: Person) -> Story | None:
        """Put a person into the story of the facts, if there is one."""
        person.assignment = person.submit = person.receipt = person.cohorts = None
        person.covariate = 0
        signs: set[Sign] = set()
        for fact in sorted(person.facts.values(), key=_turn):
            sign = SIGNS[type(fact)](person, fact, self.cohorts)
            if sign is None:
                return None
            signs.add(sign)
        person.story = self._story(frozenset(signs), person.facts)
        person.outcome, person.covariates = None, ()
        return person.story

    def _story(self, signs: frozenset[Sign], facts: Facts) -> Story:
        story = self._stories.get(signs)
        if story is None:
            story = self._stories[signs] = Story(signs, self._project(facts))
        return story

    def _project(self, facts: Facts) -> Outcome:
        outcome, _ = outcome_of(facts, self._definitions)
        if outcome.profiles:
            anybodys = tuple(replace(each, keys=()) for each in outcome.profiles)
            outcome = msgspec.structs.replace(outcome, profiles=anybodys)
        if outcome.unmatched:
            outcome = msgspec.structs.replace(outcome, unmatched=_SOMEBODYS)
        if outcome.latencies:
            outcome = msgspec.structs.replace(outcome, latencies=_SOME_TIME)
        return outcome


def came_and_left(
    steps: Iterable[Step],
) -> Iterable[tuple[Story, Cohorts | None, Crowd]]:
    """Who is in another story than before the steps, which are empty then.

    Yields: A story, cohorts, and how many people of those came to it; negative: left it.
    """
    moved: defaultdict[tuple[Story, Cohorts | None], Crowd] = defaultdict(Crowd)
    for step in steps:
        source, target = step.source, step.target
        for cohorts, crowd in step.crowds.items():
            people, sum_v, sum_vv = crowd.people, crowd.sum_v, crowd.sum_vv
            moved[source, cohorts].add(-people, -sum_v, -sum_vv)
            moved[target, cohorts].add(people, sum_v, sum_vv)
        step.crowds = {}
    return (
        (story, cohorts, crowd)
        for (story, cohorts), crowd in moved.items()
        if crowd.people or crowd.sum_v or crowd.sum_vv
    )


def _assigned(person: Person, fact: Assignment, known: KnownCohorts) -> Sign | None:
    if person.assignment is not None:
        return None
    person.assignment = fact
    person.covariate = fact.covariate
    person.cohorts = known.of(fact)
    return ("a", fact.campaign_id, fact.variant_id, fact.is_blocked)


def _submitted(person: Person, fact: Submit, _: KnownCohorts) -> Sign | None:
    if person.submit is not None:
        return None
    sign: Sign = ("s", fact.outcome, fact.segments, fact.campaign_id, fact.connection)
    receipt = person.receipt
    if receipt is not None:
        if not _belongs(receipt, fact):
            return None
        sign = (*sign, *_receipt_sign(receipt))
    person.submit = fact
    return sign


def _receipt(person: Person, fact: Receipt, _: KnownCohorts) -> Sign | None:
    """The only one: of the submit at hand, or the first word about the message."""
    submit = person.submit
    if person.receipt is not None or not fact.smsc_message_id.strip():
        return None
    if submit is None:
        person.receipt = fact
        return ("o",)
    if not _belongs(fact, submit):
        return None
    person.receipt = fact
    return _receipt_sign(fact)


def _belongs(receipt: Receipt, submit: Submit) -> bool:
    """Spelled the same; whether other spellings belong is for `matching` to say."""
    return receipt.smsc_message_id == submit.smsc_message_id and (
        receipt.connection == submit.connection or share_group(receipt, submit)
    )


def _receipt_sign(receipt: Receipt) -> Sign:
    return ("r", receipt.state, receipt.is_final)


def _inbound(person: Person, fact: Inbound, _: KnownCohorts) -> Sign | None:
    if person.assignment is None or fact.reply_id:
        return None
    is_in_window = 0 <= fact.at_ms - person.assignment.at_ms < REPLY_WINDOW_MS
    return ("i", fact.is_opt_out, is_in_window)


def _clicked(_: Person, fact: Click, __: KnownCohorts) -> Sign:
    return ("c", fact.campaign_id, fact.is_human)


def _converted(_: Person, __: Conversion, ___: KnownCohorts) -> None:
    return None


SIGNS: Mapping[type[AnyFact], Callable[..., Sign | None]] = MappingProxyType(
    {
        Assignment: _assigned,
        Submit: _submitted,
        Receipt: _receipt,
        Inbound: _inbound,
        Click: _clicked,
        Conversion: _converted,
    }
)
"""Type of fact → its sign beside the facts at hand, which it joins; None: they fit no story."""
_TURNS = {kind: turn for turn, kind in enumerate(SIGNS)}


def _turn(fact: AnyFact) -> int:
    """A fact's sign may need facts of the kinds before it."""
    return _TURNS[type(fact)]
