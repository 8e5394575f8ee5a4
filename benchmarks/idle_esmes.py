"""Many idle ESMEs in one process: python -m benchmarks.idle_esmes PORT ACCOUNTS EACH.

Binds them all, says how many are bound, then does what its standard input says: `check` sends an
enquire_link on each, `count` prints how many are bound, how many of our enquire_links were
answered, and how many of the bridge's own we have answered.
"""

from __future__ import annotations

import asyncio
import json
import struct
import sys
from typing import Final

from smpp_bridge.protocol import pdu
from smpp_bridge.protocol.codec import encode
from smpp_bridge.protocol.constants import RESPONSE_BIT, CommandId

_HEADER: Final = struct.Struct(">IIII")
_AT_ONCE: Final = 50
"""Connections that are opened at the same time: below the backlog of the listener."""


class IdleEsme(asyncio.Protocol):
    """One of them."""

    bound = 0
    answered = 0
    asked = 0
    lost = 0

    def __init__(self, system_id: str) -> None:
        self._system_id = system_id.encode()
        self._rest = b""
        self.is_bound = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Bind."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        bind = pdu.BindTransceiver(system_id=self._system_id, password=b"bench")
        transport.write(encode(bind, 1))

    def connection_lost(self, _error: Exception | None) -> None:
        """Must not happen: counted."""
        IdleEsme.lost += 1

    def check(self) -> None:
        """Ask the bridge whether it is there."""
        self._transport.write(_HEADER.pack(16, CommandId.ENQUIRE_LINK, 0, 2))

    def data_received(self, data: bytes) -> None:
        """Octets of the bridge."""
        self._rest += data
        while len(self._rest) >= _HEADER.size:
            length, command, status, sequence = _HEADER.unpack_from(self._rest)
            if len(self._rest) < length:
                return
            self._rest = self._rest[length:]
            self._take(command, status, sequence)

    def _take(self, command: int, status: int, sequence: int) -> None:
        if command == CommandId.ENQUIRE_LINK:
            IdleEsme.asked += 1
            answer = _HEADER.pack(16, command | RESPONSE_BIT, 0, sequence)
            self._transport.write(answer)
        elif command == CommandId.ENQUIRE_LINK | RESPONSE_BIT:
            IdleEsme.answered += status == 0
        elif command == CommandId.BIND_TRANSCEIVER | RESPONSE_BIT:
            IdleEsme.bound += status == 0
            self.is_bound.set_result(None)


async def main(port: int, accounts: int, each: int) -> None:
    """Serve until standard input ends."""
    loop = asyncio.get_running_loop()
    esmes: list[IdleEsme] = []
    names = [f"esme-{number}" for number in range(accounts) for _ in range(each)]
    for start in range(0, len(names), _AT_ONCE):
        some = [
            await loop.create_connection(lambda name=name: IdleEsme(name), "127.0.0.1", port)
            for name in names[start : start + _AT_ONCE]
        ]
        await asyncio.gather(*(esme.is_bound for _, esme in some))
        esmes += [esme for _, esme in some]
    _say()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        if line.strip() == b"check":
            for esme in esmes:
                esme.check()
        else:
            _say()


def _say() -> None:
    totals = {name: getattr(IdleEsme, name) for name in ("bound", "answered", "asked", "lost")}
    print(json.dumps(totals), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))
