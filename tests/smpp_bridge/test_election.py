"""One member of a consumer group has all partitions, the one that had them last."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from smpp_bridge.adapters.election import Election, Turn

TOPICS = {"a": {0, 1, 2}, "b": {0, 1}}
CLUSTER: Any = SimpleNamespace(partitions_for_topic=TOPICS.get)
EVERYTHING = [("a", [0, 1, 2]), ("b", [0, 1])]
NEVER = -1
UNTIMED = settings(deadline=None)  # other tests take the core

Claim = int
"""The generation in which a member had everything last."""
claims = st.dictionaries(
    st.text("ab-", min_size=1, max_size=6),
    st.integers(NEVER, 2**31 - 1) | st.just(NEVER),
    min_size=1,
)


def member(claim: Claim) -> Election:
    """One with a claim."""
    election = Election(lambda: claim)
    if claim != NEVER:
        election.on_assignment(SimpleNamespace(user_data=b"all"))
    return election


def told(election: Election) -> Any:
    """What a member says when it joins, as it comes over the network."""
    said = election.metadata(TOPICS)
    return type(said).decode(said.encode())


def assigned(members: Mapping[str, Claim]) -> dict[str, Any]:
    """Who gets what, as it comes over the network."""
    any_of_them = member(next(iter(members.values())))
    given = any_of_them.assign(CLUSTER, {name: told(member(c)) for name, c in members.items()})
    return {name: type(each).decode(each.encode()) for name, each in given.items()}


def holder_of(members: Mapping[str, Claim]) -> str:
    """Who has everything."""
    return next(name for name, each in assigned(members).items() if each.assignment)


@UNTIMED
@given(claims)
def test_one_has_everything_and_the_others_nothing(members: dict[str, Claim]) -> None:
    """Whatever they claim; each is told."""
    found = assigned(members)
    assert found.keys() == members.keys()
    parts = sorted(each.assignment for each in found.values())
    assert parts == [*([[]] * (len(members) - 1)), EVERYTHING]


@UNTIMED
@given(claims)
def test_who_had_everything_last_keeps_it(members: dict[str, Claim]) -> None:
    """However many others join, and whatever their ids are."""
    assert members[holder_of(members)] == max(members.values())


@UNTIMED
@given(claims, st.randoms())
def test_the_order_of_members_does_not_matter(members: dict[str, Claim], random: Any) -> None:
    """Any of them may be the one that assigns."""
    shuffled = list(members.items())
    random.shuffle(shuffled)
    assert assigned(dict(shuffled)) == assigned(members)


@UNTIMED
@given(claims)
def test_a_member_knows_whether_it_has_everything(members: dict[str, Claim]) -> None:
    """Whoever has it claims it in the generations to come; the others claim what they had."""
    for name, given_to in assigned(members).items():
        election = member(members[name])
        election._generation = lambda: 7
        election.on_assignment(given_to)
        assert election.is_won == (name == holder_of(members))
        assert told(election) == told(member(7 if election.is_won else members[name]))


def test_a_topic_that_nobody_knows_yet_gives_no_partitions() -> None:
    """The leader joins again as soon as there are some."""
    cluster: Any = SimpleNamespace(partitions_for_topic={"a": {0}}.get)
    new = member(NEVER)
    assert new.assign(cluster, {"m": told(new)})["m"].assignment == [("a", [0]), ("b", [])]


def test_connections_join_when_the_first_of_them_is_won() -> None:
    """Who loses that one is about to end, and must not take another meanwhile."""
    turn = Turn("a")
    assert (turn.is_for("a"), turn.is_for("b")) == (True, False)
    turn.won()
    assert (turn.is_for("a"), turn.is_for("b")) == (True, True)
