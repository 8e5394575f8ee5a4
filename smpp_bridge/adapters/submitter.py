"""Requests → submit_sm within the windows → durable results. Decides the fate of every part."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from runtime.kafka import KafkaPublisher
from schemas.events import MessageRequested, SubmitOutcome
from smpp_bridge import mapping
from smpp_bridge.adapters.clock import now_ms
from smpp_bridge.adapters.counts import Counts
from smpp_bridge.adapters.journal import Answer, Journal
from smpp_bridge.adapters.link import Link
from smpp_bridge.mapping import Part
from smpp_bridge.protocol.constants import THROTTLED
from smpp_bridge.protocol.pdu import MessageResp, Pdu

MAX_UNDURABLE: Final = 20_000
"""Results that Kafka has not confirmed; above, nothing is sent: about 10 MB, 0.5 s of work."""
_THROTTLE_S: Final = (0.5, 30.0)
_MAX_ID: Final = 100
"""Octets of smsc_message_id that are kept; the specification allows 64."""
_RESENT: Final = frozenset({"transactional", "otp"})
"""Better twice than never; everything else is reported as unknown and left alone."""


@dataclass(slots=True, eq=False)
class Work:
    """One part on its way; `finish` is called once its result is durable."""

    part: Part
    finish: Callable[[], None]
    may_duplicate: bool = False
    is_settled: bool = False


class Submitter:
    """Owns the queue between Kafka and the links."""

    def __init__(
        self,
        *,
        connection: str,
        links: Callable[[], Iterable[Link]],
        journal: Journal,
        publisher: KafkaPublisher,
        counts: Counts,
        fail: Callable[[BaseException], None],
    ) -> None:
        self._connection = connection
        self._links = links
        self._journal = journal
        self._publisher = publisher
        self._counts = counts
        self._fail = fail
        self._queue: deque[Work] = deque()
        self._active: set[str] = set()
        self._loop = asyncio.get_running_loop()
        self._pump_is_due = False
        self.room = asyncio.Event()
        self.is_draining = False

    @property
    def backlog(self) -> int:
        """Parts that wait for a window slot."""
        return len(self._queue)

    @property
    def in_flight(self) -> int:
        """Parts without a durable result."""
        return len(self._active)

    def offer(self, request: MessageRequested, finish: Callable[[], None]) -> None:
        """Take a request; `finish` is called when all its parts have durable results.

        Raises:
            ValueError: If it does not fit into SMPP.
        """
        parts = mapping.parts_of(request, now_ms=now_ms())
        part_done = _countdown(len(parts), finish)
        is_expired = request.expires_at_ms is not None and request.expires_at_ms <= now_ms()
        for part in parts:
            self._take(Work(part, part_done), is_expired=is_expired)
        self.wake()

    def _take(self, work: Work, *, is_expired: bool) -> None:
        part_id = work.part.event_id
        fate = self._journal.fate(part_id)
        if part_id in self._active or fate.kind == "done":
            work.finish()  # a repeated request: its first one is on its way or has its result
            return
        self._active.add(part_id)
        if fate.answer is not None:
            self._settle(work, fate.answer.outcome, fate.answer)
        elif fate.kind == "attempted" and work.part.request.purpose not in _RESENT:
            self._settle(work, "unknown")
        elif is_expired:
            self._settle(work, "expired")
        else:
            work.may_duplicate = fate.kind == "attempted"
            self._queue.append(work)

    def wake(self) -> None:
        """Pump soon: a slot, a bind, a request or durable credit has come."""
        if not self._pump_is_due:
            self._pump_is_due = True
            self._loop.call_soon(self._pump)

    def answered(self, link: Link, work: Work, response: Pdu, latency_s: float) -> None:
        """The SMSC answered."""
        status = response.command_status
        if status in THROTTLED:
            self._throttle(link, work)
            return
        link.throttles_in_row = 0
        message_id = response.message_id if isinstance(response, MessageResp) else b""
        answer = Answer(
            mapping.outcome_of(status), status, message_id[:_MAX_ID].decode("latin-1") or None
        )
        self._journal.note(work.part.event_id, "answered", answer)
        self._settle(work, answer.outcome, answer, latency_s)

    def unanswered(self, work: Work) -> None:
        """The answer did not come in time, or the link has died before it."""
        if work.is_settled:
            return
        if work.part.request.purpose in _RESENT:
            work.may_duplicate = True
            self._queue.appendleft(work)
        else:
            self._settle(work, "unknown")

    def _throttle(self, link: Link, work: Work) -> None:
        self._journal.note(work.part.event_id, "released")
        self._queue.appendleft(work)
        least, most = _THROTTLE_S
        delay_s = min(most, least * 2**link.throttles_in_row)
        link.throttles_in_row += 1
        link.throttled_until = link.now() + delay_s
        self._loop.call_later(delay_s, self.wake)

    def _pump(self) -> None:
        """Send while there are work, slots and durable credit."""
        self._pump_is_due = False
        used: set[Link] = set()
        for link in self._ready_links():
            work = self._queue.popleft()
            self._journal.note(work.part.event_id, "attempted")
            link.session.send(work.part.submit_sm, work, link.now())
            self._counts.submits += 1
            used.add(link)
        try:
            self._journal.write()
        except OSError as error:
            self._fail(error)  # nothing of this turn has been written to a socket
            return
        for link in used:
            link.flush()
        if len(self._queue) < MAX_UNDURABLE // 10:
            self.room.set()

    def _ready_links(self) -> Iterable[Link]:
        """One link per message to send, in turn, while something can be sent."""
        while self._queue and not self.is_draining:
            ready = [link for link in self._links() if link.can_submit()]
            if not ready:
                return
            for link in ready:
                if not self._queue or len(self._active) - len(self._queue) >= MAX_UNDURABLE:
                    return
                yield link

    def _settle(
        self,
        work: Work,
        outcome: SubmitOutcome,
        answer: Answer | None = None,
        latency_s: float | None = None,
    ) -> None:
        event = mapping.submitted(
            work.part,
            connection=self._connection,
            outcome=outcome,
            now_ms=now_ms(),
            smsc_message_id=answer.smsc_message_id if answer else None,
            command_status=answer.command_status if answer else None,
            latency_s=latency_s,
            may_duplicate=work.may_duplicate,
        )
        self._counts.settle(outcome)
        is_first = not work.is_settled
        work.is_settled = True
        self._publisher.put_event(event, lambda error: self._durable(work, error, is_first))

    def _durable(self, work: Work, error: BaseException | None, is_first: bool) -> None:  # noqa: FBT001 - bound by a lambda above
        if error is not None:
            self._fail(error)
            return
        if is_first:
            self._journal.note(work.part.event_id, "done")
            self._active.discard(work.part.event_id)
            work.finish()
            if self._queue:
                self.wake()


def _countdown(count: int, finish: Callable[[], None]) -> Callable[[], None]:
    left = count

    def one_done() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            finish()

    return one_done
