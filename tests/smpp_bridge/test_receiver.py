"""The promise: a deliver_sm is answered only after Kafka has the event."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from runtime.kafka import PublishError
from schemas.events import Event
from schemas.subject import SubjectKey, Tokenizer
from smpp_bridge import mapping
from smpp_bridge.adapters import receiver as receiver_module
from smpp_bridge.adapters.counts import Counts
from smpp_bridge.adapters.receiver import Receiver
from smpp_bridge.configuration import ConnectionConfig
from smpp_bridge.protocol.codec import encode
from smpp_bridge.protocol.constants import ESM_RECEIPT, CommandStatus
from smpp_bridge.protocol.long_messages import messages_of
from smpp_bridge.protocol.pdu import DeliverSm, Pdu


class HeldPublisher:
    """Takes events and dead letters; Kafka's answer comes when the test says so."""

    def __init__(self) -> None:
        self.taken: list[tuple[object, Callable[[BaseException | None], None]]] = []
        self.dead: list[bytes] = []

    def put_event(self, event: Event, done: Callable[[BaseException | None], None]) -> None:
        """Hold an event."""
        self.taken.append((event, done))

    def dead_letter(
        self,
        topic: str,
        data: bytes,
        reason: str,
        done: Callable[[BaseException | None], None],
        **_: object,
    ) -> None:
        """Hold a dead letter."""
        self.dead.append(data)
        self.taken.append((reason, done))


class RecordingLink:
    """Stands for the link and its session."""

    def __init__(self) -> None:
        self.answers: list[int] = []

    def now(self) -> float:
        """No time passes."""
        return 0.0

    def respond(self, request: Pdu, status: int) -> None:
        """Note the answer."""
        self.answers.append(status)


@pytest.fixture
def publisher() -> HeldPublisher:
    """A Kafka that waits."""
    return HeldPublisher()


@pytest.fixture
def receiver(publisher: HeldPublisher) -> Receiver:
    """A receiver in front of it."""
    return Receiver(
        ConnectionConfig(
            name="c",
            system_id="shop",
            password="secret",
            failed_publish_status=CommandStatus.RSYSERR,
        ),
        publisher=publisher,  # type: ignore[arg-type]
        tokenizer=Tokenizer(SubjectKey("k1", bytes(32))),
        counts=Counts(),
    )


@pytest.mark.parametrize(
    ("error", "status"),
    [(None, CommandStatus.ROK), (PublishError("down"), CommandStatus.RSYSERR)],
)
@pytest.mark.parametrize("source", [b"8613800000001", b"SHOP"])
def test_the_answer_waits_for_kafka_and_tells_its_outcome(
    receiver: Receiver,
    publisher: HeldPublisher,
    error: BaseException | None,
    status: CommandStatus,
    source: bytes,
) -> None:
    """ROK only for what is stored, dead letters too; else an error, so that it comes again."""
    link = RecordingLink()
    request = DeliverSm(source_addr=source, short_message=b"STOP")
    receiver.received(link, request)  # type: ignore[arg-type]
    assert link.answers == []
    ((_, done),) = publisher.taken
    done(error)
    assert link.answers == [status]


@pytest.mark.parametrize("refused", [None, 0, 1])
def test_the_last_part_is_answered_when_kafka_has_the_whole_too(
    receiver: Receiver, publisher: HeldPublisher, refused: int | None
) -> None:
    """Other parts are answered on their own; a refusal of either event brings the part again."""
    link = RecordingLink()
    template = DeliverSm(source_addr=b"8613800000001", destination_addr=b"1069")
    first, last = messages_of(template, f"STOP {'x' * 180}")
    receiver.received(link, first)  # type: ignore[arg-type]
    publisher.taken.pop()[1](None)
    assert link.answers == [CommandStatus.ROK]
    receiver.received(link, last)  # type: ignore[arg-type]
    part, whole = publisher.taken
    for number, (_, done) in enumerate((part, whole)):
        assert len(link.answers) == 1
        done(PublishError("down") if number == refused else None)
    expected = CommandStatus.ROK if refused is None else CommandStatus.RSYSERR
    assert link.answers[1:] == [expected]
    receiver.received(link, last)  # type: ignore[arg-type]
    assert [event for event, _ in publisher.taken[3:]] == [whole[0]]


@pytest.mark.parametrize("is_kafka_failing", [True, False])
def test_a_fault_of_ours_costs_no_message_and_no_session(
    receiver: Receiver,
    publisher: HeldPublisher,
    monkeypatch: pytest.MonkeyPatch,
    is_kafka_failing: bool,  # noqa: FBT001 - pytest passes it
) -> None:
    """RSYSERR, the SMSC keeps it; what the exception quotes goes nowhere, its place is kept."""

    def fail(*_: object, **__: object) -> None:
        raise ValueError("invalid literal: '+8613800000001 call me'")

    link = RecordingLink()
    request = DeliverSm(source_addr=b"8613800000001", short_message=b"call me")
    with monkeypatch.context() as patch:
        patch.setattr(mapping, "received", fail)
        if is_kafka_failing:
            patch.setattr(publisher, "dead_letter", fail)
        receiver.received(link, request)  # type: ignore[arg-type]
    assert link.answers == [CommandStatus.RSYSERR]
    for reason, done in publisher.taken:
        assert str(reason).startswith("unexpected ValueError at test_receiver.py:")
        done(None)
    assert len(publisher.taken) == (not is_kafka_failing)
    assert not any(b"13800000001" in letter for letter in publisher.dead)
    receiver.received(link, request)  # type: ignore[arg-type]
    publisher.taken[-1][1](None)
    assert link.answers == [CommandStatus.RSYSERR, CommandStatus.ROK]


def test_an_unparsed_pdu_is_a_dead_letter_without_its_octets(
    receiver: Receiver, publisher: HeldPublisher
) -> None:
    """The session has refused it; here it is written down."""
    frame = encode(DeliverSm(source_addr=b"8613800000001", short_message=b"call me"))
    receiver.unparsed(frame[:-3], "DeliverSm: mandatory fields do not fit")
    (letter,) = publisher.dead
    assert b"13800000001" not in letter
    assert msgspec.json.decode(letter)["stopped"] == "short_message does not fit: 5 octets are left"


def test_a_receipt_without_a_number_keeps_what_the_operator_said(
    receiver: Receiver, publisher: HeldPublisher
) -> None:
    """Nobody to attribute it to, but id and state can be looked up by hand."""
    body = b"id:77 sub:001 dlvrd:001 stat:DELIVRD err:000 text:call me"
    request = DeliverSm(source_addr=b"SHOP", esm_class=ESM_RECEIPT, short_message=body)
    receiver.received(RecordingLink(), request)  # type: ignore[arg-type]
    (letter,) = publisher.dead
    words = "id:77 sub:001 dlvrd:001 stat:DELIVRD err:000 text:…"
    assert msgspec.json.decode(letter)["receipt"] == words


def test_unreadable_pdus_that_wait_for_kafka_are_bounded(
    receiver: Receiver, publisher: HeldPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An SMSC sends them as fast as it likes, for they are refused at once; all are counted."""
    monkeypatch.setattr(receiver_module, "MAX_UNOWED", 3)
    frame = encode(DeliverSm(source_addr=b"8613800000001", short_message=b"call me"))[:-3]
    for _ in range(5):
        receiver.unparsed(frame, "DeliverSm: mandatory fields do not fit")
    assert (len(publisher.dead), receiver._counts.unreadable) == (3, 5)
    publisher.taken.pop()[1](PublishError("down"))
    publisher.taken.pop()[1](None)
    for _ in range(5):
        receiver.unparsed(frame, "DeliverSm: mandatory fields do not fit")
    assert (len(publisher.dead), receiver._counts.unreadable) == (5, 10)


def test_what_is_owed_an_answer_is_kept_whatever_waits(
    receiver: Receiver, publisher: HeldPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deliver_sm without a number gets its ROK for being stored; the link bounds these."""
    monkeypatch.setattr(receiver_module, "MAX_UNOWED", 0)
    link = RecordingLink()
    receiver.received(link, DeliverSm(source_addr=b"SHOP"))  # type: ignore[arg-type]
    ((_, done),) = publisher.taken
    done(None)
    assert link.answers == [CommandStatus.ROK]


def test_a_dead_letter_that_cannot_be_queued_takes_no_place(
    receiver: Receiver, publisher: HeldPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else some faults later none would be kept any more."""

    def fail(*_: object, **__: object) -> None:
        raise ValueError

    monkeypatch.setattr(receiver_module, "MAX_UNOWED", 1)
    link = RecordingLink()
    request = DeliverSm(source_addr=b"8613800000001")
    with monkeypatch.context() as patch:
        patch.setattr(mapping, "received", fail)
        patch.setattr(publisher, "dead_letter", fail)
        receiver.received(link, request)  # type: ignore[arg-type]
    receiver.unparsed(encode(request)[:-3], "DeliverSm: mandatory fields do not fit")
    assert len(publisher.dead) == 1


async def test_what_dead_links_have_brought_counts_while_kafka_is_away(
    publisher: HeldPublisher,
) -> None:
    """An SMSC that binds anew brings a windowful each time; none of it may add up for ever."""
    config = ConnectionConfig(name="c", system_id="s", password="p", max_unacknowledged=10)
    receiver = Receiver(
        config,
        publisher=publisher,
        tokenizer=Tokenizer(SubjectKey("k1", bytes(32))),
        counts=Counts(),
    )
    links = [RecordingLink() for _ in range(5)]
    for number, link in enumerate(links):
        for each in range(10):
            body = b"id:%d-%d stat:DELIVRD err:000" % (number, each)
            request = DeliverSm(source_addr=b"8613800000001", esm_class=4, short_message=body)
            receiver.received(link, request)  # type: ignore[arg-type]
    assert len(publisher.taken) == 20
    assert [link.answers for link in links[2:]] == [[CommandStatus.RX_T_APPN] * 10] * 3
    for _, done in publisher.taken:
        done(None)
    receiver.received(links[0], request)  # type: ignore[arg-type]
    assert len(publisher.taken) == 21
