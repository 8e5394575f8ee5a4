"""What an operator's monitoring sees."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from runtime.kafka import KafkaPublisher
from schemas.topics import MESSAGE_SUBMITTED
from smpp_bridge.adapters import metrics, requests
from smpp_bridge.adapters.election import Turn
from smpp_bridge.adapters.gateway import Gateway
from smpp_bridge.configuration import ConnectionConfig
from smpp_bridge.protocol import pdu
from smpp_bridge.protocol.constants import ESM_RECEIPT, CommandStatus
from tests.support.bridge import environment, of_connection, requested
from tests.support.metrics import samples_at
from tests.support.processes import process
from tests.support.readers import FakeConsumer, elect
from tests.support.smsc import Smsc, run_smsc
from tests.support.sockets import free_port
from tests.support.topics import TopicReader, wait_until


async def test_a_lease_that_is_not_held_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bound and silent: nothing else tells it from a connection without work."""
    monkeypatch.setattr(requests, "AIOKafkaConsumer", FakeConsumer)
    nobody: Any = None
    gateway = Gateway(
        ConnectionConfig(name="c", system_id="s", password="p"),
        bootstrap="127.0.0.1:1",
        publisher=nobody,
        journal=nobody,
        tokenizer=nobody,
        turn=Turn("c"),
        fail=nobody,
        refused=nobody,
    )
    registry = CollectorRegistry()
    registry.register(metrics.RouteCollector([gateway], lambda: 0))
    found = []
    for is_held in (False, True):
        if is_held:
            await elect(gateway._requests)
            await gateway._requests._commit()
        found.append(registry.get_sample_value("smslab_bridge_lease_held", {"connection": "c"}))
    assert found == [0, 1]


@pytest.mark.kafka
async def test_the_metrics_say_what_happened(kafka: str, tmp_path: Path) -> None:
    """Two accepted, one rejected, two receipts: counted per connection and by label."""
    rejected = b"8613800000002"

    def answer(request: pdu.SubmitSm) -> tuple[int, bytes]:
        is_rejected = request.destination_addr == rejected
        if is_rejected:
            return CommandStatus.RINVDSTADR, b""
        return CommandStatus.ROK, b"id-" + request.destination_addr[-1:]

    port = free_port()
    async with run_smsc(Smsc(answer=answer)) as smsc:
        settings = environment(kafka, smsc.port, tmp_path, "metered")
        async with (
            process("smpp_bridge", settings | {"SMS_BRIDGE_HEALTH_PORT": str(port)}),
            KafkaPublisher(kafka) as publisher,
            TopicReader(kafka, MESSAGE_SUBMITTED.name) as results,
        ):
            for number in range(1, 4):
                await publisher.publish(requested("metered", number))
            await wait_until(lambda: len(of_connection(results, "metered")) == 3)
            for digit in (b"1", b"3"):
                receipt = pdu.DeliverSm(
                    source_addr=b"861380000000" + digit,
                    esm_class=ESM_RECEIPT,
                    short_message=b"id:ID-" + digit + b" stat:DELIVRD err:000",
                )
                smsc.deliver(receipt, "dlr")
            await wait_until(lambda: len(smsc.acknowledged) == 2)
            found = await samples_at(port)

    def value(name: str, **labels: str) -> float:
        return found[
            f"smslab_bridge_{name}", frozenset((labels | {"connection": "metered"}).items())
        ]

    assert value("bound") == value("binds") == 1
    assert value("state", state="BOUND_TRX") == 1
    assert (value("window_size"), value("window_in_use"), value("in_flight")) == (64, 0, 0)
    assert value("learned_rate") == 0
    assert value("lease_held") == 1
    assert value("submits_total") == 3
    assert value("results_total", outcome="accepted") == 2
    assert value("results_total", outcome="rejected") == 1
    assert value("statuses_total", command_status="0x0000000b") == 1
    assert value("receipts_total", state="DELIVERED") == 2
    assert value("receipt_id_spelling_total", spelling="case") >= 1, "one id a second is watched"
    for reason in ("full", "unstored", "unusable", "oversized"):
        assert value("dropped_total", reason=reason) == 0
    assert value("submit_latency_seconds_count") == value("publish_latency_seconds_count") == 3
    assert value("ack_latency_seconds_count") == 2
    documented = set(re.findall(r"`(smslab_bridge_\w+)`", str(metrics.__doc__)))
    families = {re.sub("_(bucket|sum|count|created)$", "", name) for name, _ in found}
    assert {name for name in families if name.startswith("smslab_bridge_")} == documented
