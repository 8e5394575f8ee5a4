"""Outcomes of stories, shared by the engines of a process: what one has projected, all know."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Final

from pipeline.join.outcomes import Outcome
from schemas.events import CampaignDefined

LIMIT: Final = 100_000
"""Outcomes remembered per set of definitions; beyond it they are learned anew."""
GENERATIONS: Final = 2
"""Engines put a new definition in force one after the other."""
Signs = frozenset[tuple[Hashable, ...]]
_InForce = frozenset[tuple[str, int, int, str]]


class KnownOutcomes:
    """Definitions in force → signs of a story → outcome.

    Signs hold all that is read of the facts, so two engines with the same definitions project
    the same. An engine for each partition would else learn every story for itself.
    """

    def __init__(self) -> None:
        self._known: dict[_InForce, dict[Signs, Outcome]] = {}

    def under(self, definitions: Mapping[str, CampaignDefined]) -> dict[Signs, Outcome]:
        """What is known under these definitions; the caller fills it with `learn`."""
        in_force = frozenset(
            (each.campaign_id, each.plan_version, each.occurred_at_ms, each.event_id)
            for each in definitions.values()
        )
        known = self._known[in_force] = self._known.pop(in_force, {})
        while len(self._known) > GENERATIONS:
            del self._known[next(iter(self._known))]
        return known


def learn(known: dict[Signs, Outcome], signs: Signs, project: Callable[[], Outcome]) -> Outcome:
    """The outcome of signs, projected when nobody has."""
    outcome = known.get(signs)
    if outcome is None:
        if len(known) >= LIMIT:
            known.clear()
        outcome = known[signs] = project()
    return outcome
