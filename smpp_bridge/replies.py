"""Long replies: their parts stay events, and the whole message becomes one more (ADR 8). Pure."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Final, NamedTuple

import msgspec

from schemas.events import InboundReceived
from smpp_bridge.mapping import fingerprint, words_of
from smpp_bridge.protocol.keywords import classify_reply
from smpp_bridge.protocol.long_messages import Joined, Joiner, Place, place_of
from smpp_bridge.protocol.pdu import DataSm, DeliverSm
from smpp_bridge.protocol.text import AnyEncoding

DAY_S: Final = 86_400
_KEPT: Final = 1_000
"""Events of wholes that may have to be published again, 1 MB."""


class Taken(NamedTuple):
    """What is to be published of one PDU: its event and, with the last part, the whole's."""

    events: tuple[InboundReceived, ...]
    is_new: bool
    """Whether it begins a reply."""


class Replies:
    """The unfinished long replies of one connection; bounded by time, count and octets.

    Not kept over a restart: the parts that came before have told that there was a reply.
    """

    def __init__(self, default_encoding: AnyEncoding = "gsm7") -> None:
        self._joiner = Joiner(default_encoding=default_encoding)
        self._wholes: OrderedDict[str, InboundReceived] = OrderedDict()
        self.incomplete = 0
        """Messages whose missing parts are waited for no longer."""

    def take(self, request: DeliverSm | DataSm, event: InboundReceived) -> Taken:
        """The events of a reply, whose own event is `event`.

        A part that comes again brings the whole's event again: perhaps Kafka did not take it.
        """
        place = place_of(request)
        if place is None:
            return Taken((event,), is_new=True)
        now_s = event.occurred_at_ms / 1000
        is_new = self._joiner.since(request) is None
        joined = self._joiner.add(request, now_s)
        self.expire(event.occurred_at_ms)  # what the limits have pushed out is let go at once
        since_s = self._joiner.since(request)
        since_s = now_s if since_s is None else since_s  # the limits have pushed it out
        part = msgspec.structs.replace(event, reply_id=_reply_id(event, place, since_s))
        whole = self._whole(part, joined, round(since_s * 1000))
        return Taken((part,) if whole is None else (part, whole), is_new)

    def expire(self, now_ms: int) -> None:
        """Let time pass: give up what stays incomplete."""
        self.incomplete += len(self._joiner.expire(now_ms / 1000))

    def _whole(
        self, part: InboundReceived, joined: Joined | None, since_ms: int
    ) -> InboundReceived | None:
        assert part.reply_id is not None
        if joined is None:
            return self._wholes.get(part.reply_id)
        digest = hashlib.blake2b(digest_size=8)
        for request in joined.requests:
            digest.update(fingerprint(request, part.connection).encode())
        whole = msgspec.structs.replace(
            part,
            event_id=f"{part.reply_id}-{digest.hexdigest()}",
            occurred_at_ms=since_ms,
            part=0,
            segments=joined.total,
            **words_of(classify_reply(joined.text)),
        )
        self._wholes[part.reply_id] = whole
        if len(self._wholes) > _KEPT:
            self._wholes.popitem(last=False)
        return whole


def _reply_id(event: InboundReceived, place: Place, since_s: float) -> str:
    """The same for every part, in any order, however often, and after a restart.

    Without the text, since a part knows only its own; so the day of the first part tells
    messages apart whose phone uses the same reference for all.
    """
    names = (event.subject, event.destination_addr, *map(str, place[:3]))
    digest = hashlib.blake2b("\0".join(names).encode(), digest_size=16)
    return f"{digest.hexdigest()}-{int(since_s) // DAY_S}"
