"""Requests → submit_sm within windows and rate → durable results. Decides every part's fate."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from runtime.kafka import KafkaPublisher
from schemas.events import MessageRequested, MessageSubmitted, SubmitOutcome
from smpp_bridge import mapping
from smpp_bridge.adapters.clock import now_ms
from smpp_bridge.adapters.counts import Counts
from smpp_bridge.adapters.journal import Answer, Journal, part_key
from smpp_bridge.adapters.lease import boot_s
from smpp_bridge.adapters.link import Link
from smpp_bridge.adapters.queue import Work, WorkQueue
from smpp_bridge.configuration import ConnectionConfig
from smpp_bridge.pacing import MAX_UNANSWERED, Brake, LearnedRate, TokenBucket
from smpp_bridge.protocol.constants import THROTTLED
from smpp_bridge.protocol.pdu import MessageResp, Pdu

MAX_UNDURABLE: Final = 20_000
"""Results that Kafka has not confirmed; above, nothing is sent: about 10 MB, 0.5 s of work."""
_ROOM_BELOW: Final = 2000
_STALL_S: Final = 0.5
"""Half of what a lease leaves until another may send: no disk that works takes as long."""
_MAX_ID: Final = 100
"""Octets of smsc_message_id that are kept; the specification allows 64."""


class Submitter:
    """Owns the queue between Kafka and the links of one connection."""

    def __init__(
        self,
        config: ConnectionConfig,
        *,
        links: Callable[[], Iterable[Link]],
        journal: Journal,
        publisher: KafkaPublisher,
        counts: Counts,
        fail: Callable[[BaseException], None],
    ) -> None:
        self._config = config
        self._links = links
        self._journal = journal
        self._publisher = publisher
        self._counts = counts
        self._fail = fail
        self._queue = WorkQueue()
        self._active: dict[str, Work] = {}
        self._loop = asyncio.get_running_loop()
        self._bucket = TokenBucket(config.rate_per_s, now=self._loop.time())
        self._brake = Brake()
        self._learned = LearnedRate()
        self._pump_is_due = False
        self._wakes_at: asyncio.TimerHandle | None = None
        self.may_send: Callable[[], bool] = lambda: True
        """Whether no other process may be sending the same."""
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

    @property
    def learned_per_s(self) -> float:
        """Messages per second that the SMSC takes; 0 if it has not throttled."""
        return self._learned.limit or 0.0

    def offer(self, request: MessageRequested, finish: Callable[[], None]) -> None:
        """Take a request; `finish` is called when all its parts have durable results.

        Raises:
            ValueError: If it does not fit into SMPP.
        """
        config = self._config
        parts = mapping.parts_of(request, config.addressing, config.default_encoding)
        part_done = _countdown(len(parts), finish)
        for part in parts:
            self._take(Work(part, part_key(part.event_id), [part_done]))
        self.wake()

    def refuse(self, request: MessageRequested, finish: Callable[[], None]) -> None:
        """Publish that a request, which `offer` did not take, is rejected; then `finish`."""
        event = mapping.refused(
            request,
            connection=self._config.name,
            connection_group=self._config.group,
            now_ms=now_ms(),
        )
        self._counts.settle(event.outcome)
        self._publisher.put_event(
            event, lambda error: finish() if error is None else self._fail(error)
        )

    def _take(self, work: Work) -> None:
        part_id = work.part.event_id
        fate = self._journal.fate(work.key)
        active = self._active.get(part_id)
        if active is not None:
            active.finish += work.finish  # a repeated request waits for the first one's result
            return
        if fate.kind == "done":
            _finish(work)
            return
        self._active[part_id] = work
        if fate.answer is not None:
            self._settle(work, fate.answer.outcome, fate.answer)
        elif fate.kind == "attempted":
            self._unanswered(work, self._queue.put)
        else:
            self._queue.put(work)

    def forget_waiting(self) -> None:
        """Drop what waits for a slot: it will be offered again, here or to another bridge."""
        while self._queue:
            work = self._queue.take()
            if not work.is_settled:  # else its result is on its way
                del self._active[work.part.event_id]
        self.room.set()

    def wake(self) -> None:
        """Pump soon: a slot, a bind, a request or durable credit has come."""
        if not self._pump_is_due:
            self._pump_is_due = True
            self._loop.call_soon(self._pump)

    def tick(self) -> None:
        """Once a second: what has waited too long for a link is reported, not sent."""
        if self.may_send():  # else another may be sending it
            for work in self._queue.take_expired(now_ms()):
                self._expire(work)
        self.wake()

    def answered(
        self, work: Work, response: Pdu, latency_s: float, *, is_late: bool = False
    ) -> None:
        """The SMSC answered; late answers count, too: they hold the id that receipts name."""
        if not work.is_settled:
            work = self._current(work)
        status = response.command_status
        self._counts.statuses[status] += 1
        self._counts.submit_latency.observe(latency_s)
        if status in THROTTLED and not (is_late and work.is_settled):
            self._throttled(work, is_late=is_late)
            return
        self._taken()
        message_id = response.message_id if isinstance(response, MessageResp) else b""
        answer = Answer(
            mapping.outcome_of(response), status, message_id[:_MAX_ID].decode("latin-1") or None
        )
        if not work.is_settled:
            self._journal.note(work.key, "answered", answer)
        self._settle(work, answer.outcome, answer, latency_s)

    def _current(self, work: Work) -> Work:
        """The same part as it is now, if it was forgotten and offered again since this was sent."""
        active = self._active.get(work.part.event_id)
        if active is None and self._journal.fate(work.key).kind == "done":
            work.is_settled = True
        return active or work

    def _taken(self) -> None:
        """No throttling: as fast as this, and a little faster."""
        now = self._loop.time()
        self._brake.release(now)
        self._learned.accepted(now)
        if self._learned.limit is not None:
            self._bucket.limit_to(self._learned.limit, now)

    def unanswered(self, work: Work) -> None:
        """The answer did not come in time, or the link has died before it."""
        if not work.is_settled:
            self._unanswered(work, self._queue.put_back)

    def _unanswered(self, work: Work, put: Callable[[Work], None]) -> None:
        """Nobody knows whether the SMSC has it (docs/adr/0003)."""
        work.unanswered += 1
        may_resend = (
            work.part.request.purpose in self._config.resend
            and work.unanswered < MAX_UNANSWERED
            and not work.is_expired(now_ms())
        )
        if may_resend:
            work.may_duplicate = True
            put(work)
        else:
            self._settle(work, "unknown")

    def _throttled(self, work: Work, *, is_late: bool) -> None:
        self._counts.throttled += 1
        now = self._loop.time()
        if not self._brake.holds(now):  # the rest of the window is refused alike, and is not news
            self._bucket.limit_to(self._learned.throttled(now), now)
        self._wake_in(self._brake.pull(now))
        if is_late:
            return  # given up before: its second attempt waits already
        if not work.may_duplicate:
            self._journal.note(work.key, "released")
        self._queue.put_back(work)

    def _pump(self) -> None:
        """Send while there are work, slots, tokens and durable credit."""
        self._pump_is_due = False
        began_at = boot_s()
        used: set[Link] = set()
        for link in self._ready_links():
            work = self._next()
            if work is None:
                break
            self._journal.note(work.key, "attempted")
            link.session.send(work.part.submit_at(now_ms()), work, link.now())
            self._counts.submits += 1
            used.add(link)
        try:
            self._journal.write()
        except OSError as error:
            for link in used:
                link.abort()  # nothing of this turn has been written to a socket, nor will be
            self._fail(error)
            return
        is_too_late = boot_s() - began_at > _STALL_S and not self.may_send()
        for link in used:
            if is_too_late:
                link.abort()
            else:
                link.flush()
        if len(self._queue) < _ROOM_BELOW:
            self.room.set()
        if self._queue and self._brake.holds(self._loop.time()):
            self._wake_in(self._brake.until - self._loop.time())

    def _next(self) -> Work | None:
        """The next part that may be sent; what may not any more gets its result on the way."""
        while self._queue:
            work = self._queue.take()
            if work.is_settled:  # its late answer came while it waited for the second attempt
                continue
            if work.is_expired(now_ms()):
                self._expire(work)
                continue
            if self._bucket.take(self._loop.time()):
                return work
            self._queue.put_back(work)
            self._wake_in(self._bucket.wait_s(self._loop.time()))
            return None
        return None

    def _ready_links(self) -> Iterable[Link]:
        """One link per message to send, in turn, while something can be sent."""
        while self._queue and self._may_go_on():
            ready = [link for link in self._links() if link.can_submit()]
            if not ready:
                return
            for link in ready:
                if not self._queue or len(self._active) - len(self._queue) >= MAX_UNDURABLE:
                    return
                yield link

    def _may_go_on(self) -> bool:
        is_braked = self._brake.holds(self._loop.time())
        return not self.is_draining and not is_braked and self.may_send()

    def _wake_in(self, delay_s: float) -> None:
        """One timer: whichever reason to wait set it, the pump asks both."""
        if self._wakes_at is None or self._wakes_at.when() <= self._loop.time():
            self._wakes_at = self._loop.call_later(delay_s, self.wake)

    def _expire(self, work: Work) -> None:
        if not work.is_settled:
            self._settle(work, "unknown" if work.may_duplicate else "expired")

    def _settle(
        self,
        work: Work,
        outcome: SubmitOutcome,
        answer: Answer | None = None,
        latency_s: float | None = None,
    ) -> None:
        """Publish a result. A second one of the same part is another fact with its own id."""
        is_first = not work.is_settled
        work.is_settled = True
        event = mapping.submitted(
            work.part,
            connection=self._config.name,
            connection_group=self._config.group,
            outcome=outcome,
            now_ms=now_ms(),
            smsc_message_id=answer.smsc_message_id if answer else None,
            command_status=answer.command_status if answer else None,
            latency_s=latency_s,
            may_duplicate=work.may_duplicate,
            is_first=is_first,
        )
        self._counts.settle(outcome)
        self._publish(event, work, is_first=is_first)

    def _publish(self, event: MessageSubmitted, work: Work, *, is_first: bool) -> None:
        put_at = self._loop.time()

        def durable(error: BaseException | None) -> None:
            self._counts.publish_latency.observe(self._loop.time() - put_at)
            if error is not None:
                self._fail(error)
            elif is_first:
                self._journal.note(work.key, "done")
                if self._active.get(work.part.event_id) is work:  # or it was forgotten
                    del self._active[work.part.event_id]
                _finish(work)
                if self._queue:
                    self.wake()

        self._publisher.put_event(event, durable)


def _finish(work: Work) -> None:
    for finish in work.finish:
        finish()


def _countdown(count: int, finish: Callable[[], None]) -> Callable[[], None]:
    left = count

    def one_done() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            finish()

    return one_done
