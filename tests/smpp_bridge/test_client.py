"""The blocking client, over real sockets against two SMSCs."""

from __future__ import annotations

import asyncio
import select
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from simulator import smsc as simulated
from simulator.messages import receipt_sm
from smpp_bridge import (
    BindRefused,
    Connection,
    ConnectionLost,
    Delivery,
    NotAnswered,
    SubmitRefused,
)
from smpp_bridge.protocol import pdu
from smpp_bridge.protocol.codec import encode
from smpp_bridge.protocol.constants import CommandStatus
from smpp_bridge.protocol.long_messages import messages_of
from tests.support.smsc import Smsc, run_smsc
from tests.support.topics import wait_until

PASSWORD = "secret"
ROOT = Path(__file__).parents[2]
FROM_PHONE = {"source_addr": b"8613800000001", "destination_addr": b"10690001"}


@pytest.fixture
async def smsc() -> AsyncIterator[Smsc]:
    """An SMSC that accepts everything."""
    async with run_smsc(Smsc()) as running:
        yield running


def connection(port: int, *, password: str = PASSWORD, timeout_s: float = 5.0) -> Connection:
    """A connection to a local SMSC."""
    return Connection(system_id="shop", password=password, port=port, timeout_s=timeout_s)


def send(link: Connection, text: str = "Hello") -> list[str]:
    """Send a text."""
    return link.submit_sm(source_addr="10690001", dest_addr="8613800000001", short_message=text)


async def test_a_long_text_is_sent_in_parts_and_gives_their_ids(smsc: Smsc) -> None:
    """Encoding and cutting are the client's work; the window may be smaller than the message."""

    def script() -> list[str]:
        with Connection(system_id="shop", password=PASSWORD, port=smsc.port, window=2) as link:
            link.bind_transceiver()
            return send(link, "优惠券" * 100)

    assert await asyncio.to_thread(script) == [f"id-{number}" for number in range(1, 6)]
    first = smsc.submitted[0]
    assert (first.data_coding, first.esm_class, first.registered_delivery) == (8, 0x40, 1)
    assert (first.source_addr, first.source_addr_ton) == (b"10690001", 0)
    assert (first.destination_addr, first.dest_addr_ton) == (b"8613800000001", 1)
    await wait_until(lambda: smsc.peers[0].session.is_closed)


async def test_a_wrong_password_is_named(smsc: Smsc) -> None:
    """The exception carries the status, its name and its words."""
    with pytest.raises(BindRefused, match=r"ESME_RINVPASWD \(invalid password\)") as refused:
        await asyncio.to_thread(connection(smsc.port, password="other").bind_transceiver)
    assert refused.value.command_status == CommandStatus.RINVPASWD
    assert refused.value.status == "ESME_RINVPASWD"


async def test_a_refused_submit_is_named_and_the_taken_parts_are_told(smsc: Smsc) -> None:
    """What went out before the refusal is not forgotten; the session goes on."""
    smsc.answer = lambda _: (
        (CommandStatus.RTHROTTLED, b"") if len(smsc.submitted) == 2 else (CommandStatus.ROK, b"1")
    )

    def script() -> None:
        with connection(smsc.port) as link:
            link.bind_transmitter()
            with pytest.raises(SubmitRefused, match="ESME_RTHROTTLED") as refused:
                send(link, "a" * 200)
            assert refused.value.message_ids == ["1"]
            assert send(link) == ["1"]

    await asyncio.to_thread(script)


async def test_silence_is_an_exception_and_a_late_answer_is_not_mixed_up(smsc: Smsc) -> None:
    """The answer of an earlier message is never taken for that of a later one."""
    smsc.answer = lambda _: None if len(smsc.submitted) == 1 else (CommandStatus.ROK, b"second")

    def script() -> list[str]:
        link = connection(smsc.port, timeout_s=0.3)
        link.bind_transceiver()
        with pytest.raises(NotAnswered):
            send(link)
        loop.call_soon_threadsafe(late)
        try:
            return send(link)
        finally:
            link.close()

    def late() -> None:
        peer, request = smsc.held[0]
        peer.session.respond(request, CommandStatus.ROK, b"first")
        peer.flush()

    loop = asyncio.get_running_loop()
    assert await asyncio.to_thread(script) == ["second"]


async def test_receipts_and_replies_are_read_and_acknowledged(smsc: Smsc) -> None:
    """Each is acknowledged when it is handed out; parts of a long reply come as one text."""

    def deliver() -> None:
        smsc.deliver(
            pdu.DeliverSm(esm_class=4, short_message=b"id:7 stat:DELIVRD", **FROM_PHONE), "receipt"
        )
        parts = messages_of(pdu.DeliverSm(**FROM_PHONE), "I want two, please. " * 10)
        for number, part in enumerate(reversed(parts)):
            smsc.deliver(part, f"part {number}")

    def script() -> list[Delivery | None]:
        with connection(smsc.port) as link:
            link.bind_receiver()
            loop.call_soon_threadsafe(deliver)
            return [link.read(5), link.read(5), link.read(0.05)]

    loop = asyncio.get_running_loop()
    receipt, reply, nothing = await asyncio.to_thread(script)
    assert nothing is None
    assert receipt is not None
    assert receipt.receipt is not None
    assert (receipt.receipt.message_id, receipt.receipt.state) == ("7", "DELIVERED")
    assert reply is not None
    assert (reply.text, reply.receipt) == ("I want two, please. " * 10, None)
    assert (reply.source_addr, reply.dest_addr) == ("8613800000001", "10690001")
    await wait_until(lambda: len(smsc.acknowledged) == 3)
    assert {status for _, status in smsc.acknowledged} == {CommandStatus.ROK}


async def test_a_delivery_whose_callback_fails_is_sent_again(smsc: Smsc) -> None:
    """The SMSC hears of a temporary error, the caller of its own exception."""

    def fail(_: Delivery) -> None:
        raise RuntimeError("disk full")

    def script() -> None:
        with connection(smsc.port) as link:
            link.bind_transceiver()
            loop.call_soon_threadsafe(
                smsc.deliver, pdu.DeliverSm(short_message=b"hi", **FROM_PHONE), "d1"
            )
            link.listen(fail, 5)

    loop = asyncio.get_running_loop()
    with pytest.raises(RuntimeError, match="disk full"):
        await asyncio.to_thread(script)
    await wait_until(lambda: smsc.acknowledged == [("d1", CommandStatus.RX_T_APPN)])


async def test_what_was_not_read_goes_back_at_the_end(smsc: Smsc) -> None:
    """Unbind does not swallow a message that nobody has seen."""

    def script() -> None:
        with connection(smsc.port) as link:
            link.bind_transceiver()
            loop.call_soon_threadsafe(deliver)
            is_delivered.wait(5)
            send(link)

    def deliver() -> None:
        smsc.deliver(pdu.DeliverSm(short_message=b"hi", **FROM_PHONE), "d1")
        is_delivered.set()

    is_delivered = threading.Event()
    loop = asyncio.get_running_loop()
    await asyncio.to_thread(script)
    await wait_until(lambda: smsc.acknowledged == [("d1", CommandStatus.RX_T_APPN)])


@pytest.mark.parametrize("call", [send, lambda link: link.read(5)])
async def test_a_lost_connection_is_told(smsc: Smsc, call: Callable[[Connection], object]) -> None:
    """Whatever waits ends with the reason."""
    smsc.answer = lambda _: None

    def script() -> None:
        link = connection(smsc.port)
        link.bind_transceiver()
        loop.call_soon_threadsafe(smsc.peers[0]._transport.abort)
        call(link)

    loop = asyncio.get_running_loop()
    with pytest.raises(ConnectionLost, match="has ended"):
        await asyncio.to_thread(script)


@pytest.mark.parametrize("window", [1, 2, 10])
async def test_a_reset_while_sending_is_a_lost_connection(smsc: Smsc, window: int) -> None:
    """Three parts and more: the write that fails is noticed before the next part is handed over."""

    def script() -> None:
        link = Connection(system_id="shop", password=PASSWORD, port=smsc.port, window=window)
        link.bind_transceiver()
        loop.call_soon_threadsafe(smsc.peers[0].reset)
        select.select([link._link._wire._socket], [], [], 5)  # the RST is here
        with pytest.raises(ConnectionLost, match="has ended"):
            send(link, "a" * 153 * 4)
        with pytest.raises(ConnectionLost, match="bind first"):
            send(link)

    loop = asyncio.get_running_loop()
    await asyncio.to_thread(script)


async def test_a_reset_before_the_goodbye_ends_in_silence(smsc: Smsc) -> None:
    """The unread message cannot be given back; the SMSC sends it again by itself."""

    def script() -> None:
        link = connection(smsc.port)
        link.bind_transceiver()
        loop.call_soon_threadsafe(deliver)
        assert link._link.serve_until(lambda: bool(link._inbox), 5)
        loop.call_soon_threadsafe(smsc.peers[0].reset)
        select.select([link._link._wire._socket], [], [], 5)
        link.unbind()
        with pytest.raises(ConnectionLost, match="bind first"):
            link.read(0)

    def deliver() -> None:
        smsc.deliver(pdu.DeliverSm(short_message=b"hi", **FROM_PHONE), "d1")

    loop = asyncio.get_running_loop()
    await asyncio.to_thread(script)


async def test_an_smsc_that_unbinds_gets_no_new_work(smsc: Smsc) -> None:
    """Its goodbye waits for the answer to what was not read; a new submit_sm is not for it."""

    def script() -> Delivery | None:
        link = connection(smsc.port)
        link.bind_transceiver()
        loop.call_soon_threadsafe(deliver_and_unbind)
        assert link._link.serve_until(lambda: not link._link.is_bound, 5)
        with pytest.raises(ConnectionLost, match="the SMSC unbinds"):
            send(link)
        try:
            return link.read(5)
        finally:
            link.close()

    def deliver_and_unbind() -> None:
        smsc.deliver(pdu.DeliverSm(short_message=b"hi", **FROM_PHONE), "d1")
        peer = smsc.peers[0]
        peer._transport.write(encode(pdu.Unbind(), 99))

    loop = asyncio.get_running_loop()
    delivery = await asyncio.to_thread(script)
    assert delivery is not None
    assert delivery.text == "hi"
    await wait_until(lambda: smsc.acknowledged == [("d1", CommandStatus.ROK)])


def test_an_smsc_that_is_not_there_is_named() -> None:
    """Host, port and the system's reason; nothing can be sent without a bind."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        link = connection(port)
        with pytest.raises(ConnectionLost, match=f"127.0.0.1:{port} cannot be reached"):
            link.bind_transceiver()
    with pytest.raises(ConnectionLost, match="bind first"):
        send(link)


def test_an_smsc_that_never_answers_the_bind_is_given_up() -> None:
    """A listener that accepts and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        link = connection(silent.getsockname()[1], timeout_s=0.1)
        with pytest.raises(NotAnswered, match="bind was not answered"):
            link.bind_transceiver()


async def test_a_receiver_may_not_send(smsc: Smsc) -> None:
    """The operation matrix holds here, too."""

    def script() -> None:
        with connection(smsc.port) as link:
            link.bind_receiver()
            with pytest.raises(ValueError, match="SUBMIT_SM is not allowed"):
                send(link)
            with pytest.raises(ValueError, match="must be unbound"):
                link.bind_receiver()

    await asyncio.to_thread(script)


async def test_the_simulated_operator_serves_it_end_to_end() -> None:
    """Bind, submit, answer and receipt with the simulator's SMSC."""
    operator = simulated.Smsc(system_id="shop", password=PASSWORD)
    taken: list[str] = []

    def on_submit(peer: simulated.Peer, request: pdu.SubmitSm) -> None:
        peer.answer(request, CommandStatus.ROK, b"FF")
        receipt = receipt_sm(request, "255", now_s=0, is_delivered=True, err="000")
        operator.deliver(receipt, lambda: taken.append("FF"))

    def script() -> tuple[list[str], Delivery | None]:
        with connection(port) as link:
            link.bind_transceiver()
            return send(link), link.read(5)

    port = await operator.start("127.0.0.1", 0, on_submit)
    message_ids, delivery = await asyncio.to_thread(script)
    assert message_ids == ["FF"]
    assert delivery is not None
    assert delivery.receipt is not None
    assert (delivery.receipt.message_id, delivery.receipt.state) == ("255", "DELIVERED")
    await wait_until(lambda: taken == ["FF"])
    await operator.stop()


async def test_the_quick_start_runs_as_it_is_printed() -> None:
    """The example of the documents, as a process, against the simulator's SMSC."""
    operator = simulated.Smsc(system_id="smslab", password=PASSWORD)

    def on_submit(peer: simulated.Peer, request: pdu.SubmitSm) -> None:
        peer.answer(request, CommandStatus.ROK, b"FF")
        operator.deliver(
            receipt_sm(request, "255", now_s=0, is_delivered=True, err="000"), lambda: None
        )

    port = await operator.start("127.0.0.1", 0, on_submit)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *(str(ROOT / "examples/quickstart.py"), "--port", str(port), "--password", PASSWORD),
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"},
        stdout=asyncio.subprocess.PIPE,
    )
    printed, _ = await asyncio.wait_for(process.communicate(), 30)
    await operator.stop()
    assert printed.decode().splitlines() == ["accepted as FF", "receipt: 255 DELIVERED"]
    assert process.returncode == 0
