"""One member of a consumer group has all partitions, the one that had them last."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from smpp_bridge.adapters.election import Election

TOPICS = {"a": {0, 1, 2}, "b": {0, 1}}
CLUSTER: Any = SimpleNamespace(partitions_for_topic=TOPICS.get)
EVERYTHING = [("a", [0, 1, 2]), ("b", [0, 1])]

generations = st.none() | st.integers(0, 2**31 - 1)
claims = st.dictionaries(st.text("ab-", min_size=1, max_size=6), generations, min_size=1)


def told(claim: int | None) -> Any:
    """What a member with that claim says when it joins, as it comes over the network."""
    election = Election()
    if claim is not None:
        election.won(claim)
    said = election.metadata(TOPICS)
    return type(said).decode(said.encode())


def assigned(members: dict[str, int | None]) -> dict[str, list[tuple[str, list[int]]]]:
    """Who gets what."""
    given = Election().assign(CLUSTER, {name: told(claim) for name, claim in members.items()})
    return {name: each.assignment for name, each in given.items()}


@given(claims)
def test_one_has_everything_and_the_others_nothing(members: dict[str, int | None]) -> None:
    """Whatever they claim; each is told."""
    found = assigned(members)
    assert found.keys() == members.keys()
    assert sorted(found.values()) == [*([[]] * (len(members) - 1)), EVERYTHING]


@given(claims)
def test_who_had_everything_last_keeps_it(members: dict[str, int | None]) -> None:
    """However many others join, and whatever their ids are."""
    newest = max(-1 if claim is None else claim for claim in members.values())
    holder = next(name for name, found in assigned(members).items() if found)
    assert (members[holder] if members[holder] is not None else -1) == newest


@given(claims, st.randoms())
def test_the_order_of_members_does_not_matter(members: dict[str, int | None], random: Any) -> None:
    """Any of them may be the one that assigns."""
    shuffled = list(members.items())
    random.shuffle(shuffled)
    assert assigned(dict(shuffled)) == assigned(members)


def test_a_topic_that_nobody_knows_yet_gives_no_partitions() -> None:
    """The leader joins again as soon as there are some."""
    cluster: Any = SimpleNamespace(partitions_for_topic={"a": {0}}.get)
    found = Election().assign(cluster, {"m": told(None)})
    assert found["m"].assignment == [("a", [0]), ("b", [])]
