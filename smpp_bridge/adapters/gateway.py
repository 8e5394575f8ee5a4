"""Gateway mode of one connection: requests from Kafka out, receipts and replies in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from runtime.kafka import KafkaPublisher
from runtime.process import CannotRun
from schemas.subject import Tokenizer
from smpp_bridge.adapters.counts import Counts
from smpp_bridge.adapters.election import Turn
from smpp_bridge.adapters.journal import Journal
from smpp_bridge.adapters.link import Link
from smpp_bridge.adapters.links import Links
from smpp_bridge.adapters.receiver import Receiver
from smpp_bridge.adapters.requests import Requests
from smpp_bridge.adapters.submitter import Submitter
from smpp_bridge.configuration import ConnectionConfig
from smpp_bridge.protocol import session_events
from smpp_bridge.protocol.session_events import SessionEvent


class Gateway:
    """One connection."""

    def __init__(
        self,
        config: ConnectionConfig,
        *,
        bootstrap: str,
        publisher: KafkaPublisher,
        journal: Journal,
        tokenizer: Tokenizer,
        turn: Turn,
        fail: Callable[[BaseException], None],
        refused: Callable[[CannotRun], None],
    ) -> None:
        self.config = config
        self.counts = Counts()
        self.links = Links(
            config, on_event=self._on_event, on_ready=self._on_ready, refused=refused
        )
        self._submitter = Submitter(
            config,
            links=self.links.connected,
            journal=journal,
            publisher=publisher,
            counts=self.counts,
            fail=fail,
        )
        self._receiver = Receiver(
            config, publisher=publisher, tokenizer=tokenizer, counts=self.counts
        )
        self._requests = Requests(
            bootstrap=bootstrap,
            connection=config.name,
            submitter=self._submitter,
            publisher=publisher,
            counts=self.counts,
            turn=turn,
            fail=fail,
        )
        self._submitter.may_send = self._requests.may_act

    @property
    def in_flight(self) -> int:
        """Parts without a durable result."""
        return self._submitter.in_flight

    @property
    def backlog(self) -> int:
        """Parts that wait for a slot."""
        return self._submitter.backlog

    @property
    def learned_per_s(self) -> float:
        """Messages per second that the SMSC takes; 0 if it has not throttled."""
        return self._submitter.learned_per_s

    @property
    def is_lease_held(self) -> bool:
        """Whether it may read and send."""
        return self._requests.may_act()

    async def start(self) -> None:
        """Connect to Kafka."""
        await self._requests.start()

    def runners(self, stop: asyncio.Event) -> list[Coroutine[Any, Any, None]]:
        """What runs until cancelled."""
        return [
            *self.links.runners(),
            self._requests.run(stop),
            self._requests.commit_regularly(),
        ]

    def tick(self) -> None:
        """Once a second."""
        self._submitter.tick()
        self._receiver.tick()

    async def drain(self, within_s: float) -> None:
        """Stop new work, wait for the answers that are due, say goodbye."""
        self._submitter.is_draining = True
        await self.links.drain(within_s)

    async def stop(self) -> None:
        """Commit what the drain has settled."""
        await self._requests.stop()

    def _on_ready(self) -> None:
        self._submitter.wake()

    def _on_event(self, link: Link, event: SessionEvent) -> None:
        match event:
            case session_events.Received(request):
                self._receiver.received(link, request)
            case session_events.Answered(work, response, latency_s, is_late):
                self._receiver.answered(response, work.part.request.subject)
                self._submitter.answered(work, response, latency_s, is_late=is_late)
            case session_events.Expired(work):
                self._submitter.unanswered(work)
            case session_events.Unparsed(frame, reason, _):
                self._receiver.unparsed(frame, reason)
            case session_events.Closed(_, unanswered):
                for work in unanswered:
                    self._submitter.unanswered(work)
            case _:
                pass  # Bound, BindRefused: the keeper has noted them; Unexpected has no effect
