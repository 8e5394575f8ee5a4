"""The bridge on a real broker and real sockets."""

from __future__ import annotations

import asyncio
import socket
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from runtime.kafka import KafkaPublisher
from runtime.process import ExitCode
from schemas.codec import encode
from schemas.events import InboundReceived, ReceiptReceived
from schemas.topics import (
    INBOUND_RECEIVED,
    MESSAGE_RECEIPT,
    MESSAGE_SUBMITTED,
    OUTBOUND_REQUESTED,
)
from smpp_bridge.protocol import pdu
from smpp_bridge.protocol.constants import ESM_RECEIPT, CommandStatus
from smpp_bridge.protocol.long_messages import messages_of
from smslab.kafka.apache import ApacheKafka
from tests.support.bridge import (
    TOKENIZER,
    WINDOW,
    best_outcomes,
    environment,
    of_connection,
    requested,
)
from tests.support.processes import process, sentence_of
from tests.support.smsc import Smsc, run_smsc
from tests.support.topics import TopicReader, wait_until

pytestmark = pytest.mark.kafka


@asynccontextmanager
async def results_of(kafka: str, connection: str) -> AsyncIterator[TopicReader]:
    """Reads submit results."""
    async with TopicReader(kafka, MESSAGE_SUBMITTED.name) as reader:
        yield reader


@pytest.fixture
def connection() -> str:
    """A name of this test alone."""
    return f"c{uuid.uuid4().hex[:10]}"


async def test_requests_become_submit_sm_and_their_results_reach_kafka(
    kafka: str, connection: str, tmp_path: Path
) -> None:
    """Accepted, rejected and multipart messages each give their results, one per part."""
    rejected = b"8613800000002"

    def answer(request: pdu.SubmitSm) -> tuple[int, bytes]:
        if request.destination_addr == rejected:
            return CommandStatus.RINVDSTADR, b""
        return CommandStatus.ROK, b"id-" + request.destination_addr

    async with (
        run_smsc(Smsc(answer=answer)) as smsc,
        KafkaPublisher(kafka) as publisher,
        process("smpp_bridge", environment(kafka, smsc.port, tmp_path, connection)),
        results_of(kafka, connection) as results,
    ):
        for number in range(1, 4):
            text = "优" * 100 if number == 3 else "hi"
            await publisher.publish(requested(connection, number, text=text))
        await wait_until(lambda: len(of_connection(results, connection)) == 4)
        found = of_connection(results, connection)
    outcomes = {e.event_id.removeprefix(connection): (e.outcome, e.smsc_message_id) for e in found}
    assert outcomes == {
        "-1/1": ("accepted", "id-8613800000001"),
        "-2/1": ("rejected", None),
        "-3/1": ("accepted", "id-8613800000003"),
        "-3/2": ("accepted", "id-8613800000003"),
    }
    assert {e.campaign_id for e in found} == {connection}
    assert len(smsc.submitted) == 4


async def test_a_request_that_does_not_fit_is_a_rejected_result_and_holds_up_nobody(
    kafka: str, connection: str, tmp_path: Path
) -> None:
    """A sender of 30 characters: its campaign learns of it, the next message is sent."""
    async with (
        run_smsc(Smsc()) as smsc,
        KafkaPublisher(kafka) as publisher,
        process("smpp_bridge", environment(kafka, smsc.port, tmp_path, connection)),
        results_of(kafka, connection) as results,
        TopicReader(kafka, OUTBOUND_REQUESTED.dead_letters) as letters,
    ):
        await publisher.publish(requested(connection, 1, source_addr="x" * 30))
        await publisher.publish(requested(connection, 2))
        await wait_until(lambda: len(of_connection(results, connection)) == 2)
        await wait_until(lambda: any(connection.encode() in each for each in letters.values))
        found = of_connection(results, connection)
    outcomes = {e.event_id.removeprefix(connection): (e.outcome, e.command_status) for e in found}
    assert outcomes == {"-1/1": ("rejected", None), "-2/1": ("accepted", 0)}
    assert len(smsc.submitted) == 1


async def test_a_request_whose_result_could_not_be_told_is_not_sent(
    kafka: str, connection: str, tmp_path: Path
) -> None:
    """Its subject is no token, so its result has no partition; the next message is sent."""
    stranger = msgspec.structs.replace(requested(connection, 1), subject="x")
    async with (
        run_smsc(Smsc()) as smsc,
        KafkaPublisher(kafka) as publisher,
        process("smpp_bridge", environment(kafka, smsc.port, tmp_path, connection)),
        results_of(kafka, connection) as results,
        TopicReader(kafka, OUTBOUND_REQUESTED.dead_letters) as letters,
    ):
        publisher.put(OUTBOUND_REQUESTED.name, 0, b"x", encode(stranger), lambda _: None)
        await publisher.publish(requested(connection, 2))
        await wait_until(lambda: len(of_connection(results, connection)) == 1)
        await wait_until(lambda: encode(stranger) in letters.values)
    assert len(smsc.submitted) == 1


async def test_receipts_and_replies_reach_kafka_without_number_or_text(
    kafka: str, connection: str, tmp_path: Path
) -> None:
    """A receipt and a STOP become events about a token, and are acknowledged."""
    async with (
        run_smsc(Smsc()) as smsc,
        process("smpp_bridge", environment(kafka, smsc.port, tmp_path, connection)),
        TopicReader(kafka, MESSAGE_RECEIPT.name) as receipts,
        TopicReader(kafka, INBOUND_RECEIVED.name) as inbound,
    ):
        await wait_until(lambda: smsc.is_bound)
        body = b"id:77 sub:001 dlvrd:001 submit date:2601010000 done date:2601010001 "
        receipt = pdu.DeliverSm(
            source_addr=b"8613812345678",
            esm_class=ESM_RECEIPT,
            short_message=body + b"stat:DELIVRD err:000 text:",
        )
        smsc.deliver(receipt, "dlr")
        reply = pdu.DeliverSm(
            source_addr=b"+8613812345678", destination_addr=b"10690001", short_message=b"STOP"
        )
        smsc.deliver(reply, "mo")
        await wait_until(lambda: len(smsc.acknowledged) == 2)
        await wait_until(
            lambda: (
                any(connection.encode() in v for v in receipts.values)
                and any(connection.encode() in v for v in inbound.values)
            )
        )
        subject = TOKENIZER.token("8613812345678")
        mine = [e for e in receipts.events(ReceiptReceived) if e.connection == connection]
        replies = [e for e in inbound.events(InboundReceived) if e.connection == connection]
        assert [(e.subject, e.state, e.is_final) for e in mine] == [(subject, "DELIVERED", True)]
        assert [(e.subject, e.is_opt_out, e.keyword) for e in replies] == [(subject, True, "stop")]
        assert not any(b"13812345678" in value for value in (*receipts.values, *inbound.values))
    assert sorted(smsc.acknowledged) == [("dlr", 0), ("mo", 0)]


async def test_a_long_reply_is_acknowledged_by_part_and_becomes_one_reply(
    kafka: str, connection: str, tmp_path: Path
) -> None:
    """Whatever order its parts come in; the keyword is found, the text stays in the bridge."""
    template = pdu.DeliverSm(source_addr=b"8613812345678", destination_addr=b"10690001")
    parts = messages_of(template, f"STOP this, {'I have had enough. ' * 20}", method="udh16")
    async with (
        run_smsc(Smsc()) as smsc,
        process("smpp_bridge", environment(kafka, smsc.port, tmp_path, connection)),
        TopicReader(kafka, INBOUND_RECEIVED.name) as inbound,
    ):
        await wait_until(lambda: smsc.is_bound)
        for number, part in reversed(list(enumerate(parts))):
            smsc.deliver(part, number)
        await wait_until(lambda: len(smsc.acknowledged) == len(parts))
        await wait_until(lambda: sum(connection.encode() in v for v in inbound.values) == 4)
        mine = [e for e in inbound.events(InboundReceived) if e.connection == connection]
        assert not any(b"enough" in value for value in inbound.values)
    assert sorted(smsc.acknowledged) == [(number, 0) for number in range(len(parts))]
    assert sorted(event.part for event in mine) == [0, 1, 2, 3]
    assert len({event.reply_id for event in mine}) == 1
    assert [(e.keyword, e.segments) for e in mine if e.part == 0] == [("stop", 3)]


async def test_throttled_messages_are_sent_again_not_failed(
    kafka: str, connection: str, tmp_path: Path
) -> None:
    """RTHROTTLED means later, and the message is accepted in the end."""
    answers = iter([(CommandStatus.RTHROTTLED, b""), (CommandStatus.ROK, b"7")])
    async with (
        run_smsc(Smsc(answer=lambda _: next(answers))) as smsc,
        process("smpp_bridge", environment(kafka, smsc.port, tmp_path, connection)),
        results_of(kafka, connection) as results,
        KafkaPublisher(kafka) as publisher,
    ):
        await publisher.publish(requested(connection, 1))
        await wait_until(lambda: len(of_connection(results, connection)) == 1)
        assert of_connection(results, connection)[0].outcome == "accepted"
    assert len(smsc.submitted) == 2


@pytest.mark.crash
async def test_sigkill_neither_loses_nor_repeats_a_message(
    kafka: str, connection: str, tmp_path: Path
) -> None:
    """Killed twice while sending: nothing is sent twice; what was cut off is `unknown`."""
    count = 6000
    async with (
        run_smsc(Smsc()) as smsc,
        results_of(kafka, connection) as results,
        KafkaPublisher(kafka) as publisher,
    ):
        for number in range(count):
            publisher.put_event(requested(connection, number), lambda error: None)
        await publisher.flush()
        settings = environment(kafka, smsc.port, tmp_path, connection)
        for part in (3, 2):
            async with process("smpp_bridge", settings) as bridge:
                await wait_until(lambda part=part: len(smsc.submitted) >= count // part)
                bridge.kill()
                await bridge.wait()
        async with process("smpp_bridge", settings):
            known = lambda: {e.message_id for e in of_connection(results, connection)}  # noqa: E731
            await wait_until(lambda: len(known()) == count, 60)
        best = best_outcomes(of_connection(results, connection))
    sent = Counter(request.destination_addr for request in smsc.submitted)
    assert max(sent.values()) == 1
    assert set(best.values()) <= {"accepted", "unknown"}
    accepted = sum(outcome == "accepted" for outcome in best.values())
    unknown = sum(outcome == "unknown" for outcome in best.values())
    assert accepted + unknown == count
    assert accepted <= len(sent) <= count
    assert len(sent) - accepted <= unknown <= 2 * WINDOW


async def test_a_repeated_request_is_sent_once(kafka: str, connection: str, tmp_path: Path) -> None:
    """A dispatcher that runs again after its own crash annoys nobody."""
    async with (
        run_smsc(Smsc()) as smsc,
        process("smpp_bridge", environment(kafka, smsc.port, tmp_path, connection)),
        results_of(kafka, connection) as results,
        KafkaPublisher(kafka) as publisher,
    ):
        for number in (1, 1, 2, 1):
            await publisher.publish(requested(connection, number))
        await wait_until(lambda: len(of_connection(results, connection)) >= 2)
        await publisher.publish(requested(connection, 1))
        await publisher.publish(requested(connection, 3))
        await wait_until(lambda: len(of_connection(results, connection)) >= 3)
    assert len(smsc.submitted) == 3


async def test_a_lost_link_comes_back_and_what_was_in_flight_is_unknown(
    kafka: str, connection: str, tmp_path: Path
) -> None:
    """A cut TCP connection: the unanswered message is reported, the next one is sent."""
    async with (
        run_smsc(Smsc(answer=lambda _: None)) as smsc,
        process("smpp_bridge", environment(kafka, smsc.port, tmp_path, connection)),
        results_of(kafka, connection) as results,
        KafkaPublisher(kafka) as publisher,
    ):
        await publisher.publish(requested(connection, 1))
        await wait_until(lambda: len(smsc.submitted) == 1)
        smsc.answer = None
        smsc.peers[0]._transport.abort()
        await publisher.publish(requested(connection, 2))
        await wait_until(lambda: len(of_connection(results, connection)) == 2)
        outcomes = [event.outcome for event in of_connection(results, connection)]
    assert sorted(outcomes) == ["accepted", "unknown"]


async def test_sigterm_stops_within_seconds_and_says_goodbye(
    kafka: str, connection: str, tmp_path: Path
) -> None:
    """A graceful stop unbinds and exits 0."""
    async with (
        run_smsc(Smsc()) as smsc,
        process("smpp_bridge", environment(kafka, smsc.port, tmp_path, connection)) as bridge,
    ):
        await wait_until(lambda: smsc.is_bound)
        bridge.terminate()
        async with asyncio.timeout(20):
            assert await bridge.wait() == 0
        assert not smsc.is_bound


async def test_sigterm_waits_for_the_answer_and_publishes_it(
    kafka: str, connection: str, tmp_path: Path
) -> None:
    """Drain, then unbind, then flush: what was in flight has its result in Kafka."""
    async with (
        run_smsc(Smsc(answer=lambda _: None)) as smsc,
        process("smpp_bridge", environment(kafka, smsc.port, tmp_path, connection)) as bridge,
        TopicReader(kafka, MESSAGE_SUBMITTED.name) as results,
        KafkaPublisher(kafka) as publisher,
    ):
        await publisher.publish(requested(connection, 1))
        await wait_until(lambda: len(smsc.held) == 1)
        bridge.terminate()
        peer, request = smsc.held[0]
        peer.session.respond(request, CommandStatus.ROK, b"late")
        peer.flush()
        async with asyncio.timeout(20):
            assert await bridge.wait() == 0
        assert not smsc.is_bound
        await wait_until(lambda: len(of_connection(results, connection)) == 1)
        (result,) = of_connection(results, connection)
        assert (result.outcome, result.smsc_message_id) == ("accepted", "late")


async def test_sigterm_ends_in_time_although_kafka_is_away(
    own_kafka: ApacheKafka, connection: str, tmp_path: Path
) -> None:
    """What it has not confirmed was not acknowledged either; a supervisor kills after 8 s."""
    async with run_smsc(Smsc()) as smsc:
        settings = environment(own_kafka.bootstrap, smsc.port, tmp_path, connection)
        async with process("smpp_bridge", settings) as bridge:
            await wait_until(lambda: smsc.is_bound)
            own_kafka.kill()
            smsc.deliver(pdu.DeliverSm(source_addr=b"8613800000001", short_message=b"hi"), 1)
            await asyncio.sleep(0.5)
            bridge.terminate()
            async with asyncio.timeout(20):
                assert await bridge.wait() == ExitCode.DEPENDENCY_UNREACHABLE
            assert smsc.acknowledged == []


async def test_a_wrong_password_gives_one_sentence(
    kafka: str, connection: str, tmp_path: Path
) -> None:
    """The operator learns which setting to check, without a traceback."""
    async with run_smsc(Smsc(password=b"other")) as smsc:
        settings = environment(kafka, smsc.port, tmp_path, connection)
        code, said = await sentence_of("smpp_bridge", settings)
    assert code == 2
    assert "check SMS_BRIDGE_PASSWORD" in said
    assert "Traceback" not in said
    assert "secret" not in said


async def test_a_missing_broker_gives_one_sentence(connection: str, tmp_path: Path) -> None:
    """No Kafka: exit 3 and the setting to check."""
    settings = environment("127.0.0.1:1", 2775, tmp_path, connection)
    code, said = await sentence_of("smpp_bridge", settings)
    assert code == 3
    assert "SMS_KAFKA" in said.splitlines()[-1]
    assert "Traceback" not in said


async def test_a_taken_health_port_gives_one_sentence(
    kafka: str, connection: str, tmp_path: Path
) -> None:
    """The port's setting is named."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        settings = environment(kafka, 2775, tmp_path, connection)
        settings["SMS_BRIDGE_HEALTH_PORT"] = str(port)
        code, said = await sentence_of("smpp_bridge", settings)
    assert code == 3
    assert f"SMS_BRIDGE_HEALTH_PORT == {port}" in said
    assert "Traceback" not in said
