"""The thousand messages, and what must be in Kafka after a foreign peer had them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from schemas.events import InboundReceived, MessageSubmitted, ReceiptReceived
from schemas.topics import INBOUND_RECEIVED, MESSAGE_RECEIPT, MESSAGE_SUBMITTED
from tests.support.bridge import TOKENIZER
from tests.support.topics import TopicReader, wait_until

COUNT: Final = 1000
SENDER: Final = "10690001"
SHORT_GSM: Final = "{} @shop: 5€ off [today], £2 back"
SHORT_UCS2: Final = "【云店】{}:优惠券😀"
LONG_GSM: Final = "{} " + "The quick brown fox. " * 9
"""194 characters: two parts of at most 153."""
LONG_UCS2: Final = "{} " + "满一百减二十" * 15
"""95 characters: two parts of at most 67."""
MIX: Final = (SHORT_GSM,) * 5 + (SHORT_UCS2,) * 3 + (LONG_GSM, LONG_UCS2)
PARTS: Final = COUNT + COUNT * 2 // len(MIX)
"""The last two of each ten have two."""
STOP_EVERY: Final = 20
"""Number 0, 20, 40 … replies STOP, number 10, 30, 50 … replies 退订."""
REPLIES: Final = COUNT // STOP_EVERY * 2
WITHIN_S: Final = 90


@dataclass(frozen=True)
class Message:
    """One message."""

    number: int

    @property
    def to(self) -> str:
        """The person's number."""
        return f"86138{self.number:08d}"

    @property
    def text(self) -> str:
        """Four kinds in turn."""
        return MIX[self.number % len(MIX)].format(f"{self.number:04d}")

    @property
    def is_ucs2(self) -> bool:
        """Whether GSM 03.38 has no letters for it."""
        return MIX[self.number % len(MIX)] in {SHORT_UCS2, LONG_UCS2}


def replies_due() -> dict[str, str]:
    """Person → reply."""
    every = STOP_EVERY // 2
    return {m.to: "退订" if m.number % STOP_EVERY else "STOP" for m in MESSAGES[::every]}


MESSAGES: Final = tuple(Message(number) for number in range(COUNT))
TEXTS: Final = {message.to: message.text for message in MESSAGES}


def joined(parts: Iterable[dict[str, Any]]) -> dict[str, str]:
    """Person → text, of what a peer has told: {to, part, text}."""
    texts: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
    for part in parts:
        texts[part["to"]].append((part["part"], part["text"]))
    return {to: "".join(text for _, text in sorted(found)) for to, found in texts.items()}


class Ledger:
    """What Kafka holds of one connection."""

    def __init__(
        self, connection: str, readers: tuple[TopicReader, TopicReader, TopicReader]
    ) -> None:
        self._connection = connection
        self._readers = readers

    @property
    def submitted(self) -> list[MessageSubmitted]:
        """Results."""
        return self._of(0, MessageSubmitted)

    @property
    def receipts(self) -> list[ReceiptReceived]:
        """Receipts."""
        return self._facts(1, ReceiptReceived)

    @property
    def replies(self) -> list[InboundReceived]:
        """Replies."""
        return self._facts(2, InboundReceived)

    def _of(self, index: int, of: type[Any]) -> list[Any]:
        found = self._readers[index].events(of)
        return [event for event in found if event.connection == self._connection]

    def _facts(self, index: int, of: type[Any]) -> list[Any]:
        """Without the second copies of what an SMSC sent again: they have the same event_id."""
        return list({event.event_id: event for event in self._of(index, of)}.values())

    def _counts(self) -> tuple[int, ...]:
        name = self._connection.encode()
        return tuple(sum(name in value for value in each.values) for each in self._readers)

    async def wait_for(self, submitted: int, receipts: int, replies: int) -> None:
        """Until so many events are there."""
        wanted = (submitted, receipts, replies)

        def is_complete() -> bool:
            if any(has < due for has, due in zip(self._counts(), wanted, strict=True)):
                return False  # counting is cheaper than decoding
            return len(self.receipts) >= receipts and len(self.replies) >= replies

        try:
            await wait_until(is_complete, WITHIN_S)
        except TimeoutError as error:
            raise AssertionError(f"in Kafka {self._counts()}, must be {wanted}") from error


@asynccontextmanager
async def ledger(kafka: str, connection: str) -> AsyncIterator[Ledger]:
    """Reads the three topics while the block runs."""
    topics = (MESSAGE_SUBMITTED, MESSAGE_RECEIPT, INBOUND_RECEIVED)
    async with AsyncExitStack() as stack:
        readers = [
            await stack.enter_async_context(TopicReader(kafka, topic.name)) for topic in topics
        ]
        yield Ledger(connection, (readers[0], readers[1], readers[2]))


def check_results(found: Ledger, twice: int = 0) -> None:
    """Every part was accepted once, under an id of its own; so many ids may come twice."""
    results = found.submitted
    assert Counter(event.outcome for event in results) == {"accepted": PARTS}
    assert len({event.event_id for event in results}) == PARTS
    assert len({event.smsc_message_id for event in results}) >= PARTS - twice
    people = Counter(event.subject for event in results)
    long = len(MIX) - 2
    expected = {TOKENIZER.token(m.to): 1 + (m.number % len(MIX) >= long) for m in MESSAGES}
    assert people == expected


def check_receipts(found: Ledger, unreported: int = 0) -> None:
    """Each part has its receipt: same person, and an id that is a spelling of its own.

    `unreported` are those for which the ESME wanted none.
    """
    due = {
        (event.subject, (event.smsc_message_id or "").casefold()): event
        for event in found.submitted
    }
    receipts = found.receipts
    for receipt in receipts:
        names = {receipt.smsc_message_id.casefold(), *receipt.candidates}
        matches = [name for name in names if (receipt.subject, name) in due]
        assert len(matches) == 1, receipt.smsc_message_id
        del due[receipt.subject, matches[0]]
    assert len(due) == unreported
    assert {(event.state, event.is_final) for event in receipts} == {("DELIVERED", True)}


def check_replies(found: Ledger) -> None:
    """Every opt-out in either language is one, and the person's."""
    due = {
        (TOKENIZER.token(to), "gsm7" if text.isascii() else "ucs2")
        for to, text in replies_due().items()
    }
    replies = found.replies
    assert {(event.subject, event.encoding) for event in replies} == due
    assert len(replies) == REPLIES
    assert all(event.is_opt_out for event in replies)
