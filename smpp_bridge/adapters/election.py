"""Which member of a consumer group has the topics: one has all of them, the others nothing.

Kafka's assignors share partitions out, so a second bridge that joins would take half of them from
the one that sends, and one that a supervisor starts again and again would silence it for good.
Here whoever has them keeps them through every rebalance, for as long as it is a member.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import (
    ConsumerProtocolMemberAssignment,
    ConsumerProtocolMemberMetadata,
)

_VERSION: Final = 0
_NEVER: Final = -1
_GENERATION: Final = 4
"""Octets: an int32, as Kafka has it."""
_ALL: Final = b"all"


class Election(AbstractPartitionAssignor):  # type: ignore[misc] # aiokafka has no types
    """The assignor of one consumer: gives everything to who had it in the newest generation.

    The group counts its generations, so one that stood still while another had the topics has the
    older claim. Of equal claims the greatest member id wins.

    Args:
        generation: Of the group, as this member has joined it.
    """

    name: str = "smslab-one-has-all-1"
    """Another one with another form of `user_data`: Kafka keeps members without a common name
    apart, while user_data that cannot be read would end the group's leader."""

    def __init__(self, generation: Callable[[], int]) -> None:
        self._generation = generation
        self._claim = _NEVER
        self.is_won = False
        """Whether this one has everything, as the group's leader said last."""

    def metadata(self, topics: Iterable[str]) -> Any:
        """What this one tells when it joins: its topics, and since when it has them."""
        claim = self._claim.to_bytes(_GENERATION, "big", signed=True)
        return ConsumerProtocolMemberMetadata(_VERSION, sorted(topics), claim)

    def assign(self, cluster: Any, members: Mapping[str, Any]) -> dict[str, Any]:
        """Asked of the group's leader, whichever member that is."""
        holder = max(members, key=lambda member: (_claim_of(members[member]), member))
        everything = [
            (topic, sorted(cluster.partitions_for_topic(topic) or ()))
            for topic in sorted(members[holder].subscription)
        ]
        nothing = ConsumerProtocolMemberAssignment(_VERSION, [], b"")
        won = ConsumerProtocolMemberAssignment(_VERSION, everything, _ALL)
        return dict.fromkeys(members, nothing) | {holder: won}

    def on_assignment(self, assignment: Any) -> None:
        """Called before the listener. What is all, only the leader knows: topics may be new."""
        self.is_won = assignment.user_data == _ALL
        if self.is_won:
            self._claim = self._generation()


class Turn:
    """The connections of a process join their groups one before the others: these when it is won.

    A process that loses one ends. If it joined all together, it could have won others meanwhile:
    of two that start at once each would have some, lose the rest, and end.
    """

    def __init__(self, first: str) -> None:
        self._first = first
        self._is_won = False

    def is_for(self, connection: str) -> bool:
        """Whether it may join."""
        return self._is_won or connection == self._first

    def won(self) -> None:
        """A connection is ours; the first one, as no other may join before."""
        self._is_won = True


def _claim_of(metadata: Any) -> int:
    return int.from_bytes(metadata.user_data, "big", signed=True)
