"""Foreign ESMEs: they bind to the proxy, on a real broker, with an SMSC of ours behind it."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from smpp_bridge.protocol.constants import CommandId, CommandStatus
from tests.interop.capture import Capture, capture
from tests.interop.kannel import ACCEPTED, DELIVERED, kannel
from tests.interop.peers import Peer, node, python, running
from tests.interop.scripted_smsc import ReportingPeer, ReportingSmsc
from tests.interop.traffic import (
    COUNT,
    MESSAGES,
    PARTS,
    REPLIES,
    TEXTS,
    WITHIN_S,
    Ledger,
    check_receipts,
    check_replies,
    check_results,
    joined,
    ledger,
    replies_due,
)
from tests.support.bridge import connection_config, file_environment
from tests.support.processes import process
from tests.support.smsc import run_smsc
from tests.support.sockets import free_port
from tests.support.topics import wait_until

pytestmark = [pytest.mark.interop, pytest.mark.kafka]
DELIVERIES = PARTS + REPLIES
ESMES: dict[str, Callable[..., tuple[list[str], dict[str, str]]]] = {
    "node smpp": lambda *arguments: node("esme_node.js", *arguments),
    "smpplib": lambda *arguments: python("esme_smpplib.py", *arguments),
    "aiosmpplib": lambda *arguments: python("esme_aiosmpplib.py", *arguments),
    "rusmppyc": lambda *arguments: python("esme_rusmppyc.py", *arguments),
}


@dataclass
class Run:
    """What a test touches: where the ESME binds, both sides' octets, the SMSC, Kafka."""

    port: int
    front: Capture
    back: Capture
    smsc: ReportingSmsc
    found: Ledger


@asynccontextmanager
async def proxy(kafka: str, folder: Path) -> AsyncIterator[Run]:
    """The proxy as a process, bound to an SMSC of ours, ready for an ESME."""
    connection = f"i{uuid.uuid4().hex[:10]}"
    port = free_port()
    async with (
        run_smsc(ReportingSmsc(), peer=ReportingPeer) as smsc,
        capture(port, folder) as front,
        capture(smsc.port, folder) as back,
        ledger(kafka, connection) as found,
    ):
        account = {"password_env": "SMS_BRIDGE_TEST_PASSWORD", "connection": connection}
        config = {
            "mode": "proxy",
            "connections": {connection: connection_config(smsc.port)},
            "listen": {"host": "127.0.0.1", "port": port},
            # most of these peers have no window of their own
            "accounts": {"shop": account | {"window": 2 * PARTS}},
        }
        async with process("smpp_bridge", file_environment(kafka, folder, config)) as bridge:
            await wait_until(lambda: smsc.is_bound)
            yield Run(port, front, back, smsc, found)
            bridge.terminate()
            assert await bridge.wait() == 0


def write_messages(folder: Path) -> str:
    """A file for the peer."""
    path = folder / "messages.json"
    path.write_text(json.dumps([{"to": m.to, "text": m.text} for m in MESSAGES]), "utf-8")
    return str(path)


async def check_octets(run: Run, delivered: int = DELIVERIES) -> None:
    """Nothing that the proxy wrote on either side is malformed, and nothing is missing."""
    front = await run.front.judge(we_listen=True)
    assert front.our_malformed == front.their_malformed == []
    for command in (CommandId.ENQUIRE_LINK, CommandId.ENQUIRE_LINK_RESP):
        del front.ours[command]  # as many as the machine is slow
    assert front.ours == {
        CommandId.BIND_TRANSCEIVER_RESP: 1,
        CommandId.SUBMIT_SM_RESP: PARTS,
        CommandId.DELIVER_SM: delivered,
        CommandId.UNBIND_RESP: 1,
    }
    assert front.our_statuses == {0: PARTS + 2}
    back = await run.back.judge(we_listen=False)
    assert back.our_malformed == []
    assert (back.ours[CommandId.SUBMIT_SM], back.our_statuses[0]) == (PARTS, delivered)
    assert back.our_statuses.keys() <= {CommandStatus.ROK, CommandStatus.RX_T_APPN}


def check_peer(peer: Peer, smsc: ReportingSmsc) -> None:
    """The ids and the deliver_sm of the SMSC came through as they were."""
    answers = peer.told("answered")
    assert Counter(line["answered"] for line in answers) == {0: PARTS}
    assert sorted(line["id"] for line in answers) == sorted(smsc.ids)
    sent = Counter(
        body.decode("latin-1" if body.isascii() and b"\0" not in body else "utf-16-be")
        for body in smsc.sent
    )
    assert Counter(line["delivered"] for line in peer.told("delivered")) == sent
    assert peer.told("error") == []


@pytest.mark.parametrize("name", ESMES)
async def test_proxy_serves_a_foreign_esme(name: str, kafka: str, tmp_path: Path) -> None:
    """Bind, 1,000 mixed messages, receipts, replies, unbind: nothing lost, nothing malformed."""
    async with proxy(kafka, tmp_path) as run:
        numbers = [str(run.port), write_messages(tmp_path), str(DELIVERIES), str(PARTS)]
        command, variables = ESMES[name](*numbers)
        async with running(command, variables) as peer:
            await peer.wait_for(lambda peer: bool(peer.told("unbound")))
        await run.found.wait_for(PARTS, PARTS, REPLIES)
        check_peer(peer, run.smsc)
        await check_octets(run)
        check_events(run)
        check_receipts(run.found)


def check_events(run: Run) -> None:
    """The SMSC could read every text, and Kafka has every result and reply, with the account."""
    assert joined(run.smsc.parts) == TEXTS
    assert {status for _, status in run.smsc.acknowledged} == {0}
    check_results(run.found)
    check_replies(run.found)
    assert {event.account for event in run.found.submitted} == {"shop"}


async def test_proxy_serves_kannel(kafka: str, tmp_path: Path) -> None:
    """The same through sendsms; it wants a receipt for the last part of a long message only."""
    async with proxy(kafka, tmp_path) as run:
        async with kannel(run.port, tmp_path) as told:
            await told.send(MESSAGES)
            await wait_until(lambda: len(told.receipts) == 2 * COUNT, WITHIN_S)
            await wait_until(lambda: len(told.replies) == REPLIES)
            await told.stop()
        await run.found.wait_for(PARTS, COUNT, REPLIES)
        assert Counter(told.answers) == {"0: Accepted for delivery": COUNT}
        due = {(m.to, kind) for m in MESSAGES for kind in (ACCEPTED, DELIVERED)}
        assert set(told.receipts) == due
        assert dict(told.replies) == replies_due()
        await check_octets(run, COUNT + REPLIES)
        check_events(run)
        check_receipts(run.found, unreported=PARTS - COUNT)
