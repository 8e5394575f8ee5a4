"""Two sessions talk to each other without a network; octets may be cut anywhere."""

from __future__ import annotations

import struct
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smpp_bridge.protocol import pdu, session_events
from smpp_bridge.protocol.codec import RESPONSES, encode
from smpp_bridge.protocol.constants import RESPONSE_BIT, CommandId, CommandStatus
from smpp_bridge.protocol.fields import FIELDS
from smpp_bridge.protocol.framing import FrameBuffer, FramingError
from smpp_bridge.protocol.session import Session
from smpp_bridge.protocol.session_events import SessionEvent
from smpp_bridge.protocol.states import BOUND, SessionState, may_issue
from smpp_bridge.protocol.timers import Timeouts
from smpp_bridge.protocol.window import Window

BINDS = {
    "TX": pdu.BindTransmitter,
    "RX": pdu.BindReceiver,
    "TRX": pdu.BindTransceiver,
}


def pair(bind: str = "TRX", window: int = 64) -> tuple[Session, Session]:
    """An ESME and an SMSC, bound."""
    esme = Session("esme", now=0, window=window)
    smsc = Session("smsc", now=0, window=window)
    esme.bind(BINDS[bind](system_id=b"shop", password=b"secret"))
    smsc.receive_data(esme.data_to_send(), 0)
    (asked,) = smsc.events()
    assert isinstance(asked, session_events.BindRequested)
    smsc.answer_bind(asked.request, CommandStatus.ROK, b"operator")
    esme.receive_data(smsc.data_to_send(), 0)
    (bound,) = esme.events()
    assert isinstance(bound, session_events.Bound)
    return esme, smsc


def carry(sender: Session, receiver: Session, now: float = 0) -> list[SessionEvent]:
    """Move what waits on one side to the other."""
    receiver.receive_data(sender.data_to_send(), now)
    return receiver.events()


@pytest.mark.parametrize("bind", BINDS)
def test_a_bind_leads_to_the_state_of_its_kind(bind: str) -> None:
    """Both sides agree on the bound state."""
    esme, smsc = pair(bind)
    assert esme.state == smsc.state == f"BOUND_{bind}"


def test_a_refused_bind_closes_and_says_why() -> None:
    """The wrong password is an event with its status, and the end of the session."""
    esme, smsc = Session("esme", now=0), Session("smsc", now=0)
    esme.bind(pdu.BindTransceiver(system_id=b"shop"))
    (asked,) = carry(esme, smsc)
    assert isinstance(asked, session_events.BindRequested)
    smsc.answer_bind(asked.request, CommandStatus.RINVPASWD)
    refused, closed = carry(smsc, esme)
    assert refused == session_events.BindRefused(CommandStatus.RINVPASWD)
    assert isinstance(closed, session_events.Closed)
    assert smsc.is_closed


def test_a_submit_is_answered_with_its_context() -> None:
    """The answer finds the request by sequence_number."""
    esme, smsc = pair()
    esme.send(pdu.SubmitSm(short_message=b"hi"), "m1", 1.0)
    (received,) = carry(esme, smsc)
    assert isinstance(received, session_events.Received)
    smsc.respond(received.request, message_id=b"42")
    (answered,) = carry(smsc, esme, 1.5)
    assert isinstance(answered, session_events.Answered)
    assert (answered.context, answered.latency_s) == ("m1", 0.5)
    assert answered.response == pdu.SubmitSmResp(sequence_number=2, message_id=b"42")


def test_deliver_sm_is_not_answered_before_the_shell_says_so() -> None:
    """The session never acknowledges a deliver_sm by itself."""
    esme, smsc = pair()
    smsc.send(pdu.DeliverSm(short_message=b"id:1 stat:DELIVRD"), "d1", 0)
    (received,) = carry(smsc, esme)
    assert esme.data_to_send() == b""
    assert isinstance(received, session_events.Received)
    esme.respond(received.request)
    (answered,) = carry(esme, smsc)
    assert isinstance(answered, session_events.Answered)
    assert answered.context == "d1"


@given(st.lists(st.integers(1, 40), min_size=1), st.integers(1, 20))
def test_octets_may_be_cut_anywhere(cuts: list[int], messages: int) -> None:
    """Split and joined TCP segments give the same events in the same order."""
    esme, smsc = pair()
    for number in range(messages):
        esme.send(pdu.SubmitSm(short_message=b"%d" % number), number, 0)
    stream, texts, turn = esme.data_to_send(), [], 0
    while stream:
        size = cuts[turn % len(cuts)]
        smsc.receive_data(stream[:size], 0)
        stream, turn = stream[size:], turn + 1
        for event in smsc.events():
            assert isinstance(event, session_events.Received)
            assert isinstance(event.request, pdu.SubmitSm)
            texts.append(event.request.short_message)
    assert texts == [b"%d" % number for number in range(messages)]


@pytest.mark.parametrize("length", [0, 15, 131_073, 0xFFFFFFFF])
def test_lost_framing_is_nacked_and_closes(length: int) -> None:
    """Where the next PDU starts is unknown, so the link must end."""
    esme, smsc = pair()
    smsc.receive_data(struct.pack(">IIII", length, 4, 0, 1), 0)
    assert smsc.is_closed
    nack = pdu.GenericNack(command_status=CommandStatus.RINVCMDLEN)
    assert smsc.data_to_send() == encode(nack)
    assert esme.is_bound


def test_frames_before_lost_framing_are_kept() -> None:
    """A good frame in front of nonsense is still handed out."""
    good = encode(pdu.EnquireLink(sequence_number=1))
    buffer = FrameBuffer()
    assert buffer.feed(good + b"\0\0\0\1") == [good]
    with pytest.raises(FramingError):
        buffer.feed(b"")


def test_an_unknown_command_is_nacked_and_the_session_lives() -> None:
    """One unreadable PDU costs itself, not the link."""
    _, smsc = pair()
    smsc.receive_data(struct.pack(">IIII", 16, 0x777, 0, 5), 0)
    (event,) = smsc.events()
    assert isinstance(event, session_events.Unparsed)
    nack = pdu.GenericNack(command_status=CommandStatus.RINVCMDID, sequence_number=5)
    assert smsc.data_to_send() == encode(nack)
    assert smsc.is_bound


def test_an_unreadable_deliver_sm_is_refused_not_lost() -> None:
    """The peer learns that this PDU was not taken; the raw octets are reported."""
    esme, _ = pair()
    frame = struct.pack(">IIII", 20, 5, 0, 6) + b"abcd"
    esme.receive_data(frame, 0)
    (event,) = esme.events()
    assert isinstance(event, session_events.Unparsed)
    assert event.frame == frame
    refusal = pdu.DeliverSmResp(command_status=CommandStatus.RINVMSGLEN, sequence_number=6)
    assert esme.data_to_send() == encode(refusal)


def test_an_unanswered_request_expires_and_its_late_answer_is_still_reported() -> None:
    """A late submit_sm_resp holds the message id, so it must not be dropped."""
    esme, smsc = pair()
    esme.send(pdu.SubmitSm(), "m1", 0)
    (received,) = carry(esme, smsc)
    esme.tick(60.0)
    assert esme.events() == [session_events.Expired("m1")]
    assert isinstance(received, session_events.Received)
    smsc.respond(received.request, message_id=b"1")
    (late,) = carry(smsc, esme, 61.0)
    assert isinstance(late, session_events.Answered)
    assert late.is_late


def test_a_dead_link_reports_every_unanswered_request() -> None:
    """Silence is checked by enquire_link; without answer all that was in flight is named."""
    esme, _ = pair()
    esme.send(pdu.SubmitSm(), "m1", 20.0)
    esme.tick(30.0)
    assert esme.data_to_send().endswith(encode(pdu.EnquireLink(sequence_number=3)))
    esme.tick(79.0)
    assert esme.events() == []
    esme.tick(90.0)
    expired, closed = esme.events()
    assert expired == session_events.Expired("m1")
    assert closed == session_events.Closed("link check was not answered", ())


def test_an_answered_link_check_keeps_the_link() -> None:
    """Any octets from the peer prove that it lives."""
    esme, smsc = pair()
    esme.tick(30.0)
    carry(esme, smsc, 30.0)
    carry(smsc, esme, 31.0)
    esme.tick(60.0)
    assert not esme.is_closed


def test_a_peer_that_never_binds_is_dropped() -> None:
    """A connection without bind holds a slot; it ends after the session init time."""
    smsc = Session("smsc", now=0, timeouts=Timeouts(session_init_s=10))
    smsc.tick(10.0)
    assert smsc.is_closed


def test_a_disconnect_names_every_unanswered_request() -> None:
    """Nothing in flight is forgotten when the socket dies."""
    esme, _ = pair()
    for name in ("m1", "m2"):
        esme.send(pdu.SubmitSm(), name, 0)
    esme.disconnected("connection reset")
    assert esme.events() == [session_events.Closed("connection reset", ("m1", "m2"))]


def test_an_unbind_is_answered_after_what_is_due() -> None:
    """The answer to a deliver_sm goes out before the goodbye."""
    esme, smsc = pair()
    smsc.send(pdu.DeliverSm(), "d1", 0)
    (received,) = carry(smsc, esme)
    smsc.unbind()
    carry(smsc, esme)
    assert not esme.is_closed
    assert isinstance(received, session_events.Received)
    esme.respond(received.request)
    assert esme.is_closed
    answered, closed = carry(esme, smsc)
    assert isinstance(answered, session_events.Answered)
    assert closed == session_events.Closed("unbound", ())


def test_a_full_window_refuses_another_request() -> None:
    """The caller must wait for an answer."""
    esme, _ = pair(window=1)
    esme.send(pdu.SubmitSm(), 1, 0)
    with pytest.raises(ValueError, match="all slots"):
        esme.send(pdu.SubmitSm(), 2, 0)


def test_sequence_numbers_wrap_and_skip_those_in_flight() -> None:
    """After 0x7FFFFFFF comes 1, but never a number that waits for its answer."""
    window = Window(10)
    window.add(1, "first", 0)
    window._last = 0x7FFFFFFF
    assert window.next_sequence() == 2


@pytest.mark.parametrize(
    ("cls", "state"), list(product(sorted(RESPONSES, key=lambda c: c.__name__), SessionState))
)
def test_every_request_in_every_state_is_taken_or_refused(
    cls: type[pdu.Pdu], state: SessionState
) -> None:
    """The operation matrix decides; what it forbids gets RINVBNDSTS and has no effect."""
    smsc = Session("smsc", now=0)
    smsc.state = state
    smsc.receive_data(encode(cls(sequence_number=5)), 0)
    answer = smsc.data_to_send()
    if state is SessionState.CLOSED:
        assert answer == b""
    elif may_issue("esme", cls.command_id, state):
        assert RINVBNDSTS not in answer
    else:
        assert answer[4:16] == struct.pack(
            ">III", cls.command_id | RESPONSE_BIT, CommandStatus.RINVBNDSTS, 5
        )
        assert smsc.state is state


RINVBNDSTS = struct.pack(">I", CommandStatus.RINVBNDSTS)


def test_only_transmitters_submit_and_only_receivers_are_delivered_to() -> None:
    """SMPP 3.4 §2.3, the rows that matter most."""
    allowed = {
        state: (
            may_issue("esme", CommandId.SUBMIT_SM, state),
            may_issue("smsc", CommandId.DELIVER_SM, state),
        )
        for state in BOUND
    }
    assert allowed == {
        SessionState.BOUND_TX: (True, False),
        SessionState.BOUND_RX: (False, True),
        SessionState.BOUND_TRX: (True, True),
    }


@given(st.lists(st.binary(max_size=60), max_size=5))
def test_no_octets_make_a_session_raise(chunks: list[bytes]) -> None:
    """Nonsense from the peer ends in events and answers, never in an exception."""
    esme, _ = pair()
    for chunk in chunks:
        esme.receive_data(chunk, 0)
    assert isinstance(esme.events(), list)


def test_every_known_pdu_has_a_row_in_the_table() -> None:
    """A PDU class without fields row could be neither read nor written."""
    known = {c for c in vars(pdu).values() if isinstance(c, type) and issubclass(c, pdu.Pdu)}
    abstract = {pdu.Pdu, pdu.Bind, pdu.BindResp, pdu.Message, pdu.MessageResp}
    assert known - abstract == FIELDS.keys()
