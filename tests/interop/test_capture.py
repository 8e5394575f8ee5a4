"""The judge itself: it sees every PDU and condemns a broken one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from smpp_bridge.protocol import pdu
from smpp_bridge.protocol.codec import encode
from tests.interop.capture import capture

pytestmark = pytest.mark.interop
SUBMIT_SM = 0x00000004


async def test_a_broken_pdu_is_malformed_and_a_sound_one_is_not(tmp_path: Path) -> None:
    """Two sound submit_sm in one segment, then one whose short_message is cut off."""
    sound = encode(pdu.SubmitSm(destination_addr=b"8613800000001", short_message=b"hi"))
    broken = (len(sound) - 2).to_bytes(4, "big") + sound[4:-2]
    done = asyncio.Event()

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(4096):
            pass
        writer.close()
        done.set()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, capture(port, tmp_path) as captured:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sound + sound)
        await writer.drain()
        before = await captured.judge(we_listen=False)
        writer.write(broken)
        writer.close()
        await done.wait()
        after = await captured.judge(we_listen=False)
    assert before.ours == {SUBMIT_SM: 2}
    assert before.our_malformed == []
    assert len(after.our_malformed) == 1
    assert after.their_malformed == []
