"""Other people's SMPP at both ends of the proxy: what we emit, they read."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiosmpplib
import pytest
import rusmppyc
import smpp34
import smpplib.client

from smpp_bridge.protocol import pdu
from smpp_bridge.protocol.constants import ESM_RECEIPT
from tests.support.proxy import account, run_proxy
from tests.support.smsc import Smsc, run_smsc
from tests.support.sockets import free_port
from tests.support.topics import wait_until

PERSON = "8613800000001"
SENDER = "10690001"
DATES = b"submit date:2601010000 done date:2601010001"
RECEIPT = b"id:id-1 sub:001 dlvrd:001 %b stat:DELIVRD err:000 text:hi" % DATES

Seen = dict[str, Any]
Finished = Callable[[], bool]
Peer = Callable[[int, Seen, Finished], Awaitable[None]]


async def with_smpplib(port: int, seen: Seen, finished: Finished) -> None:
    """A synchronous ESME, in a thread."""

    def run() -> None:
        client = smpplib.client.Client("127.0.0.1", port, timeout=10, allow_unknown_opt_params=True)
        client.set_message_sent_handler(lambda pdu: seen.update(id=pdu.message_id))
        client.set_message_received_handler(lambda pdu: seen.update(receipt=pdu.short_message))
        client.connect()
        client.bind_transceiver(system_id="shop", password="secret")
        client.send_message(
            source_addr=SENDER, destination_addr=PERSON, short_message=b"hi", registered_delivery=1
        )
        while len(seen) < 2:
            client.read_once()
        client.unbind()
        client.disconnect()

    await asyncio.to_thread(run)


class _Hook(aiosmpplib.AbstractHook):  # type: ignore[misc]
    def __init__(self, seen: Seen) -> None:
        self._seen = seen

    async def sending(self, message: Any, octets: bytes, client_id: str) -> None:
        """Of no interest."""

    async def send_error(self, message: Any, error: Exception, client_id: str) -> None:
        """A message that could not be sent would leave the test waiting: say why."""
        pytest.fail(str(error))

    async def received(self, message: Any, octets: bytes, client_id: str) -> None:
        """Responses and deliver_sm."""
        if isinstance(message, aiosmpplib.SubmitSmResp):
            self._seen["id"] = message.message_id.encode()
        elif isinstance(message, aiosmpplib.DeliverSm):
            self._seen["receipt"] = message.short_message.encode()


async def with_aiosmpplib(port: int, seen: Seen, finished: Finished) -> None:
    """Strict about receipts: a wrong one ends its session."""
    esme = aiosmpplib.ESME(
        "127.0.0.1", port, "shop", "secret", hook=_Hook(seen), log_level="CRITICAL"
    )
    task = asyncio.ensure_future(esme.start())
    await esme.broker.enqueue(
        aiosmpplib.SubmitSm(
            short_message="hi",
            source=aiosmpplib.PhoneNumber(SENDER),
            destination=aiosmpplib.PhoneNumber(PERSON),
            log_id="1",
        )
    )
    await wait_until(finished)
    await esme.stop()
    await task


async def with_rusmppyc(port: int, seen: Seen, finished: Finished) -> None:
    """The strict judge of what we emit: any malformed PDU is an error event."""
    client, events = await rusmppyc.Client.connect(
        f"smpp://127.0.0.1:{port}", interface_version_check=False
    )

    async def read() -> None:
        async for event in events:
            match event:
                case rusmppyc.Event.Incoming(command):
                    assert isinstance(command.pdu, rusmppyc.Pdu.DeliverSm)
                    seen["receipt"] = command.pdu._0.short_message
                    await client.deliver_sm_resp(command.sequence_number)
                case rusmppyc.Event.Error(error):
                    seen["error"] = str(error)

    reading = asyncio.ensure_future(read())
    await client.bind_transceiver(
        system_id="shop",
        password="secret",
        interface_version=rusmppyc.InterfaceVersion.Smpp3_4(),
    )
    response = await client.submit_sm(
        source_addr=SENDER, destination_addr=PERSON, short_message=b"hi"
    )
    seen["id"] = response.message_id
    await wait_until(finished)
    reading.cancel()  # the end of the connection is an error to it
    await client.unbind()
    with contextlib.suppress(rusmppyc.ConnectionClosedException):
        await client.close()  # closed by the answer to unbind already


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"  # aiosmpplib leaves its writer open
)
@pytest.mark.parametrize("peer", [with_smpplib, with_aiosmpplib, with_rusmppyc])
async def test_foreign_esmes_send_and_receive_through_the_proxy(tmp_path: Path, peer: Peer) -> None:
    """Bind, submit_sm, its id, a receipt, unbind: understood on both sides."""
    seen: Seen = {}
    async with (
        run_smsc(Smsc(answer=lambda _: (0, b"id-1"))) as smsc,
        run_proxy({"c": smsc.port}, tmp_path, account()) as proxy,
    ):
        running = asyncio.ensure_future(
            peer(proxy.desk.listener.port, seen, lambda: bool(smsc.acknowledged))
        )
        await wait_until(lambda: seen.get("id") is not None or running.done())
        receipt = pdu.DeliverSm(
            source_addr=PERSON.encode(),
            destination_addr=SENDER.encode(),
            esm_class=ESM_RECEIPT,
            short_message=RECEIPT,
        )
        smsc.deliver(receipt, "dlr")
        async with asyncio.timeout(20):
            await running
        await wait_until(lambda: len(smsc.acknowledged) == 1)
        assert [event.outcome for event in proxy.recorder.submitted] == ["accepted"]
    assert seen.keys() == {"id", "receipt"}
    assert bytes(seen["id"]).rstrip(b"\0") == b"id-1"
    assert bytes(seen["receipt"]) == RECEIPT
    assert smsc.acknowledged == [("dlr", 0)]


async def test_a_foreign_smsc_takes_and_reports_what_the_proxy_passes(tmp_path: Path) -> None:
    """smpp34 as the operator: submit_sm in, receipt out, both through the proxy."""
    port = free_port()
    server = smpp34.Server("127.0.0.1", port)
    await server.start()
    try:

        async def serve() -> tuple[str, bytes]:
            esme = await server.next()
            event = await server.next()
            event.accept("id-1")
            await esme.deliver_sm(SENDER, RECEIPT, source_addr=PERSON, esm_class=ESM_RECEIPT)
            return event.destination_addr, event.short_message

        serving = asyncio.ensure_future(serve())
        async with run_proxy({"c": port}, tmp_path) as proxy:
            esme = await proxy.esme()
            esme.submit(PERSON, "hi")
            await wait_until(lambda: len(esme.answers) == len(esme.delivered) == 1)
            assert await serving == (PERSON, b"hi")
            assert esme.answers[0][1:] == (0, b"id-1")
            assert esme.delivered[0].short_message == RECEIPT  # type: ignore[union-attr]
            (event,) = proxy.recorder.submitted
            assert event.smsc_message_id == "id-1"
    finally:
        await server.stop()
