"""Sets of hashes never deny a member, and are seldom wrong about others."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.join.sketch import Fingerprints, Prints, Sketch, hash_of, hashes_of

STRANGERS = [f"k2.{n}" for n in range(10_000)]


@given(
    st.lists(st.lists(st.text(max_size=3), max_size=20), max_size=6),
    st.sampled_from([(1, 1), (1, 4), (4, 32)]),
)
def test_fingerprints_are_a_set(added: list[list[str]], sizes: tuple[int, int]) -> None:
    """However many are added at once, how often, and however they fill the tables."""
    of = Fingerprints(*sizes)
    for each in added:
        of.update(each)
    members = set().union(*added)
    assert bool(of) == bool(members)
    assert of.among(list(members)) == members
    assert of.among([]) == set()
    others = [each for each in STRANGERS[:100] if each not in members]
    assert of.among([*others, *members]) == members, "a mistake once in 100,000 runs at most"


def test_tables_grow_with_the_members() -> None:
    """A million has five tables, not fifteen; the largest ones are all of one size."""
    of = Fingerprints(first=4, last=32)
    for n in range(100):
        of.update([f"k1.{n}"])
    assert [len(table._prints) // 2 for table in of._tables] == [4, 4, 8, 16, 32, 32, 32]
    assert of.among([f"k1.{n}" for n in range(200)]) == {f"k1.{n}" for n in range(100)}


@pytest.mark.parametrize("members", [1, 8, 1 << 10])
def test_a_full_table_of_prints_still_ends_every_search(members: int) -> None:
    """It is half full; also when all have one slot, or the last one."""
    hashes = np.arange(members) << 32 | 2 * members - 1
    table = Prints(members)
    table.add(hashes)
    assert table.hold(hashes) == list(range(members))
    assert table.hold(np.array([1 << 50, 1 << 50 | 2 * members - 1])) == []


def test_no_member_of_a_sketch_is_denied() -> None:
    """Added in batches of any size; strangers are taken for members 1.6 times in a hundred."""
    sketch = Sketch(1 << 10)
    members = hashes_of([f"k1.{n}" for n in range(1 << 10)])
    for some in np.split(members, [1, 3, 700]):
        sketch.add(some)
    assert list(sketch.may_hold(members)) == list(range(1 << 10))
    assert len(sketch.may_hold(hashes_of(STRANGERS))) < 250


def test_a_sketch_of_one_says_where_those_are_who_may_be_members() -> None:
    """In ascending order; also when all bits of a batch lie in a few octets."""
    sketch = Sketch(1)
    sketch.add(hashes_of(["a", "b", "c"]))
    assert list(sketch.may_hold(hashes_of(["c", "b", "a"]))) == [0, 1, 2]
    assert list(Sketch(1).may_hold(hashes_of(["a"]))) == []


def test_no_hash_is_nothing() -> None:
    """0 stands for a free slot in tables: the hash of '' is 0, and another one here."""
    assert hash("") == 0
    assert list(hashes_of(["", "a"])) == [hash_of(""), hash_of("a")]
    assert hash_of("") != 0
