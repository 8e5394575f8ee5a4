"""The directory says what a dict would."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pipeline.join import directory, sketch
from pipeline.join.directory import Directory

NAMES = [f"k1.{n}" for n in range(40)] + ["", "é", "\0", "a\0"]


def few_hashes(name: str) -> int:
    """Some of them 0 or negative."""
    return (len(name) - 4 << 32) | ord(name[-1:] or "0") % 5


class AsADict(RuleBasedStateMachine):
    """Names come, go and come again with higher numbers, in segments of eight.

    Many have the same hash, and tables are small and grow.
    """

    def __init__(self) -> None:
        super().__init__()
        self.patches = [
            patch.object(directory, "_SLOTS", 2),
            patch.object(sketch, "hash", few_hashes, create=True),
        ]
        for each in self.patches:
            each.start()
        self.directory = Directory(bits=3)
        self.known: dict[str, int] = {}
        self.ever: dict[int, str] = {}
        self.following = 0

    def teardown(self) -> None:
        """Other tests get Python's own hashes."""
        for each in self.patches:
            each.stop()

    @rule(names=st.sets(st.sampled_from(NAMES), max_size=30), data=st.data())
    def add(self, names: set[str], data: st.DataObject) -> None:
        """With holes between the numbers, or none."""
        new = sorted(names - self.known.keys())
        gaps = data.draw(st.sampled_from([(1,), (1, 2, 9)]))
        numbers = list[int]()
        for _ in new:
            self.following += data.draw(st.sampled_from(gaps))
            numbers.append(self.following)
        self.directory.add(new, numbers)
        self.known |= zip(new, numbers, strict=True)
        self.ever |= zip(numbers, new, strict=True)

    @rule(names=st.sets(st.sampled_from(NAMES), max_size=30))
    def remove(self, names: set[str]) -> None:
        """Whoever is not there has no number."""
        for name in names:
            assert self.directory.remove(name) == self.known.pop(name, None)

    @rule(names=st.sets(st.sampled_from(NAMES)), many=st.sampled_from([0, 1000]))
    def find(self, names: set[str], many: int) -> None:
        """A few, or many at once."""
        asked = [*names, *(f"stranger {n}" for n in range(many))]
        expected = {name: number for name, number in self.known.items() if name in names}
        assert self.directory.find(asked) == expected

    @rule(start=st.integers(0, 200), count=st.integers(0, 60))
    def within(self, start: int, count: int) -> None:
        """In order of numbers."""
        found = self.directory.within(range(start, start + count))
        assert list(found.items()) == sorted(
            ((name, n) for name, n in self.known.items() if start <= n < start + count),
            key=lambda each: each[1],
        )

    @invariant()
    def is_a_dict(self) -> None:
        """Everybody by name and by number, nobody else."""
        assert len(self.directory) == len(self.known)
        for name in NAMES:
            assert self.directory.find_one(name) == self.known.get(name)
        for number, name in self.ever.items():
            assert self.directory.has(name, number) == (self.known.get(name) == number)


TestAsADict = AsADict.TestCase
TestAsADict.settings = settings(deadline=None, max_examples=60, stateful_step_count=20)


def test_names_of_one_hash_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hash is no proof: who has never been here is not found, however many look alike."""
    monkeypatch.setattr(sketch, "hash", lambda _: 5, raising=False)
    names = [f"n{n}" for n in range(100)]
    of = Directory(bits=6)
    of.add(names[:80], range(80))
    assert of.find(names) == {name: n for n, name in enumerate(names[:80])}
    assert [of.find_one(name) for name in names[78:82]] == [78, 79, None, None]
    assert of.remove("n7") == 7
    assert of.find_one("n7") is None
    assert of.find_one("n8") == 8


def test_segments_that_most_have_left_end() -> None:
    """Their memory is free; who remains is found as before, and one that is still filled stays."""
    of = Directory(bits=6)
    names = [f"n{n}" for n in range(150)]
    of.add(names, range(150))
    for name in names[9:]:
        of.remove(name)
    assert list(of._segments) == [0, 2], "nine of 64 are too many"
    of.remove("n0")
    assert list(of._segments) == [2]
    assert of.within(range(150)) == of.find(names) == {f"n{n}": n for n in range(1, 9)}
    of.add(["n0"], [200])
    assert list(of._segments) == [3], "the last one had nobody any more"
    assert of.find(names)["n0"] == 200
    assert len(of) == 9


def test_who_comes_and_leaves_often_leaves_nothing_in_the_table() -> None:
    """Or all that have one hash would be met one after the other."""
    of = Directory(bits=13)
    of.add(["b"], [0])
    for number in range(1, 5_000):
        of.add(["a"], [number])
        assert of.find_one("a") == number
        of.remove("a")
    (segment,) = of._segments.values()
    assert np.count_nonzero(segment._hashes) < 10
    assert of.find(["a", "b"]) == {"b": 0}


def test_memory_comes_back_when_all_have_left() -> None:
    """Also of the segment that gets the next numbers, and of who came together with nobody left."""
    of = Directory(bits=13)
    names = [f"n{n}" for n in range(4_000)]
    for start in range(0, 4_000, 500):
        of.add(names[start : start + 500], range(start, start + 500))
    (segment,) = of._segments.values()
    for name in names[:-1]:
        of.remove(name)
    assert [page.first for page in segment._pages] == segment._firsts == [3_500]
    assert of.within(range(4_000)) == {"n3999": 3_999}
    of.remove("n3999")
    assert (segment._pages, len(segment._hashes)) == ([], directory._SLOTS)
    of.add(["n1"], [4_000])
    assert of.find(names) == {"n1": 4_000}


@pytest.mark.parametrize("living", [1_900, 2_040, 2_048])
def test_a_table_that_is_nearly_full_is_not_made_anew_all_the_time(living: int) -> None:
    """As many leave as come, just below half of the slots."""
    of = Directory(bits=16)
    of.add([f"n{n}" for n in range(living)], range(living))
    (segment,) = of._segments.values()
    tables = {id(segment._hashes): segment._hashes}
    for n in range(200):
        of.remove(f"n{n}")
        of.add([f"n{living + n}"], [living + n])
        tables[id(segment._hashes)] = segment._hashes
    assert len(tables) <= 2


def test_numbers_and_texts_may_be_long() -> None:
    """More than 32,767 names, and more than 65,535 characters, added at once."""
    of = Directory(bits=17)
    names = [f"{'long' * 9}{n}" for n in range(70_000)]
    of.add(names, range(5, 70_005))
    expected = dict(zip(names, range(5, 70_005), strict=True))
    assert of.find([*names, "other"]) == of.within(range(70_005)) == expected
    assert of.find_one(names[-1]) == 70_004


def test_a_table_grows_with_those_who_come() -> None:
    """Never fuller than by half, and nobody is lost."""
    of = Directory(bits=13)
    names = [f"n{n}" for n in range(8_192)]
    for start in range(0, 8_192, 64):
        of.add(names[start : start + 64], range(start, start + 64))
        (segment,) = of._segments.values()
        assert 2 * (start + 64) <= len(segment._hashes) <= 2 * 8_192
    assert of.find(names) == {name: n for n, name in enumerate(names)}
    assert directory.BITS > 13
