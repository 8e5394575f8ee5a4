"""Assignment: deterministic, uniform, independent."""

from __future__ import annotations

import math
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from campaigns.assignment import assign
from schemas.events import HOLDOUT

SHARES = {"A": 0.2, "B": 0.5, "C": 0.3}
SUBJECTS = [f"k1.{number}" for number in range(20_000)]


def arms(salt: str = "s", holdout: float = 0.1) -> dict[str, str]:
    """Everybody's arm."""
    return {
        subject: assign(subject, salt=salt, holdout=holdout, shares=SHARES) for subject in SUBJECTS
    }


@given(st.text(min_size=1), st.text(min_size=1), st.floats(0, 0.9))
def test_the_same_subject_and_salt_give_the_same_arm(
    subject: str, salt: str, holdout: float
) -> None:
    """Assignment is a function, so anyone can recompute it."""
    first = assign(subject, salt=salt, holdout=holdout, shares=SHARES)
    assert first == assign(subject, salt=salt, holdout=holdout, shares=SHARES)
    assert first in {*SHARES, HOLDOUT}


def test_the_arms_have_their_shares() -> None:
    """Counts lie within 4 standard errors of the plan."""
    counts = Counter(arms().values())
    expected = {HOLDOUT: 0.1, **{arm: 0.9 * share for arm, share in SHARES.items()}}
    for arm, share in expected.items():
        error = 4 * math.sqrt(len(SUBJECTS) * share * (1 - share))
        assert abs(counts[arm] - len(SUBJECTS) * share) < error


def test_a_larger_holdout_moves_nobody_between_variants() -> None:
    """Whoever still gets a message gets the same one."""
    small, large = arms(holdout=0.1), arms(holdout=0.3)
    assert all(large[s] in {small[s], HOLDOUT} for s in SUBJECTS)


def test_another_salt_mixes_anew() -> None:
    """Arms of two campaigns are independent: the joint share is the product."""
    one, two = arms("one", 0.0), arms("two", 0.0)
    both = sum(one[s] == two[s] == "B" for s in SUBJECTS)
    assert abs(both - 0.25 * len(SUBJECTS)) < 4 * math.sqrt(len(SUBJECTS) * 0.25 * 0.75)
