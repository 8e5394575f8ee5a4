"""A light SMSC process: ready-made receipts, answers from a template, no session core of ours.

It costs a fraction of what it measures, and it is the same for our bridge and for other ESMEs.
Prints its port as JSON, then does what its standard input says:

    deliver N        N receipts, always `WINDOW` per session without an answer
    pace RATE N      N receipts, RATE a second, whatever is answered
    count            submit_sm and enquire_links that came, receipts taken and refused, receivers
    latencies        milliseconds from writing a paced receipt to reading its answer
"""

from __future__ import annotations

import asyncio
import json
import struct
import sys
import time
from collections.abc import Iterator
from typing import Any, Final

from simulator.messages import receipt_sm
from smpp_bridge.protocol import pdu
from smpp_bridge.protocol.codec import encode
from smpp_bridge.protocol.constants import RESPONSE_BIT, CommandId

SYSTEM_ID: Final = "bench"
PASSWORD: Final = "bench"  # noqa: S105 - anybody may bind
WINDOW: Final = 1000
_HEADER: Final = struct.Struct(">IIII")
_PACE_S: Final = 0.001
_BINDS: Final = (
    CommandId.BIND_RECEIVER,
    CommandId.BIND_TRANSMITTER,
    CommandId.BIND_TRANSCEIVER,
)
_TOTALS: Final = ("submits", "checks", "taken", "refused", "receivers")
_ID: Final = b"FFFFFFFFFFFFFFFF"
_PERSON: Final = b"8613799999999"


class Receipts:
    """Receipts of messages nobody sent: number n has an id and a person of its own."""

    def __init__(self) -> None:
        request = pdu.SubmitSm(source_addr=b"10690001", destination_addr=_PERSON)
        receipt = receipt_sm(request, _ID.decode(), now_s=time.time(), is_delivered=True, err="000")
        body = encode(receipt, 0)[16:]
        self._length = 16 + len(body)
        self._body = body.replace(b"%", b"%%").replace(_ID, b"%016X").replace(_PERSON, b"86138%08d")
        if self._body.count(b"86138%08d") != 1 or self._body.index(b"86138") > self._body.index(
            b"%016X"
        ):
            raise ValueError("a receipt names the person once, before the id.")

    def frame(self, sequence: int, number: int) -> bytes:
        """One deliver_sm."""
        header = _HEADER.pack(self._length, CommandId.DELIVER_SM, 0, sequence)
        return header + self._body % (number % 10**8, number)


class RawSmsc:
    """All sessions and the totals."""

    def __init__(self) -> None:
        self.receipts = Receipts()
        self.peers: list[RawPeer] = []
        self.submits = 0
        self.checks = 0
        self.taken = 0
        self.refused = 0
        self.latencies_s: list[float] = []
        self.written: dict[tuple[RawPeer, int], float] = {}
        self._numbers: Iterator[int] = iter(())

    @property
    def receivers(self) -> int:
        """Sessions that take deliver_sm."""
        return sum(peer.is_receiver for peer in self.peers)

    def deliver(self, count: int) -> None:
        """Keep every window full until that many are sent."""
        self._numbers = iter(range(count))
        for peer in self.peers:
            self.fill(peer)

    def fill(self, peer: RawPeer) -> None:
        """Send what a session's window allows."""
        frames = []
        while peer.is_receiver and peer.unanswered + len(frames) < WINDOW:
            number = next(self._numbers, None)
            if number is None:
                break
            frames.append(self.receipts.frame(peer.next_sequence(), number))
        peer.send_receipts(frames)

    async def pace(self, rate: float, count: int) -> None:
        """Send receipts in time, in turns over the sessions."""
        sent, started_s = 0, time.perf_counter()
        receivers = [peer for peer in self.peers if peer.is_receiver]
        while sent < count:
            await asyncio.sleep(_PACE_S)
            due = min(count, int((time.perf_counter() - started_s) * rate))
            frames: dict[RawPeer, list[bytes]] = {}
            for number in range(sent, due):
                peer = receivers[number % len(receivers)]
                sequence = peer.next_sequence()
                frames.setdefault(peer, []).append(self.receipts.frame(sequence, number))
                self.written[peer, sequence] = 0.0
            for peer, some in frames.items():
                self._write_timed(peer, some)
            sent = due

    def _write_timed(self, peer: RawPeer, frames: list[bytes]) -> None:
        now_s = time.perf_counter()
        for sequence in range(peer.sequence - len(frames) + 1, peer.sequence + 1):
            self.written[peer, sequence] = now_s
        peer.send_receipts(frames)

    def answered(self, peer: RawPeer, sequence: int, status: int, now_s: float) -> None:
        """A deliver_sm_resp came."""
        peer.unanswered -= 1
        if status:
            self.refused += 1
            return
        self.taken += 1
        written_s = self.written.pop((peer, sequence), None)
        if written_s is not None:
            self.latencies_s.append(now_s - written_s)


class RawPeer(asyncio.Protocol):
    """One session: believes whatever it is told, answers at once."""

    def __init__(self, smsc: RawSmsc) -> None:
        self._smsc = smsc
        self._rest = b""
        self.is_receiver = False
        self.unanswered = 0
        self.sequence = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """An ESME connected."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._smsc.peers.append(self)

    def connection_lost(self, _error: Exception | None) -> None:
        """It is gone."""
        self._smsc.peers.remove(self)

    def next_sequence(self) -> int:
        """Of the next deliver_sm."""
        self.sequence += 1
        return self.sequence

    def send_receipts(self, frames: list[bytes]) -> None:
        """Write in one go."""
        self.unanswered += len(frames)
        if frames:
            self._transport.write(b"".join(frames))

    def data_received(self, data: bytes) -> None:
        """Octets of the ESME: answer them all with one write."""
        data, answers, now_s = self._rest + data, [], time.perf_counter()
        position, end = 0, len(data)
        while end - position >= _HEADER.size:
            length, command, status, sequence = _HEADER.unpack_from(data, position)
            if end - position < length:
                break
            position += length
            if command == CommandId.DELIVER_SM | RESPONSE_BIT:
                self._smsc.answered(self, sequence, status, now_s)
            elif not command & RESPONSE_BIT:
                answers.append(self._answer(command, sequence))
        self._rest = data[position:]
        if answers:
            self._transport.write(b"".join(answers))
        self._smsc.fill(self)

    def _answer(self, command: int, sequence: int) -> bytes:
        body = b""
        if command == CommandId.SUBMIT_SM:
            self._smsc.submits += 1
            body = b"%016X\0" % self._smsc.submits
        elif command == CommandId.ENQUIRE_LINK:
            self._smsc.checks += 1
        elif command in _BINDS:
            self.is_receiver = command != CommandId.BIND_TRANSMITTER
            body = b"raw\0"
        return _HEADER.pack(16 + len(body), command | RESPONSE_BIT, 0, sequence) + body


async def main() -> None:
    """Serve until standard input ends."""
    smsc = RawSmsc()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: RawPeer(smsc), "127.0.0.1", 0, backlog=1000)
    _say(port=server.sockets[0].getsockname()[1])
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    pacing = None
    while line := await lines.readline():
        word, *numbers = line.decode().split()
        if word == "deliver":
            smsc.deliver(int(numbers[0]))
        elif word == "pace":
            pacing = asyncio.ensure_future(smsc.pace(float(numbers[0]), int(numbers[1])))
        elif word == "latencies":
            _say(ms=[round(each * 1000, 3) for each in smsc.latencies_s])
        else:
            _say(**{name: getattr(smsc, name) for name in _TOTALS})
    if pacing is not None:
        pacing.cancel()
    server.close()


def _say(**fields: Any) -> None:
    print(json.dumps(fields), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
