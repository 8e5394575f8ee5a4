"""What the proxy knows of passing messages: their names and tags. Pure, bounded."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable
from typing import Final, Generic, NamedTuple, TypeVar

from msgspec import UNSET

from schemas.events import ConnectionGroup, MessageSubmitted
from schemas.subject import Tokenizer
from smpp_bridge.configuration import ContentTag
from smpp_bridge.mapping import msisdn_of
from smpp_bridge.protocol.long_messages import place_of
from smpp_bridge.protocol.pdu import DataSm, SubmitSm
from smpp_bridge.protocol.text import (
    MAX_PARTS,
    AnyEncoding,
    Encoding,
    body_of,
    data_of,
    encoding_of_coding,
)

MAX_LONG: Final = 10_000
"""Long messages whose parts are still coming."""
LONG_MS: Final = 300_000
"""So long parts of one reference are parts of one message, a part sent again included."""
_OCTETS: Final[dict[Encoding, tuple[int, int]]] = {"gsm7": (160, 153), "ucs2": (140, 134)}
"""Of one segment alone and of one among several, as they stand in SMPP (GSM-7 unpacked)."""
K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """The newest `size` entries."""

    __slots__ = ("_entries", "_size")

    def __init__(self, size: int) -> None:
        self._entries: OrderedDict[K, V] = OrderedDict()
        self._size = size

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K) -> V | None:
        """What is known of a key."""
        return self._entries.get(key)

    def put(self, key: K, value: V) -> None:
        """Remember; the oldest is forgotten when there are too many."""
        self._entries.pop(key, None)
        self._entries[key] = value
        if len(self._entries) > self._size:
            self._entries.popitem(last=False)


class Tagger:
    """Names what a text is about by configured rules; the first that matches.

    `default`: what data_coding 0 means at the SMSC.
    """

    def __init__(self, rules: Iterable[ContentTag], default: AnyEncoding = "gsm7") -> None:
        self._rules = tuple(rules)
        self.default: AnyEncoding = default

    def tag_of(self, request: SubmitSm | DataSm) -> str | None:
        """The tag of a message, or `None`; the text is decoded only where a rule asks for it."""
        needs_text = any(rule.text is not None for rule in self._rules)
        text = body_of(request, self.default) if needs_text else ""
        return self.tag(text, request.source_addr.decode("latin-1"))

    def tag(self, text: str, source_addr: str) -> str | None:
        """The tag of a text from a sender, or `None`."""
        for rule in self._rules:
            if rule.text is not None and not rule.text.search(text):
                continue
            if rule.source_addr is not None and not rule.source_addr.search(source_addr):
                continue
            return rule.tag
        return None


class _Long(NamedTuple):
    message_id: str
    content_tag: str | None
    until_ms: int


class Clerk:
    """Writes down passing submit_sm as events without number and text."""

    def __init__(
        self,
        *,
        connection: str,
        connection_group: ConnectionGroup = UNSET,
        tokenizer: Tokenizer,
        tagger: Tagger,
        region: str,
        instance: str,
    ) -> None:
        self._connection = connection
        self._group = connection_group
        self._tokenizer = tokenizer
        self._tagger = tagger
        self._region = region
        self._instance = instance
        self._count = 0
        self._long: Recent[tuple[object, ...], _Long] = Recent(MAX_LONG)

    def write_down(self, request: SubmitSm | DataSm, account: str, now_ms: int) -> MessageSubmitted:
        """The event of a request before it is answered, hence `unknown`.

        Parts of one long message share a message_id, and the tag of the part that has one.

        Raises:
            UnreadableAddress: If its destination is no phone number.
        """
        number = msisdn_of(request.destination_addr, self._region, request.dest_addr_ton)
        subject = self._tokenizer.token(number)
        self._count += 1
        name = f"{self._instance}-{self._count}"
        source_addr = request.source_addr.decode("latin-1")
        tag = self._tagger.tag_of(request)
        place = place_of(request)
        message_id = name
        if place is not None:
            key = (account, source_addr, subject, place.kind, place.reference, place.total)
            known = self._long.get(key)
            if known is None or known.until_ms < now_ms:
                known = _Long(name, None, now_ms + LONG_MS)
            message_id, tag = known.message_id, known.content_tag or tag
            self._long.put(key, known._replace(content_tag=tag))
        written = encoding_of_coding(request.data_coding, self._tagger.default)
        encoding: Encoding = "ucs2" if written == "ucs2" else "gsm7"
        return MessageSubmitted(
            event_id=name,
            occurred_at_ms=now_ms,
            subject=subject,
            message_id=message_id,
            connection=self._connection,
            connection_group=self._group,
            source_addr=source_addr,
            outcome="unknown",
            part=place.number if place else 1,
            parts=place.total if place else 1,
            segments=1 if place else _segments_of(data_of(request)[1], encoding),
            encoding=encoding,
            account=account,
            content_tag=tag,
        )


def _segments_of(body: bytes, encoding: Encoding) -> int:
    """Of a message that the SMSC will split itself (message_payload); by octets: it may be long.

    No phone joins more than 255 parts, whatever 64 KiB would make.
    """
    single, each = _OCTETS[encoding]
    return 1 if len(body) <= single else min(-(-len(body) // each), MAX_PARTS)
