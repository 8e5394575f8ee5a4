"""Under load something breaks: every message of the operator's record is accounted for in Kafka."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from runtime.kafka import KafkaPublisher
from schemas.events import MessageSubmitted, ReceiptReceived
from schemas.topics import MESSAGE_RECEIPT, MESSAGE_SUBMITTED
from smpp_bridge.protocol import pdu
from smpp_bridge.protocol.constants import ESM_RECEIPT, CommandStatus
from smslab.kafka.apache import ApacheKafka
from tests.support.bridge import (
    TOKENIZER,
    best_outcomes,
    connection_config,
    file_environment,
    of_connection,
    requested,
)
from tests.support.esme import Esme, connect
from tests.support.processes import process
from tests.support.smsc import Smsc, run_smsc
from tests.support.sockets import free_port
from tests.support.topics import TopicReader, wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.crash]
COUNT = 2000
WAIT_S = 60.0


@dataclass
class Operator(Smsc):
    """Answers at once, and sends a receipt for each message."""

    def answer_for(self, request: pdu.SubmitSm) -> tuple[int, bytes]:
        """Take it; the receipt follows."""
        message_id = b"id-%d" % len(self.submitted)
        asyncio.get_running_loop().call_soon(self._report, request, message_id)
        return CommandStatus.ROK, message_id

    def _report(self, request: pdu.SubmitSm, message_id: bytes) -> None:
        if self.is_bound and self.peers[-1].session.window.free:
            receipt = pdu.DeliverSm(
                source_addr=request.destination_addr,
                destination_addr=request.source_addr,
                esm_class=ESM_RECEIPT,
                short_message=b"id:%b stat:DELIVRD err:000" % message_id,
            )
            self.deliver(receipt, message_id)

    @property
    def reported(self) -> set[str]:
        """Ids of receipts that were acknowledged with ROK."""
        return {context.decode() for context, status in self.acknowledged if status == 0}  # type: ignore[attr-defined]


@dataclass
class Scene:
    """The parts of one test; `bridge` is replaced when it is started again."""

    kafka: ApacheKafka
    smsc: Operator
    settings: dict[str, str]
    connection: str
    results: TopicReader
    receipts: TopicReader
    stack: AsyncExitStack
    bridge: asyncio.subprocess.Process = field(init=False)

    async def start_bridge(self) -> None:
        """Start, or start again."""
        self.bridge = await self.stack.enter_async_context(process("smpp_bridge", self.settings))

    @property
    def submitted(self) -> list[MessageSubmitted]:
        """Results in Kafka."""
        return of_connection(self.results, self.connection)

    def reports(self) -> set[str]:
        """Ids of the receipts in Kafka."""
        events = self.receipts.events(ReceiptReceived)
        return {event.smsc_message_id for event in events if event.connection == self.connection}


async def kill_bridge(scene: Scene) -> None:
    """SIGKILL, and start again."""
    scene.bridge.kill()
    await scene.bridge.wait()
    await scene.start_bridge()


async def drop_links(scene: Scene) -> None:
    """The operator drops every connection."""
    for peer in scene.smsc.peers:
        peer._transport.abort()


async def kill_broker(scene: Scene) -> None:
    """SIGKILL of Kafka, and start again."""
    await asyncio.to_thread(scene.kafka.kill)
    await asyncio.sleep(0.5)
    await asyncio.to_thread(scene.kafka.start)


Break = Callable[[Scene], Awaitable[None]]
BREAKS = pytest.mark.parametrize("breaks", [kill_bridge, drop_links, kill_broker])


@asynccontextmanager
async def scene_of(
    kafka: ApacheKafka, config: dict[str, Any], folder: Path
) -> AsyncIterator[Scene]:
    """An operator, Kafka with readers, and settings for a bridge."""
    connection = f"c-{uuid.uuid4().hex[:8]}"
    async with AsyncExitStack() as stack:
        smsc = Operator()
        await stack.enter_async_context(run_smsc(smsc))
        config["connections"] = {connection: connection_config(smsc.port, window=20)}
        for account in config.get("accounts", {}).values():
            account["connection"] = connection
        readers = [
            await stack.enter_async_context(TopicReader(kafka.bootstrap, topic.name))
            for topic in (MESSAGE_SUBMITTED, MESSAGE_RECEIPT)
        ]
        settings = file_environment(kafka.bootstrap, folder, config)
        scene = Scene(kafka, smsc, settings, connection, readers[0], readers[1], stack)
        await scene.start_bridge()
        yield scene


def person(number: int) -> bytes:
    """A destination."""
    return b"86138%08d" % number


def token(destination: bytes) -> str:
    """Its subject."""
    return TOKENIZER.token(destination.decode())


@BREAKS
async def test_gateway_accounts_for_every_message(
    own_kafka: ApacheKafka, tmp_path: Path, breaks: Break
) -> None:
    """No request without result; promotional ones once; a second copy of an otp is flagged."""
    async with scene_of(own_kafka, {}, tmp_path) as scene:
        async with KafkaPublisher(own_kafka.bootstrap) as publisher:
            for number in range(COUNT):
                purpose = "otp" if number % 2 else "promotional"
                request = requested(scene.connection, number, purpose=purpose)
                publisher.put_event(request, lambda _error: None)
            await publisher.flush()
        await wait_until(lambda: len(scene.smsc.submitted) >= COUNT // 3, WAIT_S)
        await breaks(scene)
        known = lambda: len({event.message_id for event in scene.submitted})  # noqa: E731
        await wait_until(lambda: known() == COUNT, WAIT_S)
        await wait_until(lambda: scene.smsc.reported <= scene.reports(), WAIT_S)
        record = scene.smsc.submitted
        sent = Counter(int(request.destination_addr[5:]) for request in record)
        twice = {number for number, times in sent.items() if times > 1}
        subjects = {token(person(number)) for number in twice}
        await wait_until(
            lambda: subjects <= {e.subject for e in scene.submitted if e.may_duplicate}, WAIT_S
        )
        submitted = scene.submitted
    best = best_outcomes(submitted)
    assert set(best.values()) <= {"accepted", "unknown"}
    assert all(number % 2 for number in twice)
    assert sum(outcome == "unknown" for outcome in best.values()) <= 2 * 20


@dataclass
class Sender(Esme):
    """Keeps 20 messages in flight; what is refused for now is sent again."""

    numbers: list[int] = field(default_factory=list)
    answered: dict[int, int] = field(default_factory=dict)

    def data_received(self, data: bytes) -> None:
        """Answers make room."""
        super().data_received(data)
        for number, status, _ in self.answers:
            assert isinstance(number, int)
            if status in (CommandStatus.RMSGQFUL, CommandStatus.RTHROTTLED):
                self.numbers.append(number)
            else:
                self.answered[number] = status
        self.answers.clear()
        self.fill()

    def fill(self) -> None:
        """Send while there is room."""
        while self.is_bound and self.numbers and len(self.session.window) < 20:
            number = self.numbers.pop()
            request = pdu.SubmitSm(
                source_addr=b"1069", destination_addr=person(number), short_message=b"hi"
            )
            self.session.send(request, number, 0)
        self.flush()


async def send_all(port: int) -> dict[int, int]:
    """Send every number; those cut off are not sent again. Returns what was answered."""
    numbers, answered = list(range(COUNT)), {}
    while numbers:
        sender = Sender(numbers=numbers, answered=answered)
        try:
            await asyncio.get_running_loop().create_connection(lambda: sender, "127.0.0.1", port)  # noqa: B023
        except OSError:
            await asyncio.sleep(0.05)
            continue
        while not sender.is_closed and (numbers or len(sender.session.window)):
            await asyncio.sleep(0.02)
            sender.fill()
        sender.drop()
        await asyncio.sleep(0.02)
    return answered


@BREAKS
async def test_proxy_accounts_for_every_message(
    own_kafka: ApacheKafka, tmp_path: Path, breaks: Break
) -> None:
    """Whatever the operator has is in Kafka; what the ESME was told is what Kafka knows."""
    port = free_port()
    config = {
        "mode": "proxy",
        "listen": {"host": "127.0.0.1", "port": port, "kafka_patience_s": 0.5},
        "accounts": {"shop": {"password_env": "SMS_BRIDGE_TEST_PASSWORD", "when_unbound": "drop"}},
    }
    async with scene_of(own_kafka, config, tmp_path) as scene:
        sending = asyncio.ensure_future(send_all(port))
        await wait_until(lambda: len(scene.smsc.submitted) >= COUNT // 3, WAIT_S)
        await breaks(scene)
        async with asyncio.timeout(WAIT_S):
            answered = await sending
        record = {token(request.destination_addr) for request in scene.smsc.submitted}
        await wait_until(lambda: record <= {event.subject for event in scene.submitted}, WAIT_S)
        await wait_until(lambda: scene.smsc.reported <= scene.reports(), WAIT_S)
        told = {
            (token(person(number)), "accepted" if status == CommandStatus.ROK else "unknown")
            for number, status in answered.items()
        }
        await wait_until(lambda: told <= {(e.subject, e.outcome) for e in scene.submitted}, WAIT_S)
        scene.bridge.terminate()
        assert await scene.bridge.wait() == 0
    assert max(Counter(r.destination_addr for r in scene.smsc.submitted).values()) == 1
    assert len(answered) >= COUNT - 2 * 20


async def test_proxy_refuses_while_kafka_is_away_and_recovers(
    own_kafka: ApacheKafka, tmp_path: Path
) -> None:
    """RTHROTTLED instead of forwarding unrecorded; then traffic flows again by itself."""
    port = free_port()
    config = {
        "mode": "proxy",
        "listen": {"host": "127.0.0.1", "port": port, "kafka_patience_s": 1},
        "accounts": {"shop": {"password_env": "SMS_BRIDGE_TEST_PASSWORD"}},
    }
    async with scene_of(own_kafka, config, tmp_path) as scene:
        await wait_until(lambda: scene.smsc.is_bound)
        esme = await connect(port)
        await wait_until(lambda: esme.is_bound)
        await asyncio.to_thread(own_kafka.kill)
        statuses: Counter[int] = Counter()

        async def status_of_next() -> int:
            before = len(esme.answers)
            esme.submit("8613800000001", "hi")
            await wait_until(lambda: len(esme.answers) > before, WAIT_S)
            return esme.answers[-1][1]

        await asyncio.sleep(2.5)  # the report of each second finds out
        sent = len(scene.smsc.submitted)
        for _ in range(5):
            statuses[await status_of_next()] += 1
        assert statuses == {CommandStatus.RTHROTTLED: 5}
        assert len(scene.smsc.submitted) == sent
        await asyncio.to_thread(own_kafka.start)
        async with asyncio.timeout(WAIT_S):
            while await status_of_next() != CommandStatus.ROK:
                pass  # each answer takes a round trip, so this does not spin
