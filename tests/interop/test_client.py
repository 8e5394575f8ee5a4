"""A foreign SMSC serves every request of the client, and tshark finds nothing malformed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from smpp_bridge import Connection, Refused
from smpp_bridge.protocol.constants import CommandId
from tests.interop.capture import capture
from tests.interop.peers import node, running
from tests.support.sockets import free_port

pytestmark = pytest.mark.interop
SENDER, PERSON = "10690001", "8613800000001"
LONG = "优惠券" * 100


async def test_node_smpp_is_asked_about_messages(tmp_path: Path) -> None:
    """submit_sm, data_sm, query_sm, replace_sm, cancel_sm: read as they were meant, both ways."""

    def script() -> list[str]:
        with Connection(system_id="shop", password="secret", port=port) as link:
            link.bind_transceiver()
            [name] = link.submit_sm(source_addr=SENDER, dest_addr=PERSON, short_message="Helo")
            first = link.query_sm(name, source_addr=SENDER).message_state
            link.replace_sm(name, source_addr=SENDER, short_message="Hello {1}")
            link.cancel_sm(name, source_addr=SENDER, dest_addr=PERSON)
            last = link.query_sm(name, source_addr=SENDER).message_state
            with pytest.raises(Refused, match="ESME_RQUERYFAIL"):
                link.query_sm("FF", source_addr=SENDER)
            other = link.data_sm(source_addr=SENDER, dest_addr=PERSON, message_payload=LONG)
            return [name, first, last, other]

    port = free_port()
    command, variables = node("smsc_node_management.js", str(port))
    async with capture(port, tmp_path) as captured, running(command, variables) as peer:
        await peer.wait_for(lambda peer: bool(peer.told("listening")))
        assert await asyncio.to_thread(script) == ["A1", "ENROUTE", "DELETED", "B2"]
        await peer.wait_for(lambda peer: bool(peer.told("unbound")))
        verdict = await captured.judge(we_listen=False)
    assert verdict.our_malformed == verdict.their_malformed == []
    assert verdict.ours[CommandId.QUERY_SM] == 3
    assert peer.told("query_sm")[0] == {"query_sm": "A1", "from": SENDER}
    assert peer.told("replace_sm") == [{"replace_sm": "A1", "octets": "Hello \x1b(1\x1b)"}]
    assert peer.told("cancel_sm") == [{"cancel_sm": "A1", "to": PERSON}]
    assert peer.told("data_sm") == [{"data_sm": LONG, "to": PERSON}]
    assert peer.told("error") == []
