"""deliver_sm and data_sm → Kafka → and only then the answer."""

from __future__ import annotations

from collections.abc import Callable

from runtime.kafka import Done
from schemas.events import ReceiptReceived
from schemas.subject import Tokenizer
from schemas.topics import INBOUND_RECEIVED
from smpp_bridge import mapping
from smpp_bridge.adapters.clock import now_ms
from smpp_bridge.adapters.counts import Counts
from smpp_bridge.adapters.link import Link
from smpp_bridge.adapters.recorder import EventPublisher
from smpp_bridge.configuration import ConnectionConfig
from smpp_bridge.protocol.codec import encode
from smpp_bridge.protocol.constants import CommandStatus
from smpp_bridge.protocol.pdu import DataSm, DeliverSm, Request


class Receiver:
    """Publishes what the SMSC delivers. What cannot be understood goes to the dead letters.

    `stored` is called when Kafka has it and decides the answer; by default that is ROK.
    """

    def __init__(
        self,
        config: ConnectionConfig,
        *,
        publisher: EventPublisher,
        tokenizer: Tokenizer,
        counts: Counts,
        stored: Callable[[Link, DeliverSm | DataSm], None] | None = None,
    ) -> None:
        self._config = config
        self._publisher = publisher
        self._tokenizer = tokenizer
        self._counts = counts
        self._stored = stored or _accept

    def received(self, link: Link, request: Request) -> None:
        """Publish; the answer follows when Kafka has it."""
        if not isinstance(request, (DeliverSm, DataSm)):
            link.refuse(request)
            return
        try:
            self._publish(request, self._answer(link, request))
        except Exception as error:  # noqa: BLE001 - one PDU must not end the session
            self._counts.failed(error)
            link.respond(request, CommandStatus.RSYSERR)

    def _publish(self, request: DeliverSm | DataSm, answer: Done) -> None:
        try:
            event = mapping.received(
                request,
                connection=self._config.name,
                tokenizer=self._tokenizer,
                rules=self._config.receipts,
                default_region=self._config.default_region,
                now_ms=now_ms(),
            )
        except ValueError as error:
            self._dead_letter(encode(request, is_strict=False), str(error), answer)
            return
        self._publisher.put_event(event, answer)
        if isinstance(event, ReceiptReceived):
            self._counts.receipt(event.state)
        else:
            self._counts.inbound += 1

    def unparsed(self, frame: bytes, reason: str) -> None:
        """A PDU that could not be read; the session has refused it already."""
        self._dead_letter(frame, reason, lambda _error: None)

    def _dead_letter(self, frame: bytes, reason: str, done: Done) -> None:
        self._counts.unreadable += 1
        self._publisher.dead_letter(
            INBOUND_RECEIVED.name, frame, reason, done, connection=self._config.name
        )

    def _answer(self, link: Link, request: DeliverSm | DataSm) -> Done:
        came_at = link.now()

        def answer(error: BaseException | None) -> None:
            self._counts.ack_latency.observe(link.now() - came_at)
            if error is None:
                self._stored(link, request)
                return
            self._counts.unstored += 1
            link.respond(request, self._config.failed_publish_status)  # so that it comes again

        return answer


def _accept(link: Link, request: DeliverSm | DataSm) -> None:
    link.respond(request, CommandStatus.ROK)
