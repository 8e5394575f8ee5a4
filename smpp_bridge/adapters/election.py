"""Which member of a consumer group has the topics: one has all of them, the others nothing.

Kafka's assignors share partitions out, so a second bridge that joins would take half of them from
the one that sends, and one that a supervisor starts again and again would silence it for good.
Here whoever has them keeps them through every rebalance, for as long as it is a member.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import (
    ConsumerProtocolMemberAssignment,
    ConsumerProtocolMemberMetadata,
)

_VERSION: Final = 0
_NEVER: Final = -1
_OCTETS: Final = 4
"""A generation of a group is an int32."""


class Election(AbstractPartitionAssignor):  # type: ignore[misc] # aiokafka has no types
    """The assignor of one consumer: gives everything to who had it in the newest generation.

    The group counts its generations, so one that stood still while another had the topics has the
    older claim. Of equal claims the greatest member id wins: of two new ones, one stays.
    """

    name: str = "smslab-one-has-all"

    def __init__(self) -> None:
        self._claim = _NEVER

    def won(self, generation: int) -> None:
        """This consumer has everything in `generation` of its group."""
        self._claim = generation

    def metadata(self, topics: Iterable[str]) -> Any:
        """What this one tells when it joins: its topics, and the generation of its claim."""
        claim = self._claim.to_bytes(_OCTETS, "big", signed=True)
        return ConsumerProtocolMemberMetadata(_VERSION, sorted(topics), claim)

    def assign(self, cluster: Any, members: Mapping[str, Any]) -> dict[str, Any]:
        """Asked of the group's leader, whichever member that is."""
        holder = max(members, key=lambda member: (_claim_of(members[member]), member))
        everything = [
            (topic, sorted(cluster.partitions_for_topic(topic) or ()))
            for topic in sorted(members[holder].subscription)
        ]
        return {
            member: ConsumerProtocolMemberAssignment(
                _VERSION, everything if member == holder else [], b""
            )
            for member in members
        }

    def on_assignment(self, assignment: Any) -> None:
        """Whether this is all there is, the consumer knows: see `won`."""


def _claim_of(metadata: Any) -> int:
    return int.from_bytes(metadata.user_data, "big", signed=True)
