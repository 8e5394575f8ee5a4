"""ESMEs without a bridge: python -m benchmarks.peer_esmes LIBRARY PORT submit|receive N.

They have no Kafka and keep nothing: a submit is done when its answer is read, a receipt when it
is acknowledged. `session` is the bridge's own SMPP link, alone. Prints how many are done.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Final

import smpp34
import smpplib.client

from smpp_bridge.adapters.link import Link
from smpp_bridge.configuration import ConnectionConfig
from smpp_bridge.protocol import pdu, session_events
from smpp_bridge.protocol.constants import CommandStatus

WINDOW: Final = 64
_INBOUND: Final = 1_000_000
"""Receipts that smpp34 may queue: beyond, its refusals break the framing (docs/smpp.md)."""
_SENDER: Final = "10690001"
_TEXT: Final = "今天下单立减20元 https://s.example/0123456789 拒收请回复R".encode("utf-16-be")


def person(number: int) -> str:
    """A destination."""
    return f"86138{number:08d}"


async def with_smpplib(port: int, kind: str, count: int) -> int:
    """It sends without waiting; its caller keeps the window."""
    logging.getLogger("smpp").setLevel(logging.ERROR)
    client = smpplib.client.Client("127.0.0.1", port, timeout=60, allow_unknown_opt_params=True)
    ids: set[bytes] = set()
    read = []
    client.set_message_sent_handler(lambda pdu: ids.add(pdu.message_id))
    client.set_message_received_handler(lambda **_: read.append(1))
    client.connect()
    client.bind_transceiver(system_id="bench", password="bench")  # noqa: S106 - anybody may bind
    if kind == "receive":
        while len(read) < count:
            client.read_once()
        return len(read)
    for number in range(count):
        while number - len(ids) >= WINDOW:
            client.read_once()
        client.send_message(
            source_addr=_SENDER,
            destination_addr=person(number),
            data_coding=8,
            short_message=_TEXT,
        )
    while len(ids) < count:
        client.read_once()
    return len(ids)


async def with_smpp34(port: int, kind: str, count: int) -> int:
    """As many tasks as the window is wide; receipts it acknowledges by itself."""
    client = smpp34.Client("127.0.0.1", port, "bench", "bench", inbound_capacity=_INBOUND)
    session = await client.connect()
    if kind == "receive":
        for _ in range(count):
            assert isinstance(await session.next(), smpp34.DeliverSmEvent)
        return count
    ids: set[str] = set()
    numbers = iter(range(count))

    async def submit() -> None:
        for number in numbers:
            answer: Any = await session.submit_sm(
                person(number), _TEXT, source_addr=_SENDER, data_coding=8
            )
            ids.add(answer.message_id)

    await asyncio.gather(*(submit() for _ in range(WINDOW)))
    return len(ids)


class Owner:
    """Keeps the window of the bridge's link full, and acknowledges at once."""

    def __init__(self, kind: str, count: int) -> None:
        self._submits = count if kind == "submit" else 0
        self._count = count
        self._sent = 0
        self.done: set[object] = set()
        self.is_done = asyncio.Event()

    def on_link_event(self, link: Link, event: session_events.SessionEvent) -> None:
        """An answer, a receipt, or the bind."""
        match event:
            case session_events.Answered(_, pdu.MessageResp() as answer):
                self.done.add(answer.message_id)
            case session_events.Received(request):
                self.done.add(request.sequence_number)
                link.respond(request, CommandStatus.ROK)
        if len(self.done) == self._count:
            self.is_done.set()
        self._fill(link)

    def on_link_ready(self) -> None:
        """The link says so with an event, too."""

    def _fill(self, link: Link) -> None:
        while self._sent < self._submits and link.can_submit():
            request = pdu.SubmitSm(
                source_addr=_SENDER.encode(),
                destination_addr=person(self._sent).encode(),
                data_coding=8,
                short_message=_TEXT,
            )
            link.session.send(request, None, link.now())
            self._sent += 1
        link.flush_soon()


async def with_session(port: int, kind: str, count: int) -> int:
    """What SMPP alone costs the bridge."""
    owner = Owner(kind, count)
    config = ConnectionConfig(name="bench", system_id="bench", password="bench", window=WINDOW)  # noqa: S106 - anybody may bind
    bind = pdu.BindTransceiver(system_id=b"bench", password=b"bench")
    await asyncio.get_running_loop().create_connection(
        lambda: Link(owner, bind, config), "127.0.0.1", port
    )
    await owner.is_done.wait()
    return len(owner.done)


LIBRARIES: Final[dict[str, Callable[[int, str, int], Awaitable[int]]]] = {
    "session": with_session,
    "smpp34": with_smpp34,
    "smpplib": with_smpplib,
}


async def main(library: str, port: str, kind: str, count: str) -> None:
    """Do the work, say how much, stay connected until told to end."""
    done = await LIBRARIES[library](int(port), kind, int(count))
    print(json.dumps({"done": done}), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
