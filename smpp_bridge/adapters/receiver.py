"""deliver_sm and data_sm → Kafka → and only then the answer."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from runtime.kafka import Done
from schemas.events import InboundReceived
from schemas.subject import Tokenizer
from schemas.topics import INBOUND_RECEIVED
from smpp_bridge import mapping
from smpp_bridge.adapters.clock import now_ms
from smpp_bridge.adapters.counts import Counts
from smpp_bridge.adapters.link import Link
from smpp_bridge.adapters.recorder import EventPublisher
from smpp_bridge.adapters.seldom import SeldomLog
from smpp_bridge.configuration import ConnectionConfig
from smpp_bridge.protocol.codec import encode
from smpp_bridge.protocol.constants import (
    ESM_INTERMEDIATE,
    ESM_RECEIPT,
    ESM_TYPE_MASK,
    CommandStatus,
)
from smpp_bridge.protocol.pdu import DataSm, DeliverSm, MessageResp, Pdu, Request
from smpp_bridge.protocol.receipts import anonymised_receipt
from smpp_bridge.protocol.session import octets_of
from smpp_bridge.replies import Replies
from smpp_bridge.shares import Shares
from smpp_bridge.spellings import Spellings
from smpp_bridge.unreadable import place_of_error, written_down

MAX_UNOWED: Final = 1000
"""Dead letters that nobody waits for and Kafka has not confirmed, of a connection: about 3 MB.
Their PDUs are refused at once, so no window of the SMSC bounds them."""

_seldom: Final = SeldomLog(logging.getLogger(__name__))


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
        self._replies = Replies(config.default_encoding)
        self._spellings = Spellings(counts.spellings)
        self._unowed = 0
        self._held = Shares(
            1,
            messages=config.max_unacknowledged * (config.binds + 1),
            octets=config.max_unacknowledged_bytes * (config.binds + 1),
        )
        """Of all links, dead ones too: an SMSC that binds anew while Kafka is away brings a
        windowful each time."""

    def received(self, link: Link, request: Request) -> None:
        """Publish; the answer follows when Kafka has it."""
        if not isinstance(request, (DeliverSm, DataSm)):
            link.refuse(request)
            return
        octets = octets_of(request)
        if not self._held.take("", octets):
            self._refuse(link, request)
            return
        try:
            self._publish(request, self._answer(link, request, octets))
        except Exception as error:  # noqa: BLE001 - one PDU must not end the session
            self._held.give("", octets)
            self._counts.failed(error)
            link.respond(request, CommandStatus.RSYSERR)  # the SMSC keeps it
            with suppress(Exception):  # told already
                self._bury(request, place_of_error(error))

    def _publish(self, request: DeliverSm | DataSm, answer: Done) -> None:
        try:
            event = mapping.received(
                request,
                connection=self._config.name,
                connection_group=self._config.group,
                tokenizer=self._tokenizer,
                rules=self._config.receipts,
                default_region=self._config.default_region,
                default_encoding=self._config.default_encoding,
                now_ms=now_ms(),
            )
        except mapping.UnreadableAddress as error:
            self._bury(request, str(error), answer)
            return
        if isinstance(event, InboundReceived):
            self._put_reply(request, event, answer)
            return
        self._counts.receipt(event.state)
        self._spellings.reported(event)
        self._publisher.put_event(event, answer)  # last: what is published answers for itself

    def answered(self, response: Pdu, subject: str) -> None:
        """A submit_sm has its answer; receipts will name its id, in some spelling."""
        if self._spellings.is_due and isinstance(response, MessageResp):
            self._spellings.answered(response.message_id, subject)

    def tick(self) -> None:
        """Once a second: no part waits for the others for ever; one more id is watched."""
        self._spellings.tick()
        self._replies.expire(now_ms())
        self._counts.incomplete = self._replies.incomplete

    def _put_reply(self, request: DeliverSm | DataSm, event: InboundReceived, answer: Done) -> None:
        taken = self._replies.take(request, event)
        self._counts.inbound += taken.is_new
        stored = answer if len(taken.events) == 1 else _when_all(len(taken.events), answer)
        for each in taken.events:
            self._publisher.put_event(each, stored)

    def unparsed(self, frame: bytes, reason: str) -> None:
        """A PDU that could not be read; the session has refused it already."""
        self._write_down(frame, reason)

    def _bury(self, request: DeliverSm | DataSm, reason: str, done: Done | None = None) -> None:
        frame = encode(request, is_strict=False)
        is_receipt = request.esm_class & ESM_TYPE_MASK in (ESM_RECEIPT, ESM_INTERMEDIATE)
        words = anonymised_receipt(request) if is_receipt else ""
        self._write_down(frame, reason, words, done)

    def _write_down(
        self, frame: bytes, reason: str, words: str = "", done: Done | None = None
    ) -> None:
        """Without `done` nobody waits for it, and while too many of these wait it is not kept."""
        self._counts.unreadable += 1
        name = self._config.name
        if done is None and self._unowed >= MAX_UNOWED:
            _seldom.warning("an unreadable PDU is not kept: Kafka is behind", connection=name)
            return
        letter = written_down(frame, self._tokenizer, words)
        self._publisher.dead_letter(
            INBOUND_RECEIVED.name, letter, reason, done or self._confirmed, connection=name
        )
        self._unowed += done is None

    def _confirmed(self, _error: BaseException | None) -> None:
        self._unowed -= 1

    def _refuse(self, link: Link, request: DeliverSm | DataSm) -> None:
        """So that it comes again."""
        self._counts.unstored += 1
        link.respond(request, self._config.failed_publish_status)

    def _answer(self, link: Link, request: DeliverSm | DataSm, octets: int) -> Done:
        came_at = link.now()

        def answer(error: BaseException | None) -> None:
            self._held.give("", octets)
            self._counts.ack_latency.observe(link.now() - came_at)
            if error is None:
                self._stored(link, request)
            else:
                self._refuse(link, request)

        return answer


def _when_all(number: int, answer: Done) -> Done:
    """Called once for each of several records; answers after the last, with an error if any."""
    errors: list[BaseException | None] = []

    def done(error: BaseException | None) -> None:
        errors.append(error)
        if len(errors) == number:
            answer(next(filter(None, errors), None))

    return done


def _accept(link: Link, request: DeliverSm | DataSm) -> None:
    link.respond(request, CommandStatus.ROK)
