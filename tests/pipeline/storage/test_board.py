"""A board of the shelf: its names come back as they were, or are said to be damaged."""

from __future__ import annotations

from collections import Counter
from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from pipeline.storage.board import Names, board_of, names_of, read_names

IDS = st.lists(st.sampled_from(["", "c1", "c2", "c\n3", "ç4", "🎁"]), max_size=3, unique=True)
PEOPLE = st.lists(
    st.tuples(
        st.text() | st.sampled_from(["", "\n", "\x00", "k1.\r\n", "日本", "🎁" * 300]),
        st.integers(0, 1 << 40),
        IDS.map(sorted).map(tuple),
    ),
    max_size=40,
)
People = list[tuple[str, int, tuple[str, ...]]]
START = st.integers(0, 1 << 40)


def names(people: People) -> Names:
    """Of subjects, sizes and campaigns."""
    return names_of([s for s, _, _ in people], [n for _, n, _ in people], [c for *_, c in people])


@given(PEOPLE, st.integers(0, 1 << 40), START)
def test_names_come_back_as_they_were(people: People, place: int, start: int) -> None:
    """Whatever is in them; the board says where everything lies."""
    board, body = board_of(place, 7, start, names(people))
    read = read_names(board, body)
    assert read is not None
    assert read.subjects == [subject for subject, _, _ in people]
    assert read.sizes == [size for _, size, _ in people]
    assert [read.campaigns[which] for which in read.which] == [ids for *_, ids in people]
    assert len(set(read.campaigns)) == len(read.campaigns)
    ends = list(accumulate((size for _, size, _ in people), initial=start))
    assert board.ends is not None
    assert list(board.ends) == list(board.remember_ends(read.sizes)) == ends
    assert board.places == range(place, place + len(people))
    row = (place, len(people), 7, start, ends[-1], len(body), board.checksum)
    assert board.row == row
    assert board.end == ends[-1] + len(body)


@given(PEOPLE, st.data())
def test_campaigns_are_counted_as_one_by_one(people: People, data: st.DataObject) -> None:
    """Whom a campaign assigned, and how many of some of the people each has assigned."""
    known = names(people)
    for campaign_id in ("c1", "c2", "", "c\n3", "🎁", "another"):
        naive = [index for index, (*_, ids) in enumerate(people) if campaign_id in ids]
        assert known.assigned_to(campaign_id) == naive
    some = [index for index in range(len(people)) if data.draw(st.booleans())]
    assert known.count(some) == Counter(each for index in some for each in people[index][2])


@given(PEOPLE, st.data())
def test_a_changed_octet_or_a_lost_end_is_damage(people: People, data: st.DataObject) -> None:
    """Anywhere in the names; nothing is decoded then."""
    board, body = board_of(0, 0, 0, names(people))
    at, bits = data.draw(st.integers(0, len(body) - 1)), data.draw(st.integers(1, 255))
    changed = bytearray(body)
    changed[at] ^= bits
    assert read_names(board, bytes(changed)) is None
    assert read_names(board, body[:at]) is None
