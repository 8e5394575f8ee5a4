"""Two sessions talk to each other without a network; octets may be cut anywhere."""

from __future__ import annotations

import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smpp_bridge.protocol import pdu, session_events
from smpp_bridge.protocol.codec import RESPONSES, encode
from smpp_bridge.protocol.constants import CommandId, CommandStatus, Tag
from smpp_bridge.protocol.fields import FIELDS
from smpp_bridge.protocol.framing import FrameBuffer, FramingError
from smpp_bridge.protocol.session import Session
from smpp_bridge.protocol.session_events import SessionEvent
from smpp_bridge.protocol.states import SessionState
from smpp_bridge.protocol.timers import Timeouts
from smpp_bridge.protocol.window import Window

BINDS = {
    "TX": pdu.BindTransmitter,
    "RX": pdu.BindReceiver,
    "TRX": pdu.BindTransceiver,
}


def bind(esme: Session, smsc: Session, kind: str = "TRX", version: int = 0x34) -> pdu.BindResp:
    """Bind the two."""
    esme.bind(BINDS[kind](system_id=b"shop", password=b"secret", interface_version=version))
    smsc.receive_data(esme.data_to_send(), 0)
    (asked,) = smsc.events()
    assert isinstance(asked, session_events.BindRequested)
    smsc.answer_bind(asked.request, CommandStatus.ROK, b"operator")
    esme.receive_data(smsc.data_to_send(), 0)
    (bound,) = esme.events()
    assert isinstance(bound, session_events.Bound)
    return bound.response


def pair(kind: str = "TRX", window: int = 64) -> tuple[Session, Session]:
    """An ESME and an SMSC, bound."""
    esme = Session("esme", now=0, window=window)
    smsc = Session("smsc", now=0, window=window)
    bind(esme, smsc, kind)
    return esme, smsc


def carry(sender: Session, receiver: Session, now: float = 0) -> list[SessionEvent]:
    """Move what waits on one side to the other."""
    receiver.receive_data(sender.data_to_send(), now)
    return receiver.events()


@pytest.mark.parametrize("kind", BINDS)
def test_a_bind_leads_to_the_state_of_its_kind(kind: str) -> None:
    """Both sides agree on the bound state."""
    esme, smsc = pair(kind)
    assert esme.state == smsc.state == f"BOUND_{kind}"


@pytest.mark.parametrize(
    ("version", "spoken", "said"),
    [(0x00, 0, None), (0x33, 0x33, None), (0x34, 0x34, b"4"), (0x50, 0x34, b"4")],
)
def test_every_interface_version_may_bind(version: int, spoken: int, said: bytes | None) -> None:
    """3.3, 3.4 and 5.0 are taken; only those that know TLVs are told our version in one."""
    esme, smsc = Session("esme", now=0), Session("smsc", now=0)
    response = bind(esme, smsc, version=version)
    assert response.tlv(Tag.SC_INTERFACE_VERSION) == said
    assert (esme.version, smsc.version) == (spoken, spoken)


def test_a_peer_of_3_3_gets_no_tlvs() -> None:
    """It could not read them; a text that is in a TLV cannot be sent to it."""
    esme, smsc = Session("esme", now=0), Session("smsc", now=0)
    bind(esme, smsc, version=0x33)
    smsc.send(pdu.DeliverSm(short_message=b"x", tlvs=((Tag.MESSAGE_STATE, b"\2"),)), 1, 0)
    (received,) = carry(smsc, esme)
    assert isinstance(received, session_events.Received)
    assert received.request.tlvs == ()
    with pytest.raises(ValueError, match="message_payload needs"):
        smsc.send(pdu.DeliverSm(tlvs=((Tag.MESSAGE_PAYLOAD, b"x"),)), 1, 0)


def test_a_peer_of_3_3_gets_no_tlvs_in_answers() -> None:
    """An SMSC's vendor TLVs, passed on in a submit_sm_resp, would be octets it cannot read."""
    esme, smsc = Session("esme", now=0), Session("smsc", now=0)
    bind(esme, smsc, version=0x33)
    esme.send(pdu.SubmitSm(), "a", 0)
    (received,) = carry(esme, smsc)
    assert isinstance(received, session_events.Received)
    smsc.respond(received.request, 0, b"id", tlvs=((0x1400, b"x"),))
    (answered,) = carry(smsc, esme)
    assert isinstance(answered, session_events.Answered)
    assert isinstance(answered.response, pdu.SubmitSmResp)
    assert (answered.response.message_id, answered.response.tlvs) == (b"id", ())


def test_an_smsc_that_says_3_3_gets_no_tlvs() -> None:
    """sc_interface_version in the bind_resp decides; its absence means nothing."""
    for tlvs, spoken in (((), 0x34), (((Tag.SC_INTERFACE_VERSION, b"3"),), 0x33)):
        esme = Session("esme", now=0)
        esme.bind(pdu.BindTransceiver())
        esme.receive_data(encode(pdu.BindTransceiverResp(sequence_number=1, tlvs=tlvs)), 0)
        assert esme.version == spoken


def test_a_second_bind_is_refused_while_the_first_waits() -> None:
    """One bind at a time; the peer learns it, and our own shell too."""
    esme, smsc = Session("esme", now=0), Session("smsc", now=0)
    esme.bind(pdu.BindTransceiver())
    with pytest.raises(ValueError, match="one at a time"):
        esme.bind(pdu.BindReceiver())
    carry(esme, smsc)
    smsc.receive_data(encode(pdu.BindReceiver(sequence_number=8)), 0)
    refusal = pdu.BindReceiverResp(sequence_number=8, command_status=CommandStatus.RALYBND)
    assert smsc.data_to_send() == encode(refusal)


def test_an_answer_after_the_end_is_dropped() -> None:
    """Authentication may take longer than the peer's patience."""
    esme, smsc = Session("esme", now=0), Session("smsc", now=0)
    esme.bind(pdu.BindTransceiver())
    (asked,) = carry(esme, smsc)
    assert isinstance(asked, session_events.BindRequested)
    smsc.disconnected("gone")
    smsc.answer_bind(asked.request, CommandStatus.ROK)
    assert smsc.is_closed
    assert smsc.data_to_send() == b""


@pytest.mark.parametrize("frame", [pdu.GenericNack(sequence_number=1, command_status=3)])
def test_a_nacked_bind_is_a_refused_bind(frame: pdu.Pdu) -> None:
    """A peer that does not know bind_transceiver answers with generic_nack."""
    esme = Session("esme", now=0)
    esme.bind(pdu.BindTransceiver())
    esme.receive_data(encode(frame), 0)
    assert esme.events()[0] == session_events.BindRefused(3)


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
    esme.receive_data(encode(pdu.Unbind(sequence_number=9)), 0)
    assert not esme.is_closed
    assert isinstance(received, session_events.Received)
    esme.respond(received.request)
    assert esme.is_closed
    assert esme.data_to_send() == encode(pdu.DeliverSmResp(sequence_number=1)) + encode(
        pdu.UnbindResp(sequence_number=9)
    )


def test_unbind_waits_for_what_is_in_flight_and_refuses_new_work() -> None:
    """Both directions are drained before the unbind goes out; what comes meanwhile comes again."""
    esme, smsc = pair()
    esme.send(pdu.SubmitSm(), "m1", 0)
    smsc.send(pdu.DeliverSm(), "d1", 0)
    (submitted,), (delivered,) = carry(esme, smsc), carry(smsc, esme)
    assert isinstance(submitted, session_events.Received)
    assert isinstance(delivered, session_events.Received)
    esme.unbind()
    with pytest.raises(ValueError, match="not allowed"):
        esme.send(pdu.SubmitSm(), "m2", 0)
    assert esme.data_to_send() == b""
    smsc.send(pdu.DeliverSm(), "d2", 0)
    assert isinstance(carry(smsc, esme)[0], session_events.Unexpected)
    (refused,) = carry(esme, smsc)
    assert isinstance(refused, session_events.Answered)
    assert (refused.context, refused.response.command_status) == ("d2", CommandStatus.RX_T_APPN)
    smsc.respond(submitted.request, message_id=b"1")
    assert isinstance(carry(smsc, esme)[0], session_events.Answered)
    assert esme.data_to_send() == b""
    esme.respond(delivered.request)
    answered, closed = carry(esme, smsc)
    assert isinstance(answered, session_events.Answered)
    assert closed == session_events.Closed("peer unbound", ())
    assert carry(smsc, esme) == [session_events.Closed("unbound", ())]


def test_unbind_waits_for_the_answer_to_what_was_sent() -> None:
    """A submit_sm whose answer is under way is not cut off, for as long as it may take."""
    esme, _ = pair()
    sequence = esme.send(pdu.SubmitSm(), "m1", 0)
    esme.data_to_send()
    esme.unbind()
    assert esme.data_to_send() == b""
    esme.receive_data(encode(pdu.SubmitSmResp(sequence_number=sequence)), 0)
    assert esme.data_to_send() == encode(pdu.Unbind(sequence_number=sequence + 1))


def test_unbind_goes_out_when_the_answer_has_expired() -> None:
    """A peer that never answers cannot hold the goodbye back."""
    esme, _ = pair()
    esme.send(pdu.SubmitSm(), "m1", 0)
    esme.data_to_send()
    esme.unbind()
    esme.tick(60)
    assert esme.events() == [session_events.Expired("m1")]
    assert encode(pdu.Unbind(sequence_number=3)) in esme.data_to_send()


def test_an_unbind_without_answer_ends_in_time() -> None:
    """A peer that never answers the goodbye does not hold the connection."""
    esme, _ = pair()
    esme.unbind()
    esme.receive_data(encode(pdu.UnbindResp(sequence_number=77))[:4], 1.0)
    esme.tick(1.0)
    esme.tick(60.9)
    assert not esme.is_closed
    esme.tick(61.0)
    assert esme.events() == [session_events.Closed("unbind did not end in time", ())]


@pytest.mark.parametrize(
    "answer",
    [
        pdu.UnbindResp(sequence_number=2),
        pdu.UnbindResp(sequence_number=99),
        pdu.GenericNack(sequence_number=2, command_status=CommandStatus.RINVCMDID),
    ],
)
def test_any_answer_to_an_unbind_closes(answer: pdu.Pdu) -> None:
    """A wrong number in unbind_resp or a generic_nack are answers as well."""
    esme, _ = pair()
    esme.unbind()
    esme.receive_data(encode(answer), 0)
    assert esme.events() == [session_events.Closed("unbound", ())]


def test_an_unbind_resp_that_nobody_asked_for_changes_nothing() -> None:
    """A confused peer cannot end the session by an answer."""
    esme, _ = pair()
    esme.receive_data(encode(pdu.UnbindResp(sequence_number=1)), 0)
    assert isinstance(esme.events()[0], session_events.Unexpected)
    assert esme.is_bound


def test_what_comes_in_is_activity() -> None:
    """A receiver that only listens is not inactive."""
    esme = Session("esme", now=0, timeouts=Timeouts(enquire_link_s=1000, inactivity_s=100))
    smsc = Session("smsc", now=0)
    bind(esme, smsc, "RX")
    smsc.send(pdu.DeliverSm(), "d1", 50)
    carry(smsc, esme, 50)
    esme.tick(149)
    assert esme.is_bound


def test_the_numbers_of_link_checks_are_not_given_to_messages() -> None:
    """They wait for an answer as well, though they take no slot of the window."""
    esme, _ = pair()
    esme.tick(30)  # enquire_link with number 2
    esme.window._last = 1
    assert esme.send(pdu.SubmitSm(), "m1", 30) == 3


def test_an_inactive_session_unbinds() -> None:
    """Link checks are no activity (SMPP 3.4 §7.2); a session without messages says goodbye."""
    esme = Session("esme", now=0, timeouts=Timeouts(enquire_link_s=1000, inactivity_s=100))
    smsc = Session("smsc", now=0)
    bind(esme, smsc)
    esme.send(pdu.SubmitSm(), "m1", 50)
    (received,) = carry(esme, smsc, 50)
    assert isinstance(received, session_events.Received)
    smsc.respond(received.request)
    carry(smsc, esme, 50)
    esme.tick(149)
    assert esme.is_bound
    esme.tick(150)
    assert esme.state is SessionState.UNBINDING
    carry(esme, smsc, 150)
    reason = "no message within the inactivity time"
    assert carry(smsc, esme, 150) == [session_events.Closed(reason, ())]


@pytest.mark.parametrize(
    ("request_", "response"),
    [
        (pdu.QuerySm(message_id=b"7"), pdu.QuerySmResp(message_id=b"7", message_state=2)),
        (pdu.CancelSm(message_id=b"7"), pdu.CancelSmResp()),
        (pdu.ReplaceSm(message_id=b"7", short_message=b"new"), pdu.ReplaceSmResp()),
        (pdu.DataSm(tlvs=((Tag.MESSAGE_PAYLOAD, b"x"),)), pdu.DataSmResp(message_id=b"7")),
    ],
)
def test_the_other_operations_are_asked_and_answered(
    request_: pdu.Request, response: pdu.Pdu
) -> None:
    """query_sm, cancel_sm, replace_sm and data_sm use the window as submit_sm does."""
    esme, smsc = pair()
    sequence = esme.send(request_, "q", 0)
    (received,) = carry(esme, smsc)
    assert isinstance(received, session_events.Received)
    names = ("command_status", "sequence_number", "tlvs")
    fields = {n: getattr(response, n) for n in response.__struct_fields__ if n not in names}
    smsc.respond(received.request, **fields)
    (answered,) = carry(smsc, esme)
    assert isinstance(answered, session_events.Answered)
    assert answered.response == msgspec.structs.replace(response, sequence_number=sequence)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (pdu.QuerySm(), CommandStatus.RQUERYFAIL),
        (pdu.CancelSm(), CommandStatus.RCANCELFAIL),
        (pdu.ReplaceSm(), CommandStatus.RREPLACEFAIL),
        (pdu.DataSm(), CommandStatus.RINVCMDID),
    ],
)
def test_what_is_not_served_is_refused_with_its_own_status(
    request_: pdu.Request, status: CommandStatus
) -> None:
    """The refusal is the response of the request, with the status made for it."""
    esme, smsc = pair()
    esme.send(request_, "q", 0)
    (received,) = carry(esme, smsc)
    assert isinstance(received, session_events.Received)
    smsc.refuse(received.request)
    (answered,) = carry(smsc, esme)
    assert isinstance(answered, session_events.Answered)
    assert type(answered.response) is RESPONSES[type(request_)]
    assert answered.response.command_status == status


def test_submit_multi_is_nacked_as_unknown() -> None:
    """We do not serve distribution to many; its sender gets RINVCMDID, the session lives."""
    _, smsc = pair()
    smsc.receive_data(struct.pack(">IIII", 20, CommandId.SUBMIT_MULTI, 0, 5) + bytes(4), 0)
    nack = pdu.GenericNack(command_status=CommandStatus.RINVCMDID, sequence_number=5)
    assert smsc.data_to_send() == encode(nack)
    assert smsc.is_bound


def test_a_nack_is_an_answer() -> None:
    """generic_nack with the number of a request frees its slot."""
    esme, _ = pair(window=1)
    sequence = esme.send(pdu.SubmitSm(), "m1", 0)
    esme.receive_data(encode(pdu.GenericNack(sequence_number=sequence, command_status=3)), 0)
    (answered,) = esme.events()
    assert isinstance(answered, session_events.Answered)
    assert (answered.context, answered.response.command_status) == ("m1", 3)
    assert esme.window.free == 1


def test_a_nacked_link_check_proves_that_the_peer_lives() -> None:
    """An answer that is no enquire_link_resp is still an answer, and nobody is bothered."""
    esme, _ = pair()
    esme.tick(30.0)
    esme.receive_data(encode(pdu.GenericNack(sequence_number=2, command_status=3)), 31.0)
    esme.tick(60.0)
    assert esme.events() == []
    assert esme.is_bound


def test_outbind_and_alert_notification_are_reported() -> None:
    """Neither has an answer; the shell learns of both."""
    esme, smsc = Session("esme", now=0), Session("smsc", now=0)
    smsc.notify(pdu.Outbind(system_id=b"operator"))
    (outbind,) = carry(smsc, esme)
    assert isinstance(outbind, session_events.OutbindReceived)
    bind(esme, smsc, "RX")
    smsc.notify(pdu.AlertNotification(source_addr=b"8613800000001"))
    (alert,) = carry(smsc, esme)
    assert isinstance(alert, session_events.AlertReceived)
    assert alert.notification.source_addr == b"8613800000001"
    assert esme.data_to_send() == b""


@pytest.mark.parametrize("cls", [pdu.DeliverSm, pdu.DataSm])
def test_the_answer_to_a_delivery_has_no_id(cls: type[pdu.DeliverSm | pdu.DataSm]) -> None:
    """Some peers drop the link at a deliver_sm_resp with a message_id (SMPP 3.4 §4.6.2)."""
    esme, smsc = pair()
    smsc.send(cls(), "d1", 0)
    (received,) = carry(smsc, esme)
    assert isinstance(received, session_events.Received)
    with pytest.raises(ValueError, match="must be empty"):
        esme.respond(received.request, message_id=b"1")
    esme.respond(received.request)
    assert esme.data_to_send() == encode(RESPONSES[cls](sequence_number=1))


def test_an_id_that_is_too_long_is_passed_on_as_it_is() -> None:
    """Operators use more than 64 octets; between two peers we change nothing."""
    esme, smsc = pair()
    esme.send(pdu.SubmitSm(), "m1", 0)
    (received,) = carry(esme, smsc)
    assert isinstance(received, session_events.Received)
    smsc.respond(received.request, message_id=b"x" * 80)
    (answered,) = carry(smsc, esme)
    assert isinstance(answered, session_events.Answered)
    assert isinstance(answered.response, pdu.SubmitSmResp)
    assert answered.response.message_id == b"x" * 80


def test_what_waits_for_our_answer_is_counted() -> None:
    """Count and octets bound what the shell lets in."""
    esme, smsc = pair()
    smsc.send(pdu.DeliverSm(short_message=b"x" * 100), 1, 0)
    (received,) = carry(smsc, esme)
    assert esme.inbound_pending == 1
    assert esme.inbound_octets >= 100
    assert isinstance(received, session_events.Received)
    esme.respond(received.request)
    assert (esme.inbound_pending, esme.inbound_octets) == (0, 0)


def test_the_largest_pdu_is_configurable() -> None:
    """A PDU above the maximum is lost framing."""
    esme = Session("esme", now=0, max_length=100)
    esme.receive_data(struct.pack(">I", 101), 0)
    assert esme.is_closed
    (closed,) = esme.events()
    assert "must be 16-100" in str(closed)


def test_a_full_window_refuses_another_request() -> None:
    """The caller must wait for an answer."""
    esme, _ = pair(window=1)
    esme.send(pdu.SubmitSm(), 1, 0)
    with pytest.raises(ValueError, match="all slots"):
        esme.send(pdu.SubmitSm(), 2, 0)


def test_sequence_numbers_wrap_and_skip_those_in_flight() -> None:
    """After 0x7FFFFFFF comes 1, but never a number that waits for its answer."""
    window = Window(10)
    for number in (1, 2):
        window.add(number, "early", number)
    window.expire(1)  # its late answer is still awaited
    window._last = 0x7FFFFFFE
    assert window.next_sequence() == 0x7FFFFFFF
    assert window.next_sequence(avoid=(3,)) == 4


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
