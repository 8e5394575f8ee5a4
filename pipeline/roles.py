"""What a worker process is: alone, one of several, or the sink of several. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from schemas.topics import (
    CAMPAIGN_ALLOCATION,
    CAMPAIGN_DEFINITION,
    COHORT_DELTA,
    CONNECTION_STATE,
    JOINED_TOPICS,
    Topic,
)

_FEW: Final = (CAMPAIGN_DEFINITION, CAMPAIGN_ALLOCATION, CONNECTION_STATE)


@dataclass(frozen=True, slots=True)
class Role:
    """Which consumer group reads which topics."""

    group: str
    topics: tuple[Topic, ...]
    """What the group reads."""
    watched: tuple[Topic, ...]
    """Whose ends it asks for."""
    is_shared: bool = False
    """Whether several processes share the group and the folder."""

    @property
    def partitions(self) -> set[tuple[str, int]]:
        """Every partition that the group reads."""
        return {(t.name, number) for t in self.topics for number in range(t.partitions)}


_ALL: Final = (*_FEW, *JOINED_TOPICS)
ALONE: Final = Role("smslab-worker", _ALL, _ALL)
"""Reads everything and owns the results."""
MEMBER: Final = Role(
    "smslab-members",
    JOINED_TOPICS,
    (CAMPAIGN_DEFINITION, *JOINED_TOPICS, COHORT_DELTA),
    is_shared=True,
)
"""Counts the people of its partitions and publishes deltas."""
SINK: Final = Role("smslab-sink", (*_FEW, COHORT_DELTA), (*_ALL, COHORT_DELTA))
"""Adds the deltas up and owns the results."""
ROLES: Final[Mapping[str, Role]] = MappingProxyType(
    {"alone": ALONE, "member": MEMBER, "sink": SINK}
)
