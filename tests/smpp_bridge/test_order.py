"""Answers before what came after them."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from smpp_bridge.order import AnswersFirst


@given(st.lists(st.booleans(), max_size=30), st.randoms(use_true_random=False))
def test_nothing_overtakes_an_answer_and_nothing_waits_for_ever(
    arrivals: list[bool], rng: random.Random
) -> None:
    """Answers and deliver_sm in any order, stored in any order: each deliver_sm after its past."""
    order = AnswersFirst()
    before: dict[int, set[int]] = {}
    tickets: list[int] = []
    passed: set[int] = set()
    forwarded: list[int] = []

    def forward(number: int) -> None:
        assert before[number] <= passed
        forwarded.append(number)

    for number, is_answer in enumerate(arrivals):
        if is_answer:
            tickets.append(order.expect())
        else:
            before[number] = set(tickets)
            order.then(lambda number=number: forward(number))
    rng.shuffle(tickets)
    for ticket in tickets:
        passed.add(ticket)
        order.passed(ticket)
    assert forwarded == sorted(before)


def test_what_came_later_is_not_waited_for() -> None:
    """An answer that follows a deliver_sm does not hold it back."""
    order = AnswersFirst()
    done: list[str] = []
    first = order.expect()
    order.then(lambda: done.append("receipt"))
    order.expect()
    order.passed(first)
    assert done == ["receipt"]


def test_without_answers_nothing_waits() -> None:
    """A quiet connection adds no delay."""
    done: list[str] = []
    AnswersFirst().then(lambda: done.append("receipt"))
    assert done == ["receipt"]
