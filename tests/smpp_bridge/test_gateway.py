"""Gateway mode with a configuration file: several connections in one process."""

from __future__ import annotations

import asyncio
import signal
import uuid
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import OffsetAndMetadata

from pipeline.join.engine import JoinEngine
from runtime.kafka import KafkaPublisher
from schemas.events import ReceiptReceived
from schemas.topics import MESSAGE_RECEIPT, MESSAGE_SUBMITTED
from smpp_bridge.protocol import pdu
from smpp_bridge.protocol.constants import ESM_RECEIPT, CommandStatus
from tests.support.bridge import connection_config, file_environment, of_connection, requested
from tests.support.processes import process, sentence_of
from tests.support.smsc import Smsc, run_smsc
from tests.support.topics import TopicReader, wait_until

pytestmark = pytest.mark.kafka

MANY = 12_000
"""More than a bridge takes into memory."""


@pytest.fixture
def names() -> tuple[str, str]:
    """Two connections of this test alone."""
    run = uuid.uuid4().hex[:8]
    return f"a-{run}", f"b-{run}"


async def test_each_request_goes_to_its_connection_and_a_dead_one_holds_up_nobody(
    kafka: str, names: tuple[str, str], tmp_path: Path
) -> None:
    """One SMSC refuses the password; the other connection of the process works on."""
    alive, dead = names
    async with run_smsc(Smsc()) as smsc, run_smsc(Smsc(password=b"other")) as refusing:
        config = {
            "connections": {
                alive: connection_config(smsc.port),
                dead: connection_config(refusing.port),
            }
        }
        async with (
            process("smpp_bridge", file_environment(kafka, tmp_path, config)) as bridge,
            KafkaPublisher(kafka) as publisher,
            TopicReader(kafka, MESSAGE_SUBMITTED.name) as results,
        ):
            for number in range(50):
                await publisher.publish(requested(alive, number))
                await publisher.publish(requested(dead, number))
            await wait_until(lambda: len(of_connection(results, alive)) == 50)
            assert bridge.returncode is None
            assert of_connection(results, dead) == []
    assert len(smsc.submitted) == 50
    assert refusing.submitted == []


async def test_two_connections_send_at_the_same_time(
    kafka: str, names: tuple[str, str], tmp_path: Path
) -> None:
    """Each message is on the link of its own connection, and on no other."""
    async with run_smsc(Smsc()) as first, run_smsc(Smsc()) as second:
        ports = (first.port, second.port)
        config = {
            "connections": {
                name: connection_config(port, bind="transmitter+receiver", binds=2)
                for name, port in zip(names, ports, strict=True)
            }
        }
        async with (
            process("smpp_bridge", file_environment(kafka, tmp_path, config)),
            KafkaPublisher(kafka) as publisher,
            TopicReader(kafka, MESSAGE_SUBMITTED.name) as results,
        ):
            for number in range(40):
                await publisher.publish(
                    requested(names[number % 2], number, source_addr=str(number % 2))
                )
            await wait_until(lambda: all(len(of_connection(results, name)) == 20 for name in names))
    assert {request.source_addr for request in first.submitted} == {b"0"}
    assert {request.source_addr for request in second.submitted} == {b"1"}
    assert len(first.peers) == len(second.peers) == 4


async def test_a_receipt_over_the_other_connection_of_its_group_is_matched(
    kafka: str, names: tuple[str, str], tmp_path: Path
) -> None:
    """An account that submits to one host and gets its receipts from another."""
    sender, receiver = names
    group = {"group": f"{sender}-account"}
    receipt = pdu.DeliverSm(
        source_addr=b"8613800000001",
        esm_class=ESM_RECEIPT,
        short_message=b"id:id-1 stat:DELIVRD err:000",
    )
    async with run_smsc(Smsc()) as taking, run_smsc(Smsc()) as reporting:
        config = {
            "connections": {
                sender: connection_config(taking.port, bind="transmitter", **group),
                receiver: connection_config(reporting.port, bind="receiver", **group),
            }
        }
        async with (
            process("smpp_bridge", file_environment(kafka, tmp_path, config)),
            KafkaPublisher(kafka) as publisher,
            TopicReader(kafka, MESSAGE_SUBMITTED.name) as results,
            TopicReader(kafka, MESSAGE_RECEIPT.name) as receipts,
        ):
            await publisher.publish(requested(sender, 1))
            await wait_until(lambda: reporting.is_bound and len(of_connection(results, sender)) > 0)
            reporting.deliver(receipt, "dlr")
            await wait_until(lambda: any(receiver.encode() in each for each in receipts.values))
            came = [e for e in receipts.events(ReceiptReceived) if e.connection == receiver]
            sent = of_connection(results, sender)
    engine = JoinEngine()
    engine.apply([*came, *sent])
    found = engine.take()
    assert [connection for connection, *_ in found.latencies] == [sender]
    assert [connection for connection, *_ in found.deliverability] == [receiver]
    assert not any(found.unmatched.values())
    assert reporting.acknowledged == [("dlr", CommandStatus.ROK)]


async def test_a_wrong_file_gives_all_its_problems_and_exit_2(tmp_path: Path) -> None:
    """No traceback, no half-started process."""
    config = {"connections": {"a": connection_config(0), "b": {"host": "x", "sistem_id": "y"}}}
    code, said = await sentence_of("smpp_bridge", file_environment("127.0.0.1:1", tmp_path, config))
    assert code == 2
    for sentence in (
        "connections.a.port: 0 must be a whole number from 1 to 65535.",
        "connections.b.sistem_id: is not a known key; did you mean system_id?",
        "connections.b.password_env: is missing.",
    ):
        assert f"- {sentence}" in said
    assert "Traceback" not in said


async def test_settings_of_one_connection_beside_a_file_are_refused(tmp_path: Path) -> None:
    """Two places that say different things would be a silent surprise."""
    config = {"connections": {"a": connection_config(2775)}}
    settings = file_environment("127.0.0.1:1", tmp_path, config) | {"SMS_BRIDGE_HOST": "x"}
    code, said = await sentence_of("smpp_bridge", settings)
    assert (code, "SMS_BRIDGE_HOST is not a setting." in said) == (2, True)


async def test_a_second_bridge_on_the_same_journal_is_refused(
    kafka: str, names: tuple[str, str], tmp_path: Path
) -> None:
    """Both would send the same messages."""
    async with run_smsc(Smsc()) as smsc:
        config = {"connections": {names[0]: connection_config(smsc.port)}}
        settings = file_environment(kafka, tmp_path, config)
        async with process("smpp_bridge", settings):
            await wait_until(lambda: smsc.is_bound)
            code, said = await sentence_of("smpp_bridge", settings)
    assert code == 2
    assert "another bridge uses this folder" in said


def environment_of(kafka: str, folder: Path, name: str, smsc: Smsc) -> dict[str, str]:
    """A bridge with one connection to an SMSC, and a folder of its own."""
    config = {"connections": {name: connection_config(smsc.port)}}
    return file_environment(kafka, folder / str(smsc.port), config)


async def test_a_second_bridge_with_the_same_connection_is_refused_and_sends_nothing(
    kafka: str, names: tuple[str, str], tmp_path: Path
) -> None:
    """Its own folder knows nothing of what the first has sent: messages would go out twice."""
    name, _ = names
    async with (
        run_smsc(Smsc()) as smsc,
        run_smsc(Smsc()) as other,
        KafkaPublisher(kafka) as publisher,
        TopicReader(kafka, MESSAGE_SUBMITTED.name) as results,
    ):
        first, second = (environment_of(kafka, tmp_path, name, each) for each in (smsc, other))
        async with process("smpp_bridge", first) as bridge:
            await publisher.publish(requested(name, 0))
            await wait_until(lambda: len(of_connection(results, name)) == 1)
            code, said = await sentence_of("smpp_bridge", second)
            for number in range(1, 60):
                await publisher.publish(requested(name, number))
            await wait_until(lambda: len(of_connection(results, name)) == 60)
            assert bridge.returncode is None
    assert (code, f"connection '{name}': another bridge has it already." in said) == (2, True)
    assert (len(smsc.submitted), other.submitted) == (60, [])


async def committed(kafka: str, group: str) -> None:
    """Wait until a consumer group has committed something."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        async with asyncio.timeout(10):
            places: dict[object, OffsetAndMetadata] = {}
            while not any(place.offset > 0 for place in places.values()):
                places = await admin.list_consumer_group_offsets(group)
    finally:
        await admin.close()


@pytest.mark.soak  # half a minute of waiting for Kafka's timeouts
async def test_a_bridge_that_wakes_beside_its_successor_ends_and_that_one_sends_the_rest(
    kafka: str, names: tuple[str, str], tmp_path: Path
) -> None:
    """Their journals know different messages; who had the topics last keeps them."""
    name, _ = names
    async with (
        run_smsc(Smsc()) as smsc,
        run_smsc(Smsc()) as other,
        KafkaPublisher(kafka) as publisher,
        TopicReader(kafka, MESSAGE_SUBMITTED.name) as results,
    ):
        first, second = (environment_of(kafka, tmp_path, name, each) for each in (smsc, other))
        async with process("smpp_bridge", first) as bridge:
            await publisher.publish(requested(name, 0, source_addr="0"))
            await wait_until(lambda: len(of_connection(results, name)) == 1)
            await committed(kafka, f"smslab-bridge-{name}")  # else the successor repeats it
            bridge.send_signal(signal.SIGSTOP)
            async with process("smpp_bridge", second) as successor:
                for number in range(1, 60):
                    await publisher.publish(requested(name, number, source_addr=str(number)))
                await wait_until(lambda: len(of_connection(results, name)) == 60, timeout_s=30)
                bridge.send_signal(signal.SIGCONT)
                for number in range(60, 120):
                    await publisher.publish(requested(name, number, source_addr=str(number)))
                await wait_until(lambda: len(of_connection(results, name)) == 120)
                async with asyncio.timeout(40):
                    assert await bridge.wait() == 2
                assert successor.returncode is None
    sent = [request.source_addr for each in (smsc, other) for request in each.submitted]
    assert sorted(map(int, sent)) == list(range(120))
    assert len(smsc.submitted) == 1


async def test_a_second_bridge_that_is_started_again_and_again_does_not_silence_the_first(
    kafka: str, names: tuple[str, str], tmp_path: Path
) -> None:
    """A supervisor may do this all night: the first keeps its topics through every rebalance."""
    name, _ = names
    async with (
        run_smsc(Smsc()) as smsc,
        run_smsc(Smsc()) as other,
        KafkaPublisher(kafka) as publisher,
        TopicReader(kafka, MESSAGE_SUBMITTED.name) as results,
    ):
        first, second = (environment_of(kafka, tmp_path, name, each) for each in (smsc, other))
        async with process("smpp_bridge", first) as bridge:
            await publisher.publish(requested(name, 0))
            await wait_until(lambda: len(of_connection(results, name)) == 1)
            for number in range(1, 6):
                code, _ = await sentence_of("smpp_bridge", second)
                assert code == 2
                await publisher.publish(requested(name, number))
            assert len(of_connection(results, name)) > 3
            await wait_until(lambda: len(of_connection(results, name)) == 6)
            assert bridge.returncode is None
    assert (len(smsc.submitted), other.submitted) == (6, [])


async def test_of_two_that_start_at_once_with_several_connections_one_has_them_all(
    kafka: str, tmp_path: Path, names: tuple[str, str]
) -> None:
    """As after a power cut: each would have some, lose others, and end."""
    every = [f"{name}-{number}" for name in names for number in range(3)]
    async with (
        run_smsc(Smsc()) as smsc,
        KafkaPublisher(kafka) as publisher,
        TopicReader(kafka, MESSAGE_SUBMITTED.name) as results,
    ):
        one, other = (
            file_environment(kafka, tmp_path / folder, {"connections": connections})
            for folder, connections in (
                ("one", {name: connection_config(smsc.port) for name in every}),
                ("other", {name: connection_config(smsc.port) for name in reversed(every)}),
            )
        )
        async with (
            process("smpp_bridge", one) as first,
            process("smpp_bridge", other) as second,
        ):
            both = [asyncio.create_task(each.wait()) for each in (first, second)]
            ended, alive = await asyncio.wait(both, timeout=30, return_when=asyncio.FIRST_COMPLETED)
            assert [task.result() for task in ended] == [2]
            for name in every:
                await publisher.publish(requested(name, 1))
            await wait_until(lambda: all(of_connection(results, name) for name in every))
            assert [task.done() for task in alive] == [False]


async def test_a_one_time_password_overtakes_a_campaign_of_thousands(
    kafka: str, names: tuple[str, str], tmp_path: Path
) -> None:
    """However much waits in Kafka: only what is in the window goes before it."""
    name, _ = names
    config = {"connections": {name: {"rate_per_s": 1000}}}
    async with run_smsc(Smsc()) as smsc, KafkaPublisher(kafka) as publisher:
        config["connections"][name] |= connection_config(smsc.port)
        for number in range(MANY):
            publisher.put_event(requested(name, number), lambda error: None)
        await publisher.flush()
        async with process("smpp_bridge", file_environment(kafka, tmp_path, config)):
            await wait_until(lambda: len(smsc.submitted) > 0)
            sent = len(smsc.submitted)
            await publisher.publish(requested(name, MANY, purpose="otp", source_addr="otp"))
            await wait_until(lambda: any(s.source_addr == b"otp" for s in smsc.submitted))
    position = next(n for n, s in enumerate(smsc.submitted) if s.source_addr == b"otp")
    assert position < sent + 1500
