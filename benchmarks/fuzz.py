"""Mutates PDUs and feeds them to all that reads what a peer sends; any exception is a defect.

    python -m benchmarks.fuzz [COUNT] [--seed N]

Documented exceptions are `PduError` of the codec and `FramingError` of the framing; a session,
a receipt, a joiner and a description never raise. Exit code 1 at the first defect, with the
octets that cause it.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from typing import Final

from smpp_bridge.protocol import pdu
from smpp_bridge.protocol.codec import HEADER, PduError, decode, encode
from smpp_bridge.protocol.constants import ESM_RECEIPT, ESM_UDHI, CommandId, Tag
from smpp_bridge.protocol.describe import describe
from smpp_bridge.protocol.fields import FIELDS
from smpp_bridge.protocol.framing import FrameBuffer, FramingError
from smpp_bridge.protocol.keywords import classify_reply
from smpp_bridge.protocol.long_messages import Joiner, messages_of
from smpp_bridge.protocol.receipts import anonymised_receipt, candidates_of, parse_receipt
from smpp_bridge.protocol.session import Session
from smpp_bridge.protocol.states import SessionState
from smpp_bridge.protocol.text import body_of

SEEDS: Final = (
    *(encode(cls(sequence_number=1)) for cls in FIELDS),
    encode(
        pdu.DeliverSm(
            source_addr=b"8613800000001",
            esm_class=ESM_RECEIPT,
            short_message=b"id:34265880701 sub:001 dlvrd:001 submit date:1709260755 "
            b"done date:180711070000012+ stat:DELIVRD err:000 text:hi",
            tlvs=((Tag.RECEIPTED_MESSAGE_ID, b"FF\0"), (Tag.MESSAGE_STATE, b"\2")),
        )
    ),
    encode(
        pdu.DataSm(
            esm_class=ESM_RECEIPT | ESM_UDHI,
            tlvs=((Tag.MESSAGE_PAYLOAD, b"\x05\0\x03\1\2\1id:1 stat:UNDELIV err:xx"),),
        )
    ),
    *map(encode, messages_of(pdu.DeliverSm(source_addr=b"861"), "STOP 退订 " * 20, method="sar")),
    *map(encode, messages_of(pdu.DeliverSm(source_addr=b"861"), "please stop texting me " * 9)),
)
COMMANDS: Final = tuple(CommandId)
BOUND: Final = (SessionState.BOUND_TRX, SessionState.OPEN, SessionState.UNBINDING)


class Target:
    """Everything that reads a peer's octets."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self._joiner = Joiner(max_messages=100)
        self._now = 0.0

    def feed(self, data: bytes, cut: int) -> None:
        """Read one mutated PDU in every way."""
        self._now += 1
        self._decode(data)
        self._session(data, cut)
        describe(data)

    def _decode(self, data: bytes) -> None:
        buffer = FrameBuffer()
        try:
            frames = buffer.feed(data)
        except FramingError:
            self.outcomes["framing lost"] += 1
            return
        for frame in frames:
            try:
                found = decode(frame)
            except PduError:
                self.outcomes["unreadable"] += 1
                continue
            self.outcomes["read"] += 1
            if isinstance(found, pdu.DeliverSm | pdu.DataSm):
                self._message(found)

    def _message(self, request: pdu.DeliverSm | pdu.DataSm) -> None:
        receipt = parse_receipt(request)
        if receipt is not None:
            self.outcomes["receipts"] += 1
            candidates_of(receipt.message_id, receipt.other_id)
        anonymised_receipt(request)
        classify_reply(body_of(request))
        self._joiner.add(request, self._now)
        self._joiner.expire(self._now)
        assert decode(encode(request, is_strict=False)) == request

    def _session(self, data: bytes, cut: int) -> None:
        role: Final = "smsc" if cut % 2 else "esme"
        session = Session(role, now=0)
        session.state = BOUND[cut % len(BOUND)]
        session.receive_data(data[:cut], 0)
        session.receive_data(data[cut:], 0)
        session.events()
        session.data_to_send()


def mutated(draw: random.Random) -> bytes:
    """A PDU with one to four faults; most keep a true length, so that its body is reached."""
    data = bytearray(draw.choice(SEEDS))
    for _ in range(draw.randint(1, 4)):
        _MUTATIONS[draw.randrange(len(_MUTATIONS))](data, draw)
    if len(data) >= HEADER.size and draw.random() < 0.9:
        data[:4] = len(data).to_bytes(4, "big")
    return bytes(data)


def _flip(data: bytearray, draw: random.Random) -> None:
    if data:
        data[draw.randrange(len(data))] = draw.choice((0, 1, 0x7F, 0x80, 0xFF, draw.randrange(256)))


def _cut(data: bytearray, draw: random.Random) -> None:
    del data[draw.randrange(len(data) + 1) :]


def _remove(data: bytearray, draw: random.Random) -> None:
    start = draw.randrange(len(data) + 1)
    del data[start : start + draw.randint(1, 4)]


def _insert(data: bytearray, draw: random.Random) -> None:
    start = draw.randrange(len(data) + 1)
    data[start:start] = draw.randbytes(draw.randint(1, 8))


def _another_command(data: bytearray, draw: random.Random) -> None:
    data[4:8] = draw.choice(COMMANDS).to_bytes(4, "big")


def _splice(data: bytearray, draw: random.Random) -> None:
    other = draw.choice(SEEDS)
    data[draw.randrange(len(data) + 1) :] = other[draw.randrange(len(other)) :]


_MUTATIONS: Final = (_flip, _flip, _flip, _cut, _remove, _insert, _another_command, _splice)


def run(count: int, seed: int) -> tuple[Counter[str], bytes | None]:
    """(outcomes, octets that raised what is not documented)."""
    draw, target = random.Random(seed), Target()
    for _ in range(count):
        data = mutated(draw)
        try:
            target.feed(data, draw.randrange(len(data) + 1))
        except Exception as error:  # noqa: BLE001 - finding the undocumented ones is the purpose
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            return target.outcomes, data
    return target.outcomes, None


def main() -> int:
    """Fuzz and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int, nargs="?", default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    started = time.perf_counter()
    outcomes, culprit = run(options.count, options.seed)
    print(
        f"{options.count:,} mutated PDUs in {time.perf_counter() - started:.0f} s: {dict(outcomes)}"
    )
    if culprit is not None:
        print(f"defect at {culprit.hex()}", file=sys.stderr)
        return 1
    print("no exception but the documented ones")
    return 0


if __name__ == "__main__":
    sys.exit(main())
