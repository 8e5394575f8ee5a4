"""deliver_sm and data_sm → Kafka → and only then the answer."""

from __future__ import annotations

from collections.abc import Callable

from runtime.kafka import KafkaPublisher
from schemas.events import ReceiptReceived
from schemas.subject import Tokenizer
from schemas.topics import INBOUND_RECEIVED
from smpp_bridge import mapping
from smpp_bridge.adapters.clock import now_ms
from smpp_bridge.adapters.counts import Counts
from smpp_bridge.adapters.link import Link
from smpp_bridge.protocol.codec import encode
from smpp_bridge.protocol.constants import CommandStatus
from smpp_bridge.protocol.pdu import DataSm, DeliverSm, Pdu


class Receiver:
    """Publishes what the SMSC delivers. What cannot be understood goes to the dead letters."""

    def __init__(
        self,
        *,
        connection: str,
        publisher: KafkaPublisher,
        tokenizer: Tokenizer,
        default_region: str,
        counts: Counts,
    ) -> None:
        self._connection = connection
        self._publisher = publisher
        self._tokenizer = tokenizer
        self._default_region = default_region
        self._counts = counts

    def received(self, link: Link, request: Pdu) -> None:
        """Publish; the answer follows when Kafka has it."""
        answer = _answer(link, request)
        if not isinstance(request, (DeliverSm, DataSm)):
            answer(None)
            return
        try:
            event = mapping.received(
                request,
                connection=self._connection,
                tokenizer=self._tokenizer,
                default_region=self._default_region,
                now_ms=now_ms(),
            )
        except ValueError as error:
            self._dead_letter(encode(request, is_strict=False), str(error), answer)
            return
        if isinstance(event, ReceiptReceived):
            self._counts.receipts += 1
        else:
            self._counts.inbound += 1
        self._publisher.put_event(event, answer)

    def unparsed(self, frame: bytes, reason: str) -> None:
        """A PDU that could not be read; the session has refused it already."""
        self._dead_letter(frame, reason, lambda _error: None)

    def _dead_letter(
        self, frame: bytes, reason: str, done: Callable[[BaseException | None], None]
    ) -> None:
        self._counts.unreadable += 1
        self._publisher.dead_letter(
            INBOUND_RECEIVED.name, frame, reason, done, connection=self._connection
        )


def _answer(link: Link, request: Pdu) -> Callable[[BaseException | None], None]:
    def answer(error: BaseException | None) -> None:
        status = CommandStatus.ROK if error is None else CommandStatus.RX_T_APPN
        link.session.respond(request, status)  # a temporary error makes the SMSC send it again
        link.flush_soon()

    return answer
