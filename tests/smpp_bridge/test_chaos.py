"""Against an SMSC that misbehaves: what must hold whatever it does."""

from __future__ import annotations

import asyncio
import struct
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from schemas.events import MessageRequested, MessageSubmitted
from smpp_bridge.adapters.election import Turn
from smpp_bridge.adapters.gateway import Gateway
from smpp_bridge.adapters.journal import Journal
from smpp_bridge.protocol import pdu
from smpp_bridge.protocol.codec import encode
from smpp_bridge.protocol.constants import ESM_RECEIPT, CommandStatus, Tag
from tests.support.bridge import TOKENIZER, requested
from tests.support.chaos import Chaos, ChaosPeer
from tests.support.links import config_for
from tests.support.proxy import HeldRecorder, account, run_proxy
from tests.support.smsc import run_smsc
from tests.support.topics import wait_until

PERSON = b"8613800000001"
SENDER = b"10690001"


class Desk:
    """A gateway without its consumer: requests come from the test."""

    def __init__(self, gateway: Gateway, recorder: HeldRecorder) -> None:
        self.gateway = gateway
        self.recorder = recorder

    def offer(self, *numbers: int, **fields: Any) -> None:
        """Requests, as if read from Kafka."""
        for number in numbers:
            request: MessageRequested = requested("c", number, **fields)
            self.gateway._submitter.offer(request, lambda: None)

    @property
    def outcomes(self) -> list[str]:
        """Of all results so far."""
        return [event.outcome for event in self.recorder.submitted]


@asynccontextmanager
async def desk_at(chaos: Chaos, folder: Path, **config: Any) -> AsyncIterator[Desk]:
    """A bound gateway connection."""
    recorder = HeldRecorder()
    journal = Journal(folder, day=1)
    gateway = Gateway(
        config_for(chaos.port, **config),
        bootstrap="127.0.0.1:1",
        publisher=recorder,  # type: ignore[arg-type]
        journal=journal,
        tokenizer=TOKENIZER,
        turn=Turn(""),
        fail=pytest.fail,
        refused=pytest.fail,
    )
    gateway._requests._consumer._closed = True  # it was never started
    gateway._submitter.may_send = lambda: True
    tasks = [asyncio.ensure_future(runner) for runner in gateway.links.runners()]
    try:
        await wait_until(lambda: gateway.links.bound > 0)
        yield Desk(gateway, recorder)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for link in gateway.links.connected():
            assert link._transport is not None
            link._transport.abort()
        journal.close()


def dlr(message_id: bytes = b"7", **fields: Any) -> pdu.DeliverSm:
    """A receipt."""
    body = b"id:%b stat:DELIVRD err:000" % message_id
    values: dict[str, Any] = {"source_addr": PERSON, "destination_addr": SENDER}
    return pdu.DeliverSm(esm_class=ESM_RECEIPT, short_message=body, **values | fields)


async def test_a_silent_peer_is_left_and_its_message_is_unknown(tmp_path: Path) -> None:
    """A link that does not answer its check is dead; the next one carries the next message."""
    async with (
        run_smsc(Chaos(), peer=ChaosPeer) as chaos,
        desk_at(chaos, tmp_path, response_timeout_s=0.6, enquire_link_s=0.3) as desk,
    ):
        chaos.is_silent = True
        desk.offer(1)
        await wait_until(lambda: desk.outcomes == ["unknown"])
        await wait_until(lambda: len(chaos.peers) > 1)
        chaos.is_silent = False
        await wait_until(lambda: desk.gateway.links.bound == 1)
        desk.offer(2)
        await wait_until(lambda: desk.outcomes[-1] == "accepted")


async def test_a_drop_in_mid_window_settles_each_message_once(tmp_path: Path) -> None:
    """20 in flight, 8 answered: 8 accepted, 12 unknown, the 30 behind them accepted."""
    async with (
        run_smsc(Chaos(), peer=ChaosPeer) as chaos,
        desk_at(chaos, tmp_path, window=20) as desk,
    ):
        chaos.answer = lambda _: (0, b"7") if len(chaos.submitted) <= 8 else None
        desk.offer(*range(50))
        await wait_until(lambda: len(chaos.submitted) == 28)
        chaos.answer = None
        chaos.peers[0]._transport.abort()
        await wait_until(lambda: len(desk.outcomes) == 50)
    assert Counter(desk.outcomes) == {"accepted": 30, "unknown": 20}
    assert len({event.message_id for event in desk.recorder.submitted}) == 50


async def test_a_throttle_storm_fails_nothing_and_is_not_answered_with_a_storm(
    tmp_path: Path,
) -> None:
    """A whole window is throttled: then one is tried at a time, until all are accepted."""
    async with (
        run_smsc(Chaos(), peer=ChaosPeer) as chaos,
        desk_at(chaos, tmp_path, window=10) as desk,
    ):
        statuses = (CommandStatus.RTHROTTLED, CommandStatus.RMSGQFUL)
        chaos.answer = lambda _: (
            (statuses[len(chaos.submitted) % 2], b"") if len(chaos.submitted) <= 11 else (0, b"7")
        )
        desk.offer(*range(10))
        await wait_until(lambda: len(desk.outcomes) == 10)
    assert desk.outcomes == ["accepted"] * 10
    assert len(chaos.submitted) == 21


async def test_a_message_that_kills_the_link_takes_few_others_with_it(tmp_path: Path) -> None:
    """Each link after a bad end begins with one message at a time; the bad one is given up."""
    poison = b"8613800000003"

    def answer(request: pdu.SubmitSm) -> tuple[int, bytes] | None:
        if request.destination_addr == poison:
            chaos.peers[-1]._transport.abort()
            return None
        return CommandStatus.ROK, b"7"

    async with (
        run_smsc(Chaos(answer=answer), peer=ChaosPeer) as chaos,
        desk_at(chaos, tmp_path, window=10) as desk,
    ):
        desk.offer(3, purpose="otp")
        desk.offer(*range(10, 60))
        await wait_until(lambda: len(desk.outcomes) == 51)
    found = Counter(desk.outcomes)
    assert found["unknown"] <= 1 + 9 + 2
    assert found["accepted"] >= 39
    assert [request.destination_addr for request in chaos.submitted].count(poison) == 3


async def test_every_octet_may_come_alone(tmp_path: Path) -> None:
    """Bind, answers, a receipt and a reply in segments of one octet."""
    async with (
        run_smsc(Chaos(is_bytewise=True), peer=ChaosPeer) as chaos,
        desk_at(chaos, tmp_path) as desk,
    ):
        desk.offer(1, 2, 3)
        chaos.deliver(dlr(), "dlr")
        chaos.deliver(pdu.DeliverSm(source_addr=PERSON, short_message=b"STOP"), "mo")
        await wait_until(lambda: len(chaos.acknowledged) == 2 and len(desk.outcomes) == 3)
    assert desk.outcomes == ["accepted"] * 3
    assert chaos.acknowledged == [("dlr", 0), ("mo", 0)]


async def test_deliveries_in_the_segment_of_the_bind_answer_are_not_lost(tmp_path: Path) -> None:
    """One read is not one PDU."""
    greeting = (dlr(b"1"), dlr(b"2"))
    async with (
        run_smsc(Chaos(with_bind_answer=greeting), peer=ChaosPeer) as chaos,
        desk_at(chaos, tmp_path) as desk,
    ):
        await wait_until(lambda: len(desk.recorder.received) == 2)
    assert [e.smsc_message_id for e in desk.recorder.received] == ["1", "2"]  # type: ignore[union-attr]


@pytest.mark.parametrize("length", [0, 15, 0x7FFFFFFF, 0xFFFFFFFF])
async def test_lost_framing_closes_and_the_next_link_works(tmp_path: Path, length: int) -> None:
    """A command_length that cannot be true: nobody knows where the next PDU starts."""
    async with run_smsc(Chaos(), peer=ChaosPeer) as chaos, desk_at(chaos, tmp_path) as desk:
        chaos.forge(encode(dlr(), 1) + struct.pack(">I", length) + b"\xff" * 12)
        await wait_until(lambda: len(desk.recorder.received) == 1)
        await wait_until(lambda: len(chaos.peers) == 2 and desk.gateway.links.bound == 1)
        desk.offer(1)
        await wait_until(lambda: desk.outcomes == ["accepted"])


async def test_a_pdu_that_cannot_be_read_is_refused_alone(tmp_path: Path) -> None:
    """A lying sm_length and an unknown command: dead letters, and the session lives."""
    frame = bytearray(encode(pdu.DeliverSm(source_addr=PERSON, short_message=b"hi"), 5))
    frame[-3] = 200  # sm_length
    unknown = struct.pack(">IIII", 16, 0x00000777, 0, 6)
    async with run_smsc(Chaos(), peer=ChaosPeer) as chaos, desk_at(chaos, tmp_path) as desk:
        chaos.forge(bytes(frame) + unknown)
        await wait_until(lambda: len(desk.recorder.dead) == 2)
        desk.offer(1)
        await wait_until(lambda: desk.outcomes == ["accepted"])
        assert len(chaos.peers) == 1


async def test_payloads_of_64_kib_pass_a_slow_reader_whole(tmp_path: Path) -> None:
    """The SMSC stops reading with megabytes on the way; afterwards every octet is right."""
    count, size = 300, 0xFFFF  # 20 MB: more than the kernel keeps for both sides
    async with (
        run_smsc(Chaos(), peer=ChaosPeer) as chaos,
        run_proxy(
            {"c": chaos.port}, tmp_path, account(window=count), connection={"window": count}
        ) as proxy,
    ):
        esme = await proxy.esme()
        chaos.peers[0]._transport.pause_reading()
        for number in range(count):
            payload = bytes((number % 256,)) * size
            request = pdu.SubmitSm(
                source_addr=SENDER,
                destination_addr=PERSON,
                tlvs=((Tag.MESSAGE_PAYLOAD, payload),),
            )
            esme.send(request, number)
        await wait_until(lambda: len(proxy.relays["c"]._waiting) > 0)
        assert proxy.relays["c"].links.window_in_use < count  # the socket holds up, not the window
        chaos.peers[0]._transport.resume_reading()
        await wait_until(lambda: len(esme.answers) == count)
    payloads = [request.tlv(Tag.MESSAGE_PAYLOAD) for request in chaos.submitted]
    assert payloads == [bytes((number % 256,)) * size for number in range(count)]


async def test_a_duplicate_receipt_is_the_same_fact(tmp_path: Path) -> None:
    """Sent again and again by an operator that missed our answers: one event id."""
    async with run_smsc(Chaos(), peer=ChaosPeer) as chaos, desk_at(chaos, tmp_path) as desk:
        for number in range(5):
            chaos.deliver(dlr(), number)
        await wait_until(lambda: len(chaos.acknowledged) == 5)
    assert len({event.event_id for event in desk.recorder.received}) == 1


async def test_a_receipt_before_the_answer_is_kept_and_finds_its_account(tmp_path: Path) -> None:
    """Normal with fast operators: both are facts, and the ESME gets both."""
    async with (
        run_smsc(Chaos(answer=lambda _: None), peer=ChaosPeer) as chaos,
        run_proxy({"c": chaos.port}, tmp_path) as proxy,
    ):
        esme = await proxy.esme()
        esme.submit(PERSON.decode(), "hi")
        await wait_until(lambda: len(chaos.held) == 1)
        chaos.deliver(dlr(b"early"), "dlr")
        await wait_until(lambda: chaos.acknowledged == [("dlr", 0)])
        assert len(esme.delivered) == 1
        peer, request = chaos.held[0]
        peer.session.respond(request, CommandStatus.ROK, b"early")
        peer.flush()
        await wait_until(lambda: esme.answers == [(PERSON.decode(), 0, b"early")])


async def test_a_late_answer_still_brings_its_id(tmp_path: Path) -> None:
    """After the timeout the part is `unknown`; then its answer is one more event."""
    async with (
        run_smsc(Chaos(answer=lambda _: None), peer=ChaosPeer) as chaos,
        desk_at(chaos, tmp_path, response_timeout_s=0.3) as desk,
    ):
        desk.offer(1)
        await wait_until(lambda: desk.outcomes == ["unknown"])
        peer, request = chaos.held[0]
        peer.session.respond(request, CommandStatus.ROK, b"late-7")
        peer.flush()
        await wait_until(lambda: desk.outcomes == ["unknown", "accepted"])
        last: MessageSubmitted = desk.recorder.submitted[-1]
        assert (last.smsc_message_id, last.may_duplicate) == ("late-7", False)


async def test_parts_in_reverse_order_are_each_answered_at_once(tmp_path: Path) -> None:
    """Waiting for the whole would deadlock with an operator that sends one at a time."""
    async with run_smsc(Chaos(), peer=ChaosPeer) as chaos, desk_at(chaos, tmp_path) as desk:
        for number in (3, 2, 1):
            header = bytes((5, 0, 3, 9, 3, number))
            part = pdu.DeliverSm(source_addr=PERSON, esm_class=0x40, short_message=header + b"part")
            chaos.deliver(part, number)
            await wait_until(lambda number=number: (number, 0) in chaos.acknowledged)
    received = desk.recorder.received
    assert [event.part for event in received] == [3, 2, 1, 0]  # and then the whole
    assert len({event.event_id for event in received}) == 4
    assert len({event.reply_id for event in received}) == 1
