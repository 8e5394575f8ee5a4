"""Wires links, submitter, receiver and Kafka into one bridge, and reports how it does."""

from __future__ import annotations

import asyncio
import errno
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from runtime.kafka import KafkaPublisher
from runtime.process import CannotRun, ExitCode
from schemas.events import ConnectionReported
from schemas.subject import SubjectKey, Tokenizer
from smpp_bridge.adapters.clock import now_ms
from smpp_bridge.adapters.counts import Counts
from smpp_bridge.adapters.journal import Journal
from smpp_bridge.adapters.link import Link, LinkKeeper
from smpp_bridge.adapters.receiver import Receiver
from smpp_bridge.adapters.requests import Requests
from smpp_bridge.adapters.submitter import Submitter
from smpp_bridge.protocol import pdu, session_events
from smpp_bridge.protocol.constants import CommandStatus
from smpp_bridge.protocol.session_events import SessionEvent
from smpp_bridge.protocol.states import SessionState
from smpp_bridge.protocol.timers import Timeouts
from smpp_bridge.settings import BridgeSettings

DAY_MS: Final = 86_400_000
DRAIN_S: Final = 2.5
_WRONG_CREDENTIALS: Final[dict[int, str]] = {
    CommandStatus.RINVPASWD: "SMS_BRIDGE_PASSWORD",
    CommandStatus.RINVSYSID: "SMS_BRIDGE_SYSTEM_ID",
}
_BINDS: Final[dict[str, tuple[type[pdu.Bind], ...]]] = {
    "transceiver": (pdu.BindTransceiver,),
    "transmitter+receiver": (pdu.BindTransmitter, pdu.BindReceiver),
}


class Bridge:
    """One SMPP account: its links and the events between them and Kafka."""

    def __init__(
        self, settings: BridgeSettings, publisher: KafkaPublisher, journal: Journal
    ) -> None:
        self._settings = settings
        self._publisher = publisher
        self._journal = journal
        self._counts = Counts()
        self._instance = uuid.uuid4().hex[:8]
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._keepers = list(self._make_keepers())
        self._submitter = Submitter(
            connection=settings.connection,
            links=self._links,
            journal=journal,
            publisher=publisher,
            counts=self._counts,
            fail=self._fail,
        )
        self._receiver = Receiver(
            connection=settings.connection,
            publisher=publisher,
            tokenizer=Tokenizer(SubjectKey(settings.subject_key_id, settings.subject_key)),
            default_region=settings.default_region,
            counts=self._counts,
        )
        self._requests = Requests(
            bootstrap=settings.kafka,
            connection=settings.connection,
            submitter=self._submitter,
            publisher=publisher,
            fail=self._fail,
        )

    def _make_keepers(self) -> Iterator[LinkKeeper]:
        settings = self._settings
        for cls in _BINDS[settings.bind] * settings.binds:
            bind = cls(
                system_id=settings.system_id.encode(),
                password=settings.password.encode(),
                system_type=settings.system_type.encode(),
            )
            timeouts = Timeouts(
                response_s=settings.response_timeout_s, enquire_link_s=settings.enquire_link_s
            )
            yield LinkKeeper(
                self,
                bind,
                host=settings.host,
                port=settings.port,
                window=settings.window,
                timeouts=timeouts,
            )

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop`; whatever fails in between ends the process, the supervisor restarts it.

        Raises:
            CannotRun: If the SMSC refuses the credentials, or the disk is full.
        """
        await self._requests.start()
        async with _tasks(
            *(keeper.run() for keeper in self._keepers),
            self._requests.run(stop),
            self._requests.commit_regularly(),
            self._report_regularly(),
        ) as tasks:
            stopped = asyncio.ensure_future(stop.wait())
            waits: set[asyncio.Future[Any]] = {stopped, self._failed, *tasks}
            while not stop.is_set():
                done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                for finished in done - {stopped}:
                    finished.result()  # raises what ended it
                    waits.discard(finished)
            await self._drain()
        await self._publisher.flush()
        await self._requests.stop()

    def probe(self) -> Mapping[str, object]:
        """Details for the health endpoint."""
        report = self._reported()
        return {
            "ready": report.bound > 0,
            "state": report.state,
            "bound": report.bound,
            "in_flight": self._submitter.in_flight,
            "backlog": self._submitter.backlog,
            "publishing": self._publisher.pending,
            "last_error": report.last_error,
            **{name: getattr(self._counts, name) for name in self._counts.__slots__},
        }

    def on_link_ready(self) -> None:
        """More may be sent."""
        self._submitter.wake()

    def on_link_event(self, link: Link, event: SessionEvent) -> None:
        """Route what a session reports."""
        match event:
            case session_events.Received(request):
                self._receiver.received(link, request)
            case session_events.Answered(work, response, latency_s):
                self._submitter.answered(link, work, response, latency_s)
            case session_events.Expired(work):
                self._submitter.unanswered(work)
            case session_events.Unparsed(frame, reason):
                self._receiver.unparsed(frame, reason)
            case session_events.Closed(_, unanswered):
                for work in unanswered:
                    self._submitter.unanswered(work)
            case session_events.BindRefused(status):
                self._refused(status)
            case _:
                pass  # Bound: the keeper has noted it; Unexpected: without effect here

    def _refused(self, status: int) -> None:
        """Wrong credentials at the first bind are a mistake of the settings; later we retry."""
        setting = _WRONG_CREDENTIALS.get(status)
        if setting and not any(keeper.binds for keeper in self._keepers):
            settings = self._settings
            self._fail(
                CannotRun(
                    f"The SMSC at {settings.host}:{settings.port} refused the bind of system_id "
                    f"{settings.system_id!r}: check {setting}."
                )
            )

    def _links(self) -> list[Link]:
        return [keeper.link for keeper in self._keepers if keeper.link is not None]

    def _fail(self, error: BaseException) -> None:
        if self._failed.done():
            return
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            error = CannotRun(
                f"SMS_BRIDGE_DATA == {self._settings.data}: the disk is full. Free some space; "
                "nothing is sent before it is noted in the journal.",
                ExitCode.DEPENDENCY_UNREACHABLE,
            )
        self._failed.set_exception(error)

    async def _drain(self) -> None:
        """Stop new work, wait for the answers that are due, say goodbye."""
        self._submitter.is_draining = True
        loop = asyncio.get_running_loop()
        deadline = loop.time() + DRAIN_S
        # many sessions end the wait, once in a life: an event for it would cost more than it saves
        while loop.time() < deadline and any(len(link.session.window) for link in self._links()):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        for link in self._links():
            if link.session.is_bound:
                link.session.unbind()
                link.flush()
        closing = [asyncio.ensure_future(link.closed.wait()) for link in self._links()]
        if closing:
            await asyncio.wait(closing, timeout=max(0.2, deadline - loop.time()))

    async def _report_regularly(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            self._journal.turn_day(now_ms() // DAY_MS)
            self._submitter.wake()
            await self._publisher.publish(self._reported())

    def _reported(self) -> ConnectionReported:
        states = [keeper.state for keeper in self._keepers]
        links = self._links()
        counts = self._counts
        return ConnectionReported(
            event_id=f"{self._settings.connection}/{self._instance}/{now_ms()}",
            occurred_at_ms=now_ms(),
            connection=self._settings.connection,
            instance=self._instance,
            state=min(states, key=_RANKS.index),
            binds=len(states),
            bound=sum(link.session.is_bound for link in links),
            window=self._settings.window * len(states),
            window_in_use=sum(len(link.session.window) for link in links),
            submits=counts.submits,
            accepted=counts.accepted,
            rejected=counts.rejected,
            receipts=counts.receipts,
            inbound=counts.inbound,
            unknown=counts.unknown,
            reconnects=sum(max(0, keeper.binds - 1) for keeper in self._keepers),
            last_error=next((k.last_error for k in self._keepers if k.last_error), None),
        )


_RANKS: Final = (
    SessionState.CLOSED,
    SessionState.OPEN,
    SessionState.UNBINDING,
    SessionState.BOUND_RX,
    SessionState.BOUND_TX,
    SessionState.BOUND_TRX,
)
"""Worst first."""


@asynccontextmanager
async def _tasks(*coroutines: Any) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Run coroutines while the block runs; cancelled afterwards."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError, Exception):
                await task
