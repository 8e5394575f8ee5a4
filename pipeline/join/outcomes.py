"""What people add to the aggregates, and how a change of it is booked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

import msgspec

from pipeline.join.cohorts import Cohorts, Crowd, Profile, profile_of, sum_crowds
from pipeline.join.deltas import WHOLE_SYSTEM, Deltas
from pipeline.join.facts import Facts, Receipt, event_id_of
from pipeline.join.latency import LatencyKey
from pipeline.join.matching import Unmatched
from pipeline.join.project import project
from pipeline.rows import UnmatchedReceipt
from schemas.events import CampaignDefined


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What one person adds to the aggregates, but for the covariates."""

    profiles: tuple[Profile, ...] = ()
    double_assigned: tuple[str, ...] = ()
    unmatched: tuple[Unmatched, ...] = ()
    latencies: tuple[LatencyKey, ...] = ()


NOTHING = Outcome()
Covariates = tuple[int, ...]
"""One per profile of an outcome."""


def outcome_of(
    facts: Facts, definitions: Mapping[str, CampaignDefined]
) -> tuple[Outcome, Covariates]:
    """Project a person's facts."""
    projection = project(facts, definitions)
    counted = [
        (profile_of(exposure, definitions[campaign_id]), exposure.assignment.covariate)
        for campaign_id, exposure in projection.exposures.items()
        if campaign_id in definitions
    ]
    outcome = Outcome(
        tuple(profile for profile, _ in counted),
        projection.double_assigned,
        projection.unmatched,
        projection.latencies,
    )
    return outcome, tuple(covariate for _, covariate in counted)


class Ledger:
    """Books people leaving one outcome for another; `close` gives the sums."""

    def __init__(self) -> None:
        self._crowds: defaultdict[Profile, Crowd] = defaultdict(Crowd)
        self._shared: defaultdict[Cohorts, list[tuple[Profile, Crowd]]] = defaultdict(list)
        self._health: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
        self._latencies: defaultdict[LatencyKey, int] = defaultdict(int)
        self._unmatched: dict[str, UnmatchedReceipt | None] = {}

    def book(self, outcome: Outcome, covariates: Covariates, sign: int) -> None:
        """One person comes to an outcome (`sign` 1) or leaves it (-1)."""
        for profile, v in zip(outcome.profiles, covariates, strict=True):
            self._crowds[profile].add(sign, sign * v, sign * v * v)
        for key in outcome.latencies:
            self._latencies[key] += sign
        self._book_rest(outcome, sign)

    def move(
        self,
        subject: str,
        facts: Facts,
        old: tuple[Outcome, Covariates],
        new: tuple[Outcome, Covariates],
    ) -> None:
        """One person leaves an outcome for another, which may be the same."""
        if old == new:
            return
        self.book(*old, -1)
        self.book(*new, 1)
        if old[0].unmatched != new[0].unmatched:
            self.list_unmatched(subject, facts, old=old[0].unmatched, new=new[0].unmatched)

    def book_crowd(self, outcome: Outcome, cohorts: Cohorts | None, crowd: Crowd) -> None:
        """A crowd of some cohorts comes to the outcome of a story or, negative, leaves it.

        Without latencies, which are everybody's own: see `book_latencies`.
        """
        if outcome.profiles:
            (profile,) = outcome.profiles  # a story has one assignment, whose covariate is summed
            assert cohorts is not None, "who adds to an exposure is assigned"
            self._shared[cohorts].append((profile, crowd))
        self._book_rest(outcome, crowd.people)

    def book_latencies(self, latencies: Mapping[LatencyKey, int]) -> None:
        """So many parts have come to each place."""
        for key, parts in latencies.items():
            self._latencies[key] += parts

    def list_unmatched(
        self,
        subject: str,
        facts: Facts,
        *,
        old: Iterable[Unmatched] = (),
        new: Iterable[Unmatched] = (),
    ) -> None:
        """Note which receipts have found their submit, and which have none."""
        for key, _, _ in old:
            self._unmatched[event_id_of(key)] = None
        for key, at_ms, reason in new:
            receipt = facts[key]
            assert isinstance(receipt, Receipt)
            self._unmatched[event_id_of(key)] = UnmatchedReceipt(
                connection=receipt.connection,
                smsc_message_id=receipt.smsc_message_id,
                subject=subject,
                state=receipt.state,
                received_at_ms=at_ms,
                reason=reason,
            )

    def close(self, deltas: Deltas, receipts: int) -> None:
        """Write the sums into `deltas`; `receipts` is how many receipts came."""
        if receipts:
            self._health[WHOLE_SYSTEM][1] += receipts
        deltas.cohorts = sum_crowds(self._crowds, self._shared)
        deltas.health = {key: counts for key, counts in self._health.items() if any(counts)}
        deltas.latencies = {key: n for key, n in self._latencies.items() if n}
        deltas.unmatched = self._unmatched

    def _book_rest(self, outcome: Outcome, people: int) -> None:
        for campaign_id in outcome.double_assigned:
            self._health[campaign_id][0] += people
        if outcome.unmatched:
            self._health[WHOLE_SYSTEM][2] += people * len(outcome.unmatched)
