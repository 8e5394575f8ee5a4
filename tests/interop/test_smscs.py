"""Foreign SMSCs: the gateway binds to them as an ESME, on a real broker."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from runtime.kafka import KafkaPublisher
from schemas.topics import INBOUND_RECEIVED
from smpp_bridge.protocol.constants import CommandId
from tests.interop.capture import Capture, capture
from tests.interop.peers import Peer, jsmpp, node, perl, python, running
from tests.interop.traffic import (
    MESSAGES,
    PARTS,
    REPLIES,
    TEXTS,
    Ledger,
    check_receipts,
    check_replies,
    check_results,
    joined,
    ledger,
)
from tests.support.bridge import environment, requested
from tests.support.processes import process
from tests.support.sockets import free_port
from tests.support.topics import TopicReader, wait_until

pytestmark = [pytest.mark.interop, pytest.mark.kafka]
Start = Callable[[str], tuple[list[str], dict[str, str]]]
SMSCS: dict[str, Start] = {
    "node smpp": lambda port: node("smsc_node.js", port),
    "Net::SMPP": lambda port: perl("smsc_net_smpp.pl", port),
    "smpp34": lambda port: python("smsc_smpp34.py", port),
}


@dataclass
class Run:
    """What a test touches: the peer, what passed between it and us, what Kafka has, ourselves."""

    peer: Peer
    captured: Capture
    found: Ledger
    bridge: asyncio.subprocess.Process

    async def stop(self) -> None:
        """SIGTERM: the bridge says goodbye and ends well."""
        self.bridge.terminate()
        assert await self.bridge.wait() == 0


@asynccontextmanager
async def gateway(
    start: Start, kafka: str, folder: Path, is_listening: Callable[[Peer], bool]
) -> AsyncIterator[Run]:
    """A foreign SMSC, a thousand requests in Kafka, and the gateway between them."""
    connection = f"i{uuid.uuid4().hex[:10]}"
    port = free_port()
    command, variables = start(str(port))
    async with (
        capture(port, folder) as captured,
        running(command, variables) as peer,
        ledger(kafka, connection) as found,
    ):
        await peer.wait_for(is_listening)
        await publish_all(kafka, connection)
        settings = environment(kafka, port, folder / "journal", connection)
        async with process("smpp_bridge", settings) as bridge:
            yield Run(peer, captured, found, bridge)


async def publish_all(kafka: str, connection: str) -> None:
    """Every message as a request."""
    async with KafkaPublisher(kafka) as publisher:
        for message in MESSAGES:
            request = requested(connection, message.number, text=message.text)
            publisher.put_event(request, lambda error: None)
        await publisher.flush()


async def check_octets(captured: Capture, delivered: int) -> None:
    """What we sent is what we meant to send; tshark finds nothing malformed on either side."""
    verdict = await captured.judge(we_listen=False)
    assert verdict.our_malformed == verdict.their_malformed == []
    del verdict.ours[CommandId.ENQUIRE_LINK]  # as many as the machine is slow
    assert verdict.ours == {
        CommandId.BIND_TRANSCEIVER: 1,
        CommandId.SUBMIT_SM: PARTS,
        CommandId.DELIVER_SM_RESP: delivered,
        CommandId.UNBIND: 1,
    }
    assert verdict.our_statuses == {0: delivered}


@pytest.mark.parametrize("name", SMSCS)
async def test_gateway_works_with_a_foreign_smsc(name: str, kafka: str, tmp_path: Path) -> None:
    """Bind, 1,000 mixed messages, receipts, replies, unbind: nothing lost, nothing malformed.

    The peer reads every text as it was written.
    """
    delivered = PARTS + REPLIES
    async with gateway(SMSCS[name], kafka, tmp_path, lambda peer: bool(peer.told("listening"))) as (
        run
    ):
        await run.found.wait_for(PARTS, PARTS, REPLIES)
        await run.peer.wait_for(lambda peer: len(peer.told("acknowledged")) == delivered)
        await run.stop()
        await run.peer.wait_for(lambda peer: bool(peer.told("unbound")))
        await check_octets(run.captured, delivered)
        assert joined(run.peer.told("text")) == TEXTS
        statuses = Counter(line["acknowledged"] for line in run.peer.told("acknowledged"))
        assert statuses == {0: delivered}
        assert run.peer.told("error") == []
        check_results(run.found)
        check_receipts(run.found)
        check_replies(run.found)


async def test_gateway_works_with_jsmpp(kafka: str, tmp_path: Path) -> None:
    """Its simulator: hexadecimal ids answered, decimal ones reported, raw octets in the receipts.

    It has no replies. Its greeting comes from 555, no phone number: a dead letter, acknowledged.
    It draws ids from 2³¹ (RandomMessageIDGenerator): in one of 3,000 runs an id comes twice.
    """
    async with (
        gateway(jsmpp, kafka, tmp_path, lambda peer: b"Listening on port" in peer.errors) as run,
        TopicReader(kafka, INBOUND_RECEIVED.dead_letters) as dead,
    ):
        await run.found.wait_for(PARTS, PARTS, 0)
        await wait_until(lambda: any(b'"source_addr":3' in value for value in dead.values))
        await run.stop()
        await check_octets(run.captured, PARTS + 1)
        check_results(run.found, twice=1)
        check_receipts(run.found)
