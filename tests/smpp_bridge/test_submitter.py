"""The fate of every part: priority, expiry, throttling, answers that never or late come."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from schemas.events import MessageRequested, MessageSubmitted
from schemas.subject import SubjectKey, Tokenizer
from smpp_bridge.adapters import submitter
from smpp_bridge.adapters.clock import now_ms
from smpp_bridge.adapters.counts import Counts
from smpp_bridge.adapters.journal import Journal
from smpp_bridge.adapters.submitter import Submitter
from smpp_bridge.configuration import ConnectionConfig
from smpp_bridge.pacing import MAX_UNANSWERED
from smpp_bridge.protocol.constants import CommandStatus
from smpp_bridge.protocol.pdu import SubmitSm, SubmitSmResp
from tests.support.topics import wait_until

SUBJECT = Tokenizer(SubjectKey("k1", bytes(32))).token("8613800000001")


class FakeLink:
    """A link with a window; what was sent is answered by the test."""

    def __init__(self, window: int = 100) -> None:
        self.session = self
        self.window = window
        self.sent: list[tuple[SubmitSm, Any]] = []
        self.is_flushed = False
        self.is_aborted = False

    def can_submit(self) -> bool:
        """Whether a slot is free."""
        return len(self.sent) < self.window

    def send(self, request: SubmitSm, work: Any, now: float) -> None:
        """Note it."""
        self.sent.append((request, work))

    def now(self) -> float:
        """The loop's clock."""
        return asyncio.get_running_loop().time()

    def flush(self) -> None:
        """What was sent is on the wire."""
        self.is_flushed = True

    def abort(self) -> None:
        """What was sent is not on the wire."""
        self.is_aborted = True


class Desk:
    """A submitter with a fake link and a Kafka that waits until `store`."""

    def __init__(self, folder: Path, **config: Any) -> None:
        self.folder = folder
        self.link = FakeLink()
        self.results: list[MessageSubmitted] = []
        self.finished: list[str] = []
        self.failures: list[BaseException] = []
        self._waiting: list[Callable[[BaseException | None], None]] = []
        self._journal = Journal(folder, day=1)
        self.submitter = Submitter(
            ConnectionConfig(name="c", system_id="s", password="p", **config),
            links=lambda: [self.link],  # type: ignore[list-item,return-value]
            journal=self._journal,
            publisher=self,  # type: ignore[arg-type]
            counts=Counts(),
            fail=self.failures.append,
        )

    def put_event(
        self, event: MessageSubmitted, done: Callable[[BaseException | None], None]
    ) -> None:
        """Kafka takes an event and does not confirm it yet."""
        self.results.append(event)
        self._waiting.append(done)

    def store(self) -> None:
        """Kafka confirms."""
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            done(None)

    async def offer(self, name: str, purpose: str = "promotional", **fields: Any) -> None:
        """A request, and a turn of the loop."""
        request = MessageRequested(
            event_id=name,
            occurred_at_ms=0,
            subject=SUBJECT,
            message_id=name,
            connection="c",
            source_addr="10690001",
            destination="8613800000001",
            text=name,
            purpose=purpose,  # type: ignore[arg-type]
            **fields,
        )
        self.submitter.offer(request, lambda: self.finished.append(name))
        await asyncio.sleep(0)

    def answer(self, status: int = 0, *, is_late: bool = False, message_id: bytes = b"7") -> None:
        """Answer what was sent first."""
        _, work = self.link.sent.pop(0)
        self.reply(work, status, is_late=is_late, message_id=message_id)

    def reply(
        self, work: Any, status: int = 0, *, is_late: bool = False, message_id: bytes = b"7"
    ) -> None:
        """Answer one part."""
        response = SubmitSmResp(command_status=status, message_id=message_id)
        self.submitter.answered(work, response, 0.1, is_late=is_late)

    def reopen(self, **config: Any) -> Desk:
        """The same journal in the next process."""
        self._journal.close()
        return Desk(self.folder, **config)

    @property
    def texts(self) -> list[str]:
        """What is on the wire, unanswered."""
        return [request.short_message.decode() for request, _ in self.link.sent]

    @property
    def outcomes(self) -> list[tuple[str, bool]]:
        """Outcome and flag of every result."""
        return [(event.outcome, event.may_duplicate) for event in self.results]

    def close(self) -> None:
        """Let go of the journal."""
        self._journal.close()

    def fill_disk(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """From now on the journal cannot be written."""

        def full() -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(self._journal, "write", full)


@pytest.fixture
def desks() -> Iterator[list[Desk]]:
    """What to close afterwards."""
    opened: list[Desk] = []
    yield opened
    opened[-1].close()


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """One that is closed afterwards."""
    opened = Desk(tmp_path)
    yield opened
    opened.close()


async def test_transactional_and_otp_go_before_promotional(tmp_path: Path, desks: Any) -> None:
    """Whatever the order in Kafka, the urgent ones are sent first, in their own order."""
    desks.append(desk := Desk(tmp_path))
    desk.link.window = 0
    purposes = ("promotional", "otp", "service", "transactional")
    for number, purpose in enumerate(purposes):
        await desk.offer(f"m{number}", purpose)
    desk.link.window = 4
    desk.submitter.wake()
    await asyncio.sleep(0)
    assert desk.texts == ["m1", "m3", "m0", "m2"]


async def test_an_offset_is_finished_when_its_result_is_durable(tmp_path: Path, desks: Any) -> None:
    """Not when sent, not when answered: when Kafka has the result."""
    desks.append(desk := Desk(tmp_path))
    await desk.offer("m1")
    desk.answer()
    assert desk.finished == []
    desk.store()
    assert desk.finished == ["m1"]


async def test_a_repeated_request_waits_for_the_result_of_the_first(
    tmp_path: Path, desks: Any
) -> None:
    """Read again after a rebalance: finishing it early would lose the result in a crash."""
    desks.append(desk := Desk(tmp_path))
    await desk.offer("m1")
    await desk.offer("m1")
    assert desk.texts == ["m1"]
    assert desk.finished == []
    desk.answer()
    desk.store()
    assert desk.finished == ["m1", "m1"]
    await desk.offer("m1")
    assert (desk.texts, desk.finished) == ([], ["m1"] * 3)


async def test_an_expired_request_is_a_result_and_not_a_send(tmp_path: Path, desks: Any) -> None:
    """Also when its time ends while it waits and no link is there."""
    desks.append(desk := Desk(tmp_path))
    await desk.offer("m1", expires_at_ms=1)
    desk.link.window = 0
    await desk.offer("m2", expires_at_ms=now_ms() + 20)
    await asyncio.sleep(0.03)
    desk.submitter.tick()
    assert desk.outcomes == [("expired", False), ("expired", False)]
    assert desk.texts == []


@pytest.mark.parametrize(
    ("purpose", "config", "fate"),
    [
        ("promotional", {}, "reported"),
        ("service", {}, "reported"),
        ("transactional", {}, "resent"),
        ("otp", {}, "resent"),
        ("promotional", {"resend": frozenset({"promotional"})}, "resent"),
        ("otp", {"resend": frozenset()}, "reported"),
    ],
)
@pytest.mark.parametrize("how", ["dropped", "killed"])
async def test_a_part_without_answer_is_reported_or_resent_by_policy(
    tmp_path: Path,
    desks: Any,
    purpose: str,
    config: dict[str, Any],
    fate: str,
    how: str,
) -> None:
    """After a dropped link and after a crash alike; a second copy is flagged."""
    desks.append(desk := Desk(tmp_path, **config))
    await desk.offer("m1", purpose)
    _, work = desk.link.sent.pop()
    if how == "killed":
        desks.append(desk := desk.reopen(**config))
        await desk.offer("m1", purpose)
    else:
        desk.submitter.unanswered(work)
        desk.submitter.wake()
        await asyncio.sleep(0)
    assert desk.texts == (["m1"] if fate == "resent" else [])
    if fate == "resent":
        desk.answer()
    assert desk.outcomes == [("accepted", True) if fate == "resent" else ("unknown", False)]


async def test_an_expired_part_that_may_have_been_sent_is_unknown(
    tmp_path: Path, desks: Any
) -> None:
    """`expired` would claim that it was not sent."""
    desks.append(desk := Desk(tmp_path))
    await desk.offer("m1", "otp", expires_at_ms=now_ms() + 10_000)
    desk.link.window = 0
    work = desk.link.sent.pop()[1]
    work.part = replace(work.part, request=replace(work.part.request, expires_at_ms=1))
    desk.submitter.unanswered(work)
    assert desk.outcomes == [("unknown", False)]


async def test_a_late_answer_is_one_more_event_with_the_operators_id(
    tmp_path: Path, desks: Any
) -> None:
    """First `unknown`, then the answer: its id is what the receipt will name."""
    desks.append(desk := Desk(tmp_path))
    await desk.offer("m1")
    _, work = desk.link.sent.pop()
    desk.submitter.unanswered(work)
    desk.store()
    desk.reply(work, is_late=True, message_id=b"77")
    desk.store()
    assert [(e.event_id, e.outcome, e.smsc_message_id) for e in desk.results] == [
        ("m1/1", "unknown", None),
        ("m1/1/77", "accepted", "77"),
    ]
    assert desk.finished == ["m1"]


async def test_a_late_answer_stops_the_second_attempt(tmp_path: Path, desks: Any) -> None:
    """The part waits to be resent when its answer comes after all: sent once."""
    desks.append(desk := Desk(tmp_path))
    await desk.offer("m1", "otp")
    _, work = desk.link.sent.pop()
    desk.link.window = 0
    desk.submitter.unanswered(work)
    desk.reply(work, is_late=True)
    desk.link.window = 10
    desk.submitter.wake()
    await asyncio.sleep(0)
    assert desk.texts == []
    assert [event.outcome for event in desk.results] == ["accepted"]


async def test_throttling_pauses_the_connection_and_fails_nothing(
    tmp_path: Path, desks: Any
) -> None:
    """RTHROTTLED and RMSGQFUL: back to the queue, nothing goes out during the pause."""
    desks.append(desk := Desk(tmp_path))
    await desk.offer("m1")
    await desk.offer("m2")
    desk.answer(CommandStatus.RTHROTTLED)
    desk.answer(CommandStatus.RMSGQFUL)
    await desk.offer("m3", "otp")
    assert desk.texts == []
    assert desk.results == []
    assert desk.submitter.backlog == 3
    desk.submitter._brake.until = 0
    desk.submitter.wake()
    await asyncio.sleep(0)
    assert desk.texts == ["m3"]  # one is tried, the rest of the window waits for its answer
    assert desk.submitter.backlog == 2
    assert desk.submitter.learned_per_s == 1.0


@pytest.mark.parametrize("attempts", range(1, MAX_UNANSWERED + 1))
async def test_a_message_that_kills_every_link_is_not_sent_for_ever(
    tmp_path: Path, desks: Any, attempts: int
) -> None:
    """A transactional one is sent three times; then nobody knows, and that is its result."""
    desks.append(desk := Desk(tmp_path))
    await desk.offer("m1", "otp")
    for _ in range(attempts):
        work = desk.link.sent.pop()[1]
        desk.submitter.unanswered(work)
        desk.submitter.wake()
        await asyncio.sleep(0)
    is_given_up = attempts == MAX_UNANSWERED
    assert desk.outcomes == ([("unknown", True)] if is_given_up else [])
    assert len(desk.texts) == (0 if is_given_up else 1)


async def test_a_throttled_part_is_new_after_a_crash(tmp_path: Path, desks: Any) -> None:
    """The SMSC said that it did not take it: it is sent, not reported."""
    desks.append(desk := Desk(tmp_path))
    await desk.offer("m1")
    desk.answer(CommandStatus.RTHROTTLED)
    desk.submitter._pump()
    desks.append(again := desk.reopen())
    await again.offer("m1")
    assert again.texts == ["m1"]


async def test_the_rate_holds_back_what_the_window_would_allow(tmp_path: Path, desks: Any) -> None:
    """50 a second: one now, the others later, without anybody waking the submitter."""
    desks.append(desk := Desk(tmp_path, rate_per_s=50.0))
    for number in range(8):
        await desk.offer(f"m{number}")
    assert len(desk.texts) < 8
    await wait_until(lambda: len(desk.texts) == 8)


async def test_nothing_is_sent_that_the_journal_does_not_hold(
    tmp_path: Path, desks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk: the link is dropped with its unsent octets, and the process ends."""
    desks.append(desk := Desk(tmp_path))
    with monkeypatch.context() as patched:
        desk.fill_disk(patched)
        await desk.offer("m1")
    assert (desk.link.is_flushed, desk.link.is_aborted) == (False, True)
    assert [type(error) for error in desk.failures] == [OSError]


async def test_nothing_is_sent_while_another_bridge_may_send_the_same(desk: Desk) -> None:
    """It waits, and goes out when the group has confirmed this one."""
    is_sole = False
    desk.submitter.may_send = lambda: is_sole
    await desk.offer("m")
    assert (desk.link.sent, desk.submitter.backlog) == ([], 1)
    is_sole = True
    desk.submitter.wake()
    await asyncio.sleep(0)
    assert len(desk.link.sent) == 1


@pytest.mark.parametrize(
    ("stood_still_s", "is_lease_over", "is_sent"),
    [(0.0, True, True), (60.0, False, True), (60.0, True, False)],
)
async def test_nothing_is_sent_that_a_disk_has_held_up_for_longer_than_the_lease(
    desk: Desk,
    monkeypatch: pytest.MonkeyPatch,
    *,
    stood_still_s: float,
    is_lease_over: bool,
    is_sent: bool,
) -> None:
    """Another may be sending it; what ends meanwhile without a pause was meant to go out."""
    now = [1000.0]
    is_held = True
    monkeypatch.setattr(submitter, "boot_s", lambda: now[0])
    desk.submitter.may_send = lambda: is_held

    def write() -> None:
        nonlocal is_held
        now[0] += stood_still_s
        is_held = not is_lease_over

    monkeypatch.setattr(desk._journal, "write", write)
    await desk.offer("m")
    assert (desk.link.is_flushed, desk.link.is_aborted) == (is_sent, not is_sent)
    assert desk.failures == []


async def test_what_waits_can_be_forgotten_and_offered_again(desk: Desk) -> None:
    """What was sent keeps its place: offered again, it waits for its answer and no more."""
    desk.link.window = 1
    for name in "ab":
        await desk.offer(name)
    desk.submitter.forget_waiting()
    assert (desk.submitter.backlog, desk.submitter.in_flight) == (0, 1)
    for name in "ab":
        await desk.offer(name)
    desk.answer()
    desk.link.window = 2
    desk.submitter.wake()
    await asyncio.sleep(0)
    desk.answer()
    desk.store()
    assert [each.message_id for each in desk.results] == ["a", "b"]
    assert sorted(desk.finished) == ["a", "a", "b"]


async def test_a_late_answer_of_what_was_forgotten_is_still_a_result(desk: Desk) -> None:
    """The SMSC has it; offered again, it is the one that was answered."""
    await desk.offer("otp", purpose="otp")
    (_, work) = desk.link.sent[0]
    desk.link.window = 0
    desk.submitter.unanswered(work)
    desk.submitter.forget_waiting()
    desk.answer(is_late=True)
    desk.store()
    await desk.offer("otp", purpose="otp")
    assert [each.outcome for each in desk.results] == ["accepted"]
    assert (desk.submitter.backlog, desk.failures) == (0, [])


@pytest.mark.parametrize("is_sent_again", [False, True])
async def test_a_late_answer_of_what_was_forgotten_settles_what_was_offered_again(
    desk: Desk, *, is_sent_again: bool
) -> None:
    """Unless it is on the wire already, the second attempt would be a second message."""
    await desk.offer("otp", purpose="otp")
    (_, forgotten) = desk.link.sent.pop()
    desk.link.window = 0
    desk.submitter.unanswered(forgotten)
    desk.submitter.forget_waiting()
    desk.link.window = int(is_sent_again)
    await desk.offer("otp", purpose="otp")
    desk.reply(forgotten, is_late=True)
    desk.store()
    desk.link.window = 5
    desk.submitter.wake()
    await asyncio.sleep(0)
    assert desk.texts == ["otp"] * is_sent_again
    assert (desk.outcomes, desk.finished) == ([("accepted", True)], ["otp"])
    if is_sent_again:
        desk.answer(message_id=b"8")
    assert [each.event_id for each in desk.results] == ["otp/1", "otp/1/8"][: 1 + is_sent_again]


async def test_a_late_answer_behind_the_result_of_what_was_offered_again_is_another_fact(
    desk: Desk,
) -> None:
    """With the id of the first result it would be taken for the same one, and be lost."""
    await desk.offer("otp", purpose="otp")
    (_, forgotten) = desk.link.sent.pop()
    desk.link.window = 0
    desk.submitter.unanswered(forgotten)
    desk.submitter.forget_waiting()
    await desk.offer("otp", purpose="otp", expires_at_ms=1)
    desk.store()
    desk.reply(forgotten, is_late=True)
    desk.store()
    assert [(each.event_id, each.outcome) for each in desk.results] == [
        ("otp/1", "unknown"),
        ("otp/1/7", "accepted"),
    ]
    assert desk.finished == ["otp"]


async def test_nothing_expires_while_another_bridge_may_be_sending_it(desk: Desk) -> None:
    """Two results of one message would contradict each other."""
    desk.submitter.may_send = lambda: False
    await desk.offer("m", expires_at_ms=1)
    desk.submitter.tick()
    assert (desk.results, desk.submitter.backlog) == ([], 1)
    desk.submitter.may_send = lambda: True
    desk.submitter.tick()
    assert [each.outcome for each in desk.results] == ["expired"]
