"""The operator on a real socket, with a foreign ESME (smpplib) at the other end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import smpplib.client
import smpplib.exceptions

from simulator.messages import receipt_sm
from simulator.smsc import Peer, Smsc
from smpp_bridge.protocol.constants import CommandStatus
from smpp_bridge.protocol.pdu import SubmitSm
from tests.support.topics import wait_until

PASSWORD = "secret"


class Operator:
    """An SMSC that accepts everything and delivers one receipt per message."""

    def __init__(self) -> None:
        self.smsc = Smsc(system_id="shop", password=PASSWORD)
        self.delivered = 0
        self.port = 0

    def on_submit(self, peer: Peer, request: SubmitSm) -> None:
        """Accept, then deliver a receipt."""
        peer.answer(request, CommandStatus.ROK, b"FF")
        receipt = receipt_sm(request, "255", now_s=0, is_delivered=True, err="000")
        self.smsc.deliver(receipt, self.taken)

    def taken(self) -> None:
        """An ESME acknowledged."""
        self.delivered += 1


@pytest.fixture
async def operator() -> AsyncIterator[Operator]:
    """A listening operator."""
    started = Operator()
    started.port = await started.smsc.start("127.0.0.1", 0, started.on_submit)
    yield started
    await started.smsc.stop()


class Esme:
    """A foreign ESME, driven from a thread."""

    def __init__(self, port: int) -> None:
        self.receipts: list[bytes] = []
        self.client = smpplib.client.Client(
            "127.0.0.1", port, timeout=5, allow_unknown_opt_params=True
        )
        self.client.set_message_received_handler(self._received)

    def _received(self, pdu: object) -> None:
        self.receipts.append(pdu.short_message)  # type: ignore[attr-defined]

    def connect(self, password: str = PASSWORD) -> None:
        """Connect and bind."""
        self.client.connect()
        self.client.bind_transceiver(system_id="shop", password=password)

    def submit(self) -> None:
        """Send one message."""
        self.client.send_message(
            source_addr="10690001", destination_addr="8613800000001", short_message=b"hi"
        )

    def read_until_receipt(self) -> None:
        """Answer what comes until a receipt is here."""
        while not self.receipts:
            self.client.read_once()

    def drop(self) -> None:
        """Vanish without unbind."""
        self.client._socket.close()
        self.client.state = 0


async def test_a_foreign_esme_submits_and_gets_its_receipt(operator: Operator) -> None:
    """Bind, submit, answer and receipt work with an implementation that is not ours."""
    esme = Esme(operator.port)
    await asyncio.to_thread(esme.connect)
    await asyncio.to_thread(esme.submit)
    await asyncio.to_thread(esme.read_until_receipt)
    assert esme.receipts[0].startswith(b"id:255 sub:001 dlvrd:001")
    await wait_until(lambda: operator.delivered == 1)
    esme.drop()


async def test_a_wrong_password_is_refused(operator: Operator) -> None:
    """The foreign ESME sees the refusal."""
    esme = Esme(operator.port)
    with pytest.raises(smpplib.exceptions.PDUError, match="Password"):
        await asyncio.to_thread(esme.connect, "other")
    esme.drop()


async def test_an_unacknowledged_receipt_is_sent_again_on_the_next_link(
    operator: Operator,
) -> None:
    """An ESME that dies before it answers gets the receipt when it comes back."""
    first = Esme(operator.port)
    await asyncio.to_thread(first.connect)
    await asyncio.to_thread(first.submit)
    await wait_until(lambda: operator.smsc.in_flight == 1)
    first.drop()
    await wait_until(lambda: operator.smsc.in_flight == 0)
    assert operator.smsc.undelivered == 1
    second = Esme(operator.port)
    await asyncio.to_thread(second.connect)
    await asyncio.to_thread(second.read_until_receipt)
    await wait_until(lambda: operator.delivered == 1)
    assert operator.smsc.undelivered == 0
    second.drop()
