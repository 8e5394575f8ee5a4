"""What a connection's configuration puts on the wire, octet by octet, over a real socket."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from runtime.kafka import KafkaPublisher
from smpp_bridge.adapters.links import Links
from smpp_bridge.protocol.codec import encode
from smpp_bridge.protocol.constants import CommandStatus
from smpp_bridge.protocol.framing import FrameBuffer
from smpp_bridge.protocol.pdu import DeliverSm, EnquireLink
from tests.support.bridge import connection_config, file_environment, requested
from tests.support.links import Owner, config_for, kept_link
from tests.support.processes import process
from tests.support.smsc import Peer, Smsc, run_smsc
from tests.support.topics import wait_until

BIND_TRANSCEIVER, UNBIND, SUBMIT_SM = 0x09, 0x06, 0x04
DELIVER_SM_RESP, ENQUIRE_LINK_RESP = 0x80000005, 0x80000015


@dataclass
class Tapped(Smsc):
    """Keeps every frame as it came."""

    frames: list[bytes] = field(default_factory=list)

    def bodies(self, command_id: int) -> list[bytes]:
        """Of the PDUs of a command, without their headers."""
        return [f[16:] for f in self.frames if int.from_bytes(f[4:8], "big") == command_id]


class TappedPeer(Peer):
    """One connection."""

    def __init__(self, smsc: Tapped) -> None:
        super().__init__(smsc)
        self._tap = smsc
        self._buffer = FrameBuffer()

    def data_received(self, data: bytes) -> None:
        """Keep, then serve."""
        self._tap.frames += self._buffer.feed(data)
        super().data_received(data)


@asynccontextmanager
async def bound(password: bytes = b"secret", **keys: Any) -> AsyncIterator[Tapped]:
    """The links of a connection, bound to an SMSC."""
    async with run_smsc(Tapped(password=password), peer=TappedPeer) as smsc:
        config = config_for(smsc.port, **keys)
        links = Links(
            config, on_event=lambda *_: None, on_ready=lambda: None, refused=lambda _: None
        )
        running = [asyncio.ensure_future(runner) for runner in links.runners()]
        try:
            await wait_until(lambda: smsc.is_bound)
            yield smsc
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)


@pytest.mark.parametrize(
    ("keys", "body"),
    [
        ({}, b"shop\0secret\0\0\x34\0\0\0"),
        ({"interface_version": 0x33}, b"shop\0secret\0\0\x33\0\0\0"),
        ({"system_type": "VMA"}, b"shop\0secret\0VMA\0\x34\0\0\0"),
        (
            {"addr_ton": 1, "addr_npi": 8, "address_range": "^1069"},
            b"shop\0secret\0\0\x34\x01\x08^1069\0",
        ),
    ],
)
async def test_a_bind_says_what_is_configured(keys: dict[str, Any], body: bytes) -> None:
    """system_id, password, system_type, interface_version, addr_ton, addr_npi, address_range."""
    async with bound(**keys) as smsc:
        assert smsc.bodies(BIND_TRANSCEIVER) == [body]


async def test_a_silent_session_unbinds_after_its_inactivity_time_and_binds_again() -> None:
    """Link checks are no messages (SMPP 3.4 §7.2)."""
    async with bound(inactivity_s=0.01) as smsc:
        await wait_until(lambda: len(smsc.bodies(BIND_TRANSCEIVER)) >= 2)
        assert smsc.bodies(UNBIND)[0] == b""


async def test_a_transceiver_that_rests_answers_no_link_check_until_it_reads_again() -> None:
    """The limit that docs/smpp.md names: too much waits for Kafka, so the socket is not read."""
    owner = Owner()
    async with run_smsc(Tapped(), peer=TappedPeer) as smsc:
        config = config_for(smsc.port, max_unacknowledged=1)
        async with kept_link(config, owner) as keeper:
            await wait_until(lambda: smsc.is_bound)
            for number in range(2):
                smsc.deliver(DeliverSm(short_message=b"hi"), number)
            link = keeper.link
            assert link is not None
            await wait_until(lambda: not link.is_reading)
            smsc.peers[0]._transport.write(encode(EnquireLink(), 77))
            for request in list(owner.received):
                link.respond(request, CommandStatus.ROK)
            await wait_until(lambda: len(smsc.bodies(ENQUIRE_LINK_RESP)) == 1)
    commands = [int.from_bytes(frame[4:8], "big") for frame in smsc.frames]
    assert commands == [BIND_TRANSCEIVER, *[DELIVER_SM_RESP] * 2, ENQUIRE_LINK_RESP]


@pytest.mark.kafka
async def test_a_file_with_every_key_reaches_the_wire(kafka: str, tmp_path: Path) -> None:
    """A bridge process: bind and submit_sm as the SMSC sees them, a password of 15 octets too."""
    connection = f"c{uuid.uuid4().hex[:10]}"
    keys = {
        "allow_long_password": True,
        "interface_version": "3.3",
        "addr_ton": 1,
        "address_range": "^1069",
        "source_addr_ton": 3,
        "source_addr_npi": 0,
        "dest_addr_ton": 0,
        "dest_addr_npi": 9,
        "service_type": "WAP",
        "default_encoding": "latin1",
    }
    async with run_smsc(Tapped(password=b"a-long-password"), peer=TappedPeer) as smsc:
        config = {"connections": {connection: connection_config(smsc.port, **keys)}}
        environment = file_environment(kafka, tmp_path, config)
        environment["SMS_BRIDGE_TEST_PASSWORD"] = "a-long-password"
        async with process("smpp_bridge", environment), KafkaPublisher(kafka) as publisher:
            await publisher.publish(requested(connection, 1, text="a@£"))
            await wait_until(lambda: bool(smsc.submitted))
    assert smsc.bodies(BIND_TRANSCEIVER) == [b"shop\0a-long-password\0\0\x33\x01\0^1069\0"]
    (body,) = smsc.bodies(SUBMIT_SM)
    assert body.startswith(b"WAP\x00\x03\x0010690001\x00\x00\x098613800000001\x00")
    assert body.endswith(b"\0\0\3a@\xa3")
