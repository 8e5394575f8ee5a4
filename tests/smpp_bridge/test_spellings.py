"""The bridge tells how an operator spells ids; it sees both sides of them."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import ReceiptReceived
from smpp_bridge.protocol.receipts import candidates_of
from smpp_bridge.spellings import MAX_WATCHED, Spellings


def receipt(message_id: str, other_id: str = "", subject: str = "s") -> ReceiptReceived:
    """A receipt as the mapping makes it."""
    return ReceiptReceived(
        event_id="e",
        occurred_at_ms=0,
        subject=subject,
        connection="c",
        smsc_message_id=message_id,
        candidates=candidates_of(message_id, other_id),
        raw_state="DELIVRD",
        state="DELIVERED",
        is_final=True,
    )


def found(answered: str, *receipts: ReceiptReceived) -> dict[str, int]:
    """What is counted."""
    counts: Counter[str] = Counter()
    spellings = Spellings(counts)
    spellings.answered(answered.encode(), "s")
    for each in receipts:
        spellings.reported(each)
    return dict(counts)


@pytest.mark.parametrize(
    ("answered", "reported", "spelling"),
    [
        ("7f-1", "7f-1", "exact"),
        ("77", "77", "exact"),
        ("10C8F40D", "10c8f40d", "case"),
        ("0000AB12", "ab12", "zeros"),
        ("77", "0000077", "zeros"),
        ("10C8F40D", "281605133", "decimal"),
        ("281605133", "10C8F40D", "hexadecimal"),
        ("00AB@smsc1", "ab", "suffix"),
        ("ab", "AB@smsc1", "suffix"),
    ],
)
def test_a_spelling_is_recognised(answered: str, reported: str, spelling: str) -> None:
    """Once per message: an intermediate receipt and a final one are of one id."""
    assert found(answered, receipt(reported), receipt(reported)) == {spelling: 1}


def test_the_id_of_the_text_counts_where_the_tlv_has_another() -> None:
    """Two ids in one receipt; the answer named the second."""
    assert found("77", receipt("a-b-c", "77")) == {"other_id": 1}


def test_the_number_of_somebody_else_is_no_spelling() -> None:
    """256 is 100 in hexadecimal; with ids that count up both are in use at once."""
    assert found("100", receipt("256", subject="other"), receipt("100")) == {"exact": 1}


@given(st.lists(st.integers(0, 3 * MAX_WATCHED), max_size=50), st.integers(1, 3))
def test_what_is_watched_is_bounded(ids: list[int], factor: int) -> None:
    """Receipts that never come cost nothing in the long run."""
    spellings = Spellings(Counter())
    for number in (*range(factor * MAX_WATCHED), *ids):
        spellings.answered(str(number).encode(), "s")
    assert len(spellings._watched) <= MAX_WATCHED


def test_one_id_a_second_is_watched() -> None:
    """An empty one is none."""
    spellings = Spellings(Counter())
    spellings.answered(b"", "s")
    assert spellings.is_due
    spellings.answered(b"7", "s")
    assert not spellings.is_due
    spellings.tick()
    assert spellings.is_due
