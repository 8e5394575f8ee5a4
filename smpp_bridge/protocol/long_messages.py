"""Long messages: one text → several PDUs, and several PDUs in any order → one text. Pure.

Four ways are in use: UDH with an 8-bit or a 16-bit reference (3GPP 23.040 §9.2.3.24), the
sar TLVs (SMPP 3.4 §5.3.2.22-24), and message_payload (§5.3.2.32), which is one PDU.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple, TypeVar

import msgspec

from smpp_bridge.protocol import sizes
from smpp_bridge.protocol.constants import ESM_UDHI, Tag
from smpp_bridge.protocol.pdu import DataSm, Message
from smpp_bridge.protocol.text import (
    CODINGS,
    MAX_PARTS,
    AnyEncoding,
    Encoding,
    concatenation_of,
    data_of,
    decode_text,
    encode_text,
    encoding_of,
    encoding_of_coding,
    octets_of,
    split_text,
)

Method = Literal["udh8", "udh16", "sar", "payload"]
TTL_S: Final = 300.0
"""How long the missing parts are waited for: as Jasmin does; handsets send within seconds."""
MAX_MESSAGES: Final = 10_000
MAX_OCTETS: Final = 16 * 1024 * 1024
"""Of unfinished messages: a peer that never sends its last parts costs this much, not more."""
PART_OCTETS: Final = 512
"""What a part costs beside its strings and TLVs (a DeliverSm takes 400): empty parts count, too."""
_MAX_NAME: Final = 64
"""Octets of the longest address that SMPP has (§4.7.1)."""
_REMEMBERED_PARTS: Final = 100_000
"""Of finished messages, 10 MB."""
_M = TypeVar("_M", bound=Message)


def messages_of(
    template: _M,
    text: str,
    *,
    method: Method = "udh8",
    reference: int = 0,
    encoding: Encoding | None = None,
) -> list[_M]:
    """The PDUs of a text; addresses and flags are those of `template`.

    Raises:
        ValueError: If it needs more than 255 parts or 65,535 octets.
    """
    encoding = encoding or encoding_of(text)
    whole = msgspec.structs.replace(template, data_coding=CODINGS[encoding])
    if method == "payload":
        return [_with(whole, b"", (Tag.MESSAGE_PAYLOAD, octets_of(text, encoding)))]
    if method == "sar":
        return _sar_parts(whole, text, encoding, reference)
    encoded = encode_text(
        text, reference=reference, encoding=encoding, is_reference_wide=method == "udh16"
    )
    if encoded.has_udh:
        whole = msgspec.structs.replace(whole, esm_class=whole.esm_class | ESM_UDHI)
    return [_with(whole, part) for part in encoded.parts]


def _sar_parts(whole: _M, text: str, encoding: Encoding, reference: int) -> list[_M]:
    bodies = [octets_of(piece, encoding) for piece in split_text(text, encoding)]
    if len(bodies) == 1:
        return [_with(whole, bodies[0])]
    if len(bodies) > MAX_PARTS:
        raise ValueError(f"text needs {len(bodies)} parts, must be at most {MAX_PARTS}.")
    return [
        _with(
            whole,
            body,
            (Tag.SAR_MSG_REF_NUM, (reference & 0xFFFF).to_bytes(2, "big")),
            (Tag.SAR_TOTAL_SEGMENTS, bytes((len(bodies),))),
            (Tag.SAR_SEGMENT_SEQNUM, bytes((number,))),
        )
        for number, body in enumerate(bodies, 1)
    ]


def _with(whole: _M, body: bytes, *tlvs: tuple[int, bytes]) -> _M:
    return msgspec.structs.replace(whole, short_message=body, tlvs=(*whole.tlvs, *tlvs))


class Place(NamedTuple):
    """Where a part stands in its message. `kind` keeps references of different ways apart."""

    kind: Literal["udh", "sar"]
    reference: int
    total: int
    number: int


def place_of(request: Message | DataSm) -> Place | None:
    """The part's place, or `None` for a whole message and for numbers that cannot be true."""
    place = _udh_place(request) or _sar_place(request)
    if place is None or place.total < 2 or not 1 <= place.number <= place.total <= MAX_PARTS:
        return None
    return place


def _udh_place(request: Message | DataSm) -> Place | None:
    found = concatenation_of(data_of(request)[0])
    return None if found is None else Place("udh", *found)


def _sar_place(request: Message | DataSm) -> Place | None:
    tags = (Tag.SAR_MSG_REF_NUM, Tag.SAR_TOTAL_SEGMENTS, Tag.SAR_SEGMENT_SEQNUM)
    values = [request.tlv(tag) for tag in tags]
    if not all(value and len(value) <= 2 for value in values):  # 2, 1, 1; some pad, none needs more
        return None
    reference, total, number = (int.from_bytes(value or b"", "big") for value in values)
    return Place("sar", reference, total, number)


@dataclass(frozen=True, slots=True)
class Joined:
    """A message of which all parts, or no more parts, will come. `requests` by part number."""

    requests: tuple[Message | DataSm, ...]
    total: int
    text: str

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing."""
        return len(self.requests) == self.total


@dataclass(slots=True)
class _Unfinished:
    since: float
    parts: dict[int, Message | DataSm] = field(default_factory=dict)
    octets: int = 0


class _Finished(NamedTuple):
    at: float
    since: float
    hashes: dict[int, int]
    """Part number → hash of its body."""


_Key = tuple[Any, bytes, bytes, str, int, int]


class Joiner:
    """Joins parts in any order and interleaved; bounded by time, count and octets."""

    def __init__(
        self,
        *,
        ttl_s: float = TTL_S,
        max_messages: int = MAX_MESSAGES,
        max_octets: int = MAX_OCTETS,
        default_encoding: AnyEncoding = "gsm7",
    ) -> None:
        self._ttl_s = ttl_s
        self._default = default_encoding
        self._max_messages = max_messages
        self._max_octets = max_octets
        self._unfinished: OrderedDict[_Key, _Unfinished] = OrderedDict()
        self._finished: OrderedDict[_Key, _Finished] = OrderedDict()
        self._remembered = 0
        self._given_up: list[Joined] = []
        self.octets = 0
        """Of the unfinished messages, with `PART_OCTETS` for each part."""

    def __len__(self) -> int:
        return len(self._unfinished)

    def add(self, request: Message | DataSm, now: float, connection: Any = None) -> Joined | None:
        """Take a message; the whole one once its last part is here, else `None`.

        A part that comes again changes nothing. The same number with other octets is a new
        message under an old reference: the old one is given up.
        """
        place = place_of(request)
        if place is None:
            return self._joined([request], 1)
        key = _key_of(request, place, connection)
        data = data_of(request)[1]
        if self._is_repeated(key, place.number, data):
            return None
        waiting = self._unfinished.get(key)
        if waiting is not None and place.number in waiting.parts:
            if data_of(waiting.parts[place.number])[1] == data:
                return None
            self._give_up(key)
        return self._take(key, place, request, now)

    def since(self, request: Message | DataSm, connection: Any = None) -> float | None:
        """When the first part of a part's message came; `None` if no part is remembered."""
        place = place_of(request)
        if place is None:
            return None
        key = _key_of(request, place, connection)
        known = self._unfinished.get(key) or self._finished.get(key)
        return None if known is None else known.since

    def expire(self, now: float) -> list[Joined]:
        """Messages that stay incomplete: too old, or pushed out by the limits."""
        while self._unfinished:
            key, oldest = next(iter(self._unfinished.items()))
            if now - oldest.since < self._ttl_s:
                break
            self._give_up(key)
        while self._finished and now - next(iter(self._finished.values())).at >= self._ttl_s:
            self._forget_oldest()
        given_up, self._given_up = self._given_up, []
        return given_up

    def _take(
        self, key: _Key, place: Place, request: Message | DataSm, now: float
    ) -> Joined | None:
        waiting = self._unfinished.setdefault(key, _Unfinished(now))
        size = PART_OCTETS + sizes.content_octets(request)
        waiting.parts[place.number] = request
        waiting.octets += size
        self.octets += size
        if len(waiting.parts) < place.total:
            self._keep_limits()
            return None
        del self._unfinished[key]
        self.octets -= waiting.octets
        self._remember(key, waiting, now)
        return self._joined([waiting.parts[n] for n in sorted(waiting.parts)], place.total)

    def _is_repeated(self, key: _Key, number: int, data: bytes) -> bool:
        finished = self._finished.get(key)
        return finished is not None and finished.hashes.get(number) == hash(data)

    def _remember(self, key: _Key, waiting: _Unfinished, now: float) -> None:
        """An operator that missed our answer sends a part again, of a message that is done."""
        old = self._finished.pop(key, None)
        self._remembered += key[-1] * (old is None)
        hashes = {number: hash(data_of(part)[1]) for number, part in waiting.parts.items()}
        self._finished[key] = _Finished(now, waiting.since, hashes)
        while len(self._finished) > self._max_messages or self._remembered > _REMEMBERED_PARTS:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        key, _ = self._finished.popitem(last=False)
        self._remembered -= key[-1]

    def _keep_limits(self) -> None:
        while len(self._unfinished) > self._max_messages or self.octets > self._max_octets:
            self._give_up(next(iter(self._unfinished)))

    def _give_up(self, key: _Key) -> None:
        waiting = self._unfinished.pop(key)
        self.octets -= waiting.octets
        requests = [waiting.parts[number] for number in sorted(waiting.parts)]
        self._given_up.append(self._joined(requests, key[-1]))

    def _joined(self, requests: list[Message | DataSm], total: int) -> Joined:
        return Joined(tuple(requests), total, _text_of(requests, self._default))


def _key_of(request: Message | DataSm, place: Place, connection: Any) -> _Key:
    return (
        connection,
        _name_of(request.source_addr),
        _name_of(request.destination_addr),
        *place[:3],
    )


def _name_of(address: bytes) -> bytes:
    """A finished message is remembered by it, so it must not be 64 KiB long."""
    return address if len(address) <= _MAX_NAME else hashlib.sha256(address).digest()


def _text_of(requests: list[Message | DataSm], default: AnyEncoding) -> str:
    """Octets are joined before they are decoded: some senders tear pairs between parts."""
    coding = requests[0].data_coding
    bodies = [data_of(request)[1] for request in requests]
    if any(request.data_coding != coding for request in requests):
        codings = [request.data_coding for request in requests]
        return "".join(decode_text(b, c, default) for b, c in zip(bodies, codings, strict=True))
    if encoding_of_coding(coding, default) == "ucs2":
        bodies = [body[: len(body) & ~1] for body in bodies]
    return decode_text(b"".join(bodies), coding, default)
