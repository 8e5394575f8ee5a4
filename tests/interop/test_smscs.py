"""Foreign SMSCs: the gateway binds to them as an ESME, on a real broker."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.kafka import KafkaPublisher
from smpp_bridge.protocol.constants import CommandId
from tests.interop.capture import Capture, capture
from tests.interop.peers import Peer, node, perl, python, running
from tests.interop.traffic import (
    MESSAGES,
    PARTS,
    REPLIES,
    TEXTS,
    check_receipts,
    check_replies,
    check_results,
    joined,
    ledger,
)
from tests.support.bridge import environment, requested
from tests.support.processes import process
from tests.support.sockets import free_port

pytestmark = [pytest.mark.interop, pytest.mark.kafka]
SMSCS: dict[str, Callable[[str], tuple[list[str], dict[str, str]]]] = {
    "node smpp": lambda port: node("smsc_node.js", port),
    "Net::SMPP": lambda port: perl("smsc_net_smpp.pl", port),
    "smpp34": lambda port: python("smsc_smpp34.py", port),
}


async def publish_all(kafka: str, connection: str) -> None:
    """Every message as a request."""
    async with KafkaPublisher(kafka) as publisher:
        for message in MESSAGES:
            request = requested(connection, message.number, text=message.text)
            publisher.put_event(request, lambda error: None)
        await publisher.flush()


def check_peer(peer: Peer, delivered: int) -> None:
    """It read every text as it was written, and we acknowledged every deliver_sm."""
    assert joined(peer.told("text")) == TEXTS
    assert Counter(line["acknowledged"] for line in peer.told("acknowledged")) == {0: delivered}
    assert peer.told("error") == []


async def check_octets(captured: Capture, delivered: int) -> None:
    """What we sent, is what we meant to send, and nothing of it is malformed to tshark."""
    verdict = await captured.judge(we_listen=False)
    assert verdict.our_malformed == []
    expected = {
        CommandId.BIND_TRANSCEIVER: 1,
        CommandId.SUBMIT_SM: PARTS,
        CommandId.DELIVER_SM_RESP: delivered,
        CommandId.UNBIND: 1,
    }
    del verdict.ours[CommandId.ENQUIRE_LINK]  # as many as the machine is slow
    assert verdict.ours == expected
    assert verdict.their_malformed == []


@pytest.mark.parametrize("name", SMSCS)
async def test_gateway_works_with_a_foreign_smsc(name: str, kafka: str, tmp_path: Path) -> None:
    """Bind, 1,000 mixed messages, receipts, replies, unbind: nothing lost, nothing malformed."""
    connection = f"i{uuid.uuid4().hex[:10]}"
    port = free_port()
    command, variables = SMSCS[name](str(port))
    delivered = PARTS + REPLIES
    async with (
        capture(port, tmp_path) as captured,
        running(command, variables) as peer,
        ledger(kafka, connection) as found,
    ):
        await peer.wait_for(lambda peer: bool(peer.told("listening")))
        await publish_all(kafka, connection)
        async with process(
            "smpp_bridge", environment(kafka, port, tmp_path / "journal", connection)
        ) as bridge:
            await found.wait_for(PARTS, PARTS, REPLIES)
            await peer.wait_for(lambda peer: len(peer.told("acknowledged")) == delivered)
            bridge.terminate()
            assert await bridge.wait() == 0
        await peer.wait_for(lambda peer: bool(peer.told("unbound")))
        check_peer(peer, delivered)
        await check_octets(captured, delivered)
        check_results(found)
        check_receipts(found)
        check_replies(found)
