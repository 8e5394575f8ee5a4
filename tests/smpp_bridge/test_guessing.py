"""Who may bind, and what a guess costs: rules without sockets."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from smpp_bridge.admission import Admission, Verdict
from smpp_bridge.guessing import LONGEST_S, MAX_FAILED, WINDOW_S
from smpp_bridge.protocol.constants import CommandStatus
from smpp_bridge.protocol.pdu import BindTransceiver
from tests.support.proxy import account


@pytest.fixture
def admission() -> Admission:
    """Of two accounts, one of which may come from one network only."""
    return Admission([account(), account("far", allow=(ip_network("2001:db8::/32"),))])


def judged(
    admission: Admission,
    password: str = "secret",  # noqa: S107 - of a simulated account
    name: str = "shop",
    at: str = "10.0.0.1",
    now: float = 0,
) -> Verdict:
    """About one bind."""
    request = BindTransceiver(system_id=name.encode(), password=password.encode())
    return admission.judge(request, address=at, bound={}, now=now)


def test_nobody_learns_which_half_was_wrong(admission: Admission) -> None:
    """Account, password, its length, and whether an address is allowed: one answer."""
    guesses = [
        judged(admission, *each, at=f"10.0.0.{number}")
        for number, each in enumerate(
            [("wrong",), ("",), ("secret", "nobody"), ("wrong", "far"), ("secre", "far")]
        )
    ]
    assert set(guesses) == {Verdict(CommandStatus.RINVPASWD, "credentials", 0.25)}


def test_each_wrong_one_waits_twice_as_long_up_to_a_bound(admission: Admission) -> None:
    """Below the time in which a session must be bound; after a quiet minute it begins again."""
    waits = [judged(admission, "wrong").wait_s for _ in range(MAX_FAILED)]
    assert waits[:5] == [0.25, 0.5, 1, 2, 4]
    assert set(waits[5:]) == {LONGEST_S}
    assert judged(admission, at="10.0.0.2").status == CommandStatus.ROK
    assert judged(admission).reason == "guessing"
    assert judged(admission, now=WINDOW_S).status == CommandStatus.ROK


def test_refusals_unread_do_not_make_the_wait_longer(admission: Admission) -> None:
    """Whoever is locked out by a neighbour is so for a minute, however busy that one is."""
    for second in range(int(WINDOW_S)):
        for _ in range(MAX_FAILED):
            judged(admission, "wrong", now=second)
    assert judged(admission, now=WINDOW_S).status == CommandStatus.ROK


def test_who_has_bound_before_is_not_locked_out_by_a_neighbour(admission: Admission) -> None:
    """But guesses at that very account count against it."""
    judged(admission)
    for _ in range(2 * MAX_FAILED):
        judged(admission, "wrong", "nobody")
    assert judged(admission).status == CommandStatus.ROK
    assert judged(admission, "wrong").wait_s == 0.25
    for _ in range(MAX_FAILED):
        judged(admission, "wrong")
    assert judged(admission).reason == "guessing"


def test_all_addresses_of_one_site_count_as_one(admission: Admission) -> None:
    """Who has one address of IPv6 has 2^64; an IPv4 address may come in the clothes of IPv6."""
    for number in range(MAX_FAILED):
        judged(admission, "wrong", at=f"2001:db8::{number:x}%eth0")
    assert judged(admission, at="2001:db8::ffff").reason == "guessing"
    assert judged(admission, name="far", at="2001:db8:0:1::1").status == CommandStatus.ROK
    judged(admission, "wrong", at="::ffff:10.0.0.1")
    assert judged(admission, "wrong").wait_s == 0.5


def test_the_right_password_from_the_wrong_address_says_so(admission: Admission) -> None:
    """Its owner has to know what to change."""
    assert judged(admission, name="far") == Verdict(CommandStatus.RBINDFAIL, "address")
