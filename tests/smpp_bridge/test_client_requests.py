"""data_sm, query_sm, cancel_sm and replace_sm of the client, against three kinds of SMSC."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager

import pytest
import smpp34

from simulator import smsc as simulated
from smpp_bridge import (
    Connection,
    ConnectionLost,
    MessageStatus,
    NotAnswered,
    Refused,
    WrongAnswer,
)
from smpp_bridge.protocol import pdu
from smpp_bridge.protocol.constants import CommandStatus, Tag
from tests.support.ledger_operator import PASSWORD, SYSTEM_ID, run_operator
from tests.support.sockets import free_port

SENDER, PERSON = "10690001", "+8613800000001"


@pytest.fixture
def link() -> Iterator[Connection]:
    """Bound to the simulator's plain operator, whose receipts come much later."""
    with run_operator() as port, connection(port) as bound:
        bound.bind_transceiver()
        yield bound


def connection(port: int, *, timeout_s: float = 10) -> Connection:
    """A connection to a local SMSC."""
    return Connection(system_id=SYSTEM_ID, password=PASSWORD, port=port, timeout_s=timeout_s)


def send(link: Connection) -> str:
    """Send a short text."""
    (message_id,) = link.submit_sm(source_addr=SENDER, dest_addr=PERSON, short_message="hi")
    return message_id


def test_a_message_is_enroute_until_it_is_delivered() -> None:
    """The state has a name; when it is final it has a date."""
    with run_operator(receipt_after_s=0.05) as port, connection(port) as link:
        link.bind_transceiver()
        before_ms = time.time_ns() // 1_000_000
        message_id = send(link)
        assert link.read(10) is not None
        told = link.query_sm(message_id, source_addr=SENDER)
        assert (told.message_id, told.message_state, told.is_final) == ("1", "DELIVERED", True)
        assert told.final_at_ms is not None
        assert told.final_at_ms >= before_ms - 1000  # whole seconds


def test_what_is_taken_back_is_deleted_and_not_taken_back_again(link: Connection) -> None:
    """The first cancel_sm succeeds, the second comes too late."""
    message_id = send(link)
    assert link.query_sm(message_id, source_addr=SENDER).message_state == "ENROUTE"
    link.cancel_sm(message_id, source_addr=SENDER)
    assert link.query_sm(message_id, source_addr=SENDER).message_state == "DELETED"
    with pytest.raises(Refused, match=r"cancel_sm refused: ESME_RCANCELFAIL"):
        link.cancel_sm(message_id, source_addr=SENDER)


def test_without_an_id_all_to_one_person_are_taken_back(link: Connection) -> None:
    """Source and destination choose them (SMPP 3.4 §4.9.1); others go on."""
    ids = [send(link), send(link)]
    (other,) = link.submit_sm(source_addr=SENDER, dest_addr="8613900000001", short_message="hi")
    link.cancel_sm(source_addr=SENDER, dest_addr=PERSON)
    states = [link.query_sm(name, source_addr=SENDER).message_state for name in (*ids, other)]
    assert states == ["DELETED", "DELETED", "ENROUTE"]
    with pytest.raises(ValueError, match="one of them must be given"):
        link.cancel_sm(source_addr=SENDER)


def test_a_text_is_replaced_until_its_message_is_final(link: Connection) -> None:
    """Then it is refused."""
    message_id = send(link)
    link.replace_sm(message_id, source_addr=SENDER, short_message="other {text}")
    link.cancel_sm(message_id, source_addr=SENDER)
    with pytest.raises(Refused, match="ESME_RREPLACEFAIL") as refused:
        link.replace_sm(message_id, source_addr=SENDER, short_message="too late")
    assert (refused.value.command, refused.value.command_status) == ("replace_sm", 0x13)


@pytest.mark.parametrize("name", ["query_sm", "cancel_sm"])
@pytest.mark.parametrize("sender", [SENDER, "other"])
def test_a_message_of_nobody_or_of_another_sender_is_unknown(
    link: Connection, name: str, sender: str
) -> None:
    """An id alone is not enough."""
    message_id = send(link) if sender == "other" else "FFFF"
    with pytest.raises(Refused, match=f"{name} refused: ESME_RINVMSGID"):
        getattr(link, name)(message_id, source_addr=sender)


def test_a_long_text_goes_out_as_one_data_sm_and_its_receipt_comes_back() -> None:
    """UCS-2, beyond one segment: the SMSC's work."""
    with run_operator(receipt_after_s=0) as port, connection(port) as link:
        link.bind_transceiver()
        text = "优惠券" * 100
        assert link.data_sm(source_addr="SHOP", dest_addr=PERSON, message_payload=text) == "1"
        delivery = link.read(10)
        assert delivery is not None
        assert delivery.receipt is not None
        assert (delivery.receipt.message_id, delivery.dest_addr) == ("1", "SHOP")


Answer = Callable[[simulated.Peer, pdu.Request], None]


@pytest.fixture
async def scripted() -> AsyncIterator[Callable[[Answer], object]]:
    """Starts an SMSC that answers as it is told; gives its port."""
    started = simulated.Smsc(system_id=SYSTEM_ID, password=PASSWORD)
    yield lambda answer: started.start("127.0.0.1", 0, answer, answer)
    await started.stop()


async def test_the_requests_carry_what_was_given(scripted: Callable[[Answer], object]) -> None:
    """Every field where SMPP has it; addresses typed as those of submit_sm."""
    seen: list[pdu.Request] = []

    def answer(peer: simulated.Peer, request: pdu.Request) -> None:
        seen.append(request)
        peer.answer(request, CommandStatus.ROK)

    def script() -> None:
        with connection(port) as link:
            link.bind_transmitter()
            link.data_sm(source_addr="SHOP", dest_addr=PERSON, message_payload="a€")
            link.query_sm("7F", source_addr=SENDER)
            link.cancel_sm("7F", source_addr=SENDER, dest_addr=PERSON)
            link.replace_sm("7F", source_addr="SHOP", short_message="{", wants_receipt=False)

    port = await scripted(answer)  # type: ignore[misc]
    await asyncio.to_thread(script)
    data, query, cancel, replace = seen
    assert isinstance(data, pdu.DataSm)
    assert data.tlvs == ((Tag.MESSAGE_PAYLOAD, b"a\x1be"),)
    assert (data.source_addr_ton, data.dest_addr_ton, data.registered_delivery) == (5, 1, 1)
    number = {"source_addr_ton": 0, "source_addr_npi": 1, "source_addr": SENDER.encode()}
    person = {"dest_addr_ton": 1, "dest_addr_npi": 1, "destination_addr": PERSON[1:].encode()}
    assert fields_of(query) == fields_of(pdu.QuerySm(message_id=b"7F", **number))
    assert fields_of(cancel) == fields_of(pdu.CancelSm(message_id=b"7F", **number, **person))
    assert isinstance(replace, pdu.ReplaceSm)
    assert (replace.source_addr_ton, replace.short_message) == (5, b"\x1b(")
    assert replace.registered_delivery == 0


def fields_of(request: pdu.Request) -> dict[str, object]:
    """All but the sequence_number."""
    names = set(request.__struct_fields__) - {"sequence_number"}
    return {name: getattr(request, name) for name in names}


async def test_a_state_that_smpp_does_not_know_is_unknown(
    scripted: Callable[[Answer], object],
) -> None:
    """A number beyond the table, an empty id, no date: what was asked for is still named."""

    def answer(peer: simulated.Peer, request: pdu.Request) -> None:
        peer.answer(request, CommandStatus.ROK, message_state=200, error_code=7)

    def script() -> MessageStatus:
        with connection(port) as link:
            link.bind_transceiver()
            return link.query_sm("7F", source_addr=SENDER)

    port = await scripted(answer)  # type: ignore[misc]
    told = await asyncio.to_thread(script)
    assert told == MessageStatus("7F", "UNKNOWN", None, None, 7)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (lambda peer, request: None, NotAnswered),
        (lambda peer, request: peer.close(), ConnectionLost),
        (
            lambda peer, request: peer.session._write(pdu.SubmitSmResp(), request.sequence_number),
            WrongAnswer,
        ),
        (lambda peer, request: peer.refuse(request), Refused),
    ],
)
async def test_every_way_to_get_no_answer_has_its_exception(
    scripted: Callable[[Answer], object], answer: Answer, error: type[Exception]
) -> None:
    """Silence, a closed link, an answer to something else, a refusal."""

    def script() -> None:
        with connection(port, timeout_s=0.5) as link:
            link.bind_transceiver()
            with pytest.raises(error, match=r"query_sm|ended"):
                link.query_sm("7F", source_addr=SENDER)

    port = await scripted(answer)  # type: ignore[misc]
    await asyncio.to_thread(script)


@contextmanager
def bound(port: int) -> Iterator[Connection]:
    """A bound connection."""
    with connection(port) as link:
        link.bind_transceiver()
        yield link


async def test_a_foreign_smsc_serves_the_client() -> None:
    """smpp34: submit_sm and its receipt; it knows no query_sm, which is told as a refusal."""
    port = free_port()
    server = smpp34.Server("127.0.0.1", port)
    await server.start()

    async def serve() -> str:
        esme = await server.next()
        event = await server.next()
        event.accept("id-1")
        receipt = b"id:id-1 stat:DELIVRD err:000"
        await esme.deliver_sm(SENDER, receipt, source_addr=PERSON[1:], esm_class=4)
        return str(event.destination_addr)

    def script() -> tuple[str, str]:
        with bound(port) as link:
            message_id = send(link)
            delivery = link.read(10)
            assert delivery is not None
            assert delivery.receipt is not None
            with pytest.raises(Refused, match="query_sm refused"):
                link.query_sm(message_id, source_addr=SENDER)
            return message_id, delivery.receipt.state

    serving = asyncio.ensure_future(serve())
    try:
        assert await asyncio.to_thread(script) == ("id-1", "DELIVERED")
        assert await serving == PERSON[1:]
    finally:
        await server.stop()
