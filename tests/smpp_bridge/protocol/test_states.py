"""The operation matrix, every command in every state for both roles, against an own copy of it."""

from __future__ import annotations

import struct
from itertools import product

import pytest

from smpp_bridge.protocol import pdu, session_events
from smpp_bridge.protocol.codec import RESPONSES, encode
from smpp_bridge.protocol.constants import RESPONSE_BIT, CommandStatus
from smpp_bridge.protocol.fields import FIELDS
from smpp_bridge.protocol.session import Session
from smpp_bridge.protocol.states import Role, SessionState, may_issue

MATRIX = """
command             issuer  OPEN TX RX TRX
bind_transmitter    esme    x    .  .  .
bind_receiver       esme    x    .  .  .
bind_transceiver    esme    x    .  .  .
outbind             smsc    x    .  .  .
unbind              esme    .    x  x  x
unbind              smsc    .    x  x  x
submit_sm           esme    .    x  .  x
data_sm             esme    .    x  .  x
data_sm             smsc    .    .  x  x
deliver_sm          smsc    .    .  x  x
query_sm            esme    .    x  .  x
cancel_sm           esme    .    x  .  x
replace_sm          esme    .    x  .  x
enquire_link        esme    x    x  x  x
enquire_link        smsc    x    x  x  x
alert_notification  smsc    .    .  x  x
"""
"""SMPP 3.4 table 2-1; enquire_link in OPEN as 5.0 has it."""
COLUMNS = ("OPEN", "BOUND_TX", "BOUND_RX", "BOUND_TRX")
ALLOWED = {
    (row[0], row[1], state)
    for row in (line.split() for line in MATRIX.strip().splitlines()[1:])
    for state, mark in zip(COLUMNS, row[2:], strict=True)
    if mark == "x"
}
REQUESTS = sorted(
    (cls for cls in FIELDS if not cls.command_id & RESPONSE_BIT), key=lambda cls: cls.__name__
)
PEER: dict[Role, Role] = {"esme": "smsc", "smsc": "esme"}


def is_allowed(cls: type[pdu.Pdu], role: Role, state: SessionState) -> bool:
    """What the matrix says; while unbinding, what was sent before is still good."""
    name = cls.command_id.name.lower()
    if state is SessionState.UNBINDING:
        return any((name, role, bound) in ALLOWED for bound in COLUMNS[1:])
    return (name, role, state.value) in ALLOWED


def in_state(role: Role, state: SessionState) -> Session:
    """A session that is in that state."""
    session = Session(role, now=0)
    session.state = state
    return session


@pytest.mark.parametrize(("cls", "role", "state"), list(product(REQUESTS, PEER, SessionState)))
def test_the_table_equals_the_specification(
    cls: type[pdu.Pdu], role: Role, state: SessionState
) -> None:
    """Who may issue what and when."""
    assert may_issue(role, cls.command_id, state) == is_allowed(cls, role, state)


@pytest.mark.parametrize(("cls", "role", "state"), list(product(REQUESTS, PEER, SessionState)))
def test_what_a_peer_sends_is_taken_or_refused(
    cls: type[pdu.Pdu], role: Role, state: SessionState
) -> None:
    """What the matrix forbids is refused with the right status and has no effect."""
    session = in_state(role, state)
    session.receive_data(encode(cls(sequence_number=5)), 0)
    answer, events = session.data_to_send(), session.events()
    if state is SessionState.CLOSED:
        assert (answer, events) == (b"", [])
    elif is_allowed(cls, PEER[role], state):
        refused = {CommandStatus.RINVBNDSTS, CommandStatus.RALYBND}
        assert not answer or struct.unpack_from(">I", answer, 8)[0] not in refused
    else:
        assert session.state is state
        assert isinstance(events[0], session_events.Unexpected)
        assert answer == _refusal(cls, state)


def _refusal(cls: type[pdu.Pdu], state: SessionState) -> bytes:
    if cls not in RESPONSES:  # outbind and alert_notification have no answer
        return b""
    is_second_bind = issubclass(cls, pdu.Bind) and state is not SessionState.OPEN
    status = CommandStatus.RALYBND if is_second_bind else CommandStatus.RINVBNDSTS
    return encode(RESPONSES[cls](sequence_number=5, command_status=status))


@pytest.mark.parametrize(
    ("cls", "role", "state"),
    [row for row in product(REQUESTS, PEER, SessionState) if row[0] is not pdu.EnquireLink],
)
def test_what_we_may_not_send_is_refused_to_the_shell(
    cls: type[pdu.Pdu], role: Role, state: SessionState
) -> None:
    """Our own shell is held to the same matrix, and sends nothing new while unbinding."""
    session = in_state(role, state)
    may = is_allowed(cls, role, state) and state is not SessionState.UNBINDING
    try:
        _issue(session, cls())
    except ValueError:
        assert not may
        assert session.data_to_send() == b""
    else:
        assert may
        assert struct.unpack_from(">I", session.data_to_send(), 4)[0] == cls.command_id


def _issue(session: Session, request: pdu.Pdu) -> None:
    if isinstance(request, pdu.Bind):
        session.bind(request)
    elif isinstance(request, pdu.Unbind):
        session.unbind()
    elif isinstance(request, pdu.Outbind | pdu.AlertNotification):
        session.notify(request)
    else:
        assert isinstance(request, pdu.REQUESTS)
        session.send(request, None, 0)


@pytest.mark.parametrize(
    ("cls", "role", "state"),
    list(
        product(
            sorted((c for c in FIELDS if c.command_id & RESPONSE_BIT), key=lambda c: c.__name__),
            PEER,
            SessionState,
        )
    ),
)
def test_an_answer_that_nobody_asked_for_has_no_effect(
    cls: type[pdu.Pdu], role: Role, state: SessionState
) -> None:
    """Answers are never answered, and in no state do they move the session."""
    session = in_state(role, state)
    session.receive_data(encode(cls(sequence_number=5)), 0)
    assert session.data_to_send() == b""
    assert session.state is state
