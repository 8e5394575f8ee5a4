"""What is counted by a number that a peer chooses stays short."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

from prometheus_client.registry import Collector, CollectorRegistry

from smpp_bridge.adapters.account_metrics import ClientCollector
from smpp_bridge.adapters.counts import OTHER, Counts, Statuses, status_label
from smpp_bridge.adapters.deliveries import Client
from smpp_bridge.pacing import TokenBucket
from smpp_bridge.protocol.constants import CommandStatus
from tests.support.proxy import account


def registered(collector: Collector) -> CollectorRegistry:
    """Where it is read."""
    registry = CollectorRegistry()
    registry.register(collector)
    return registry


def test_statuses_that_nobody_names_are_one() -> None:
    """Each would be a series of its own for ever: 2^32 of them."""
    statuses = Counts().statuses
    for status in (*CommandStatus, *range(0x400, 0x500), 0x3FF, 0x500, 2**32 - 1, 0x999, 0x999):
        statuses[status] += 1
    named = dict.fromkeys((*CommandStatus, *range(0x400, 0x500)), 1)
    assert statuses == named | {OTHER: 5}
    assert (statuses[0x999], statuses[CommandStatus.ROK]) == (5, 1)


def test_reading_a_status_counts_nothing() -> None:
    """As with any counter."""
    statuses = Statuses()
    assert (statuses[0x999], statuses[0x58]) == (0, 0)
    assert statuses == {}


def test_a_label_is_a_number_or_other() -> None:
    """As dashboards know them."""
    assert [status_label(each) for each in (CommandStatus.RTHROTTLED, 0x4FF, OTHER)] == [
        "0x00000058",
        "0x000004ff",
        "other",
    ]


def test_what_is_refused_to_an_account_has_few_labels() -> None:
    """Whatever its messages made the codec say."""
    client = Client(account(), TokenBucket(None, now=0))
    for status in (CommandStatus.RMSGQFUL, 0x9999, 0x8888):
        client.refused[status] += 1
    port: Any = SimpleNamespace(refused=Counter())
    collector = ClientCollector({"shop": client}, {}, port)
    assert {
        sample.labels["command_status"]: sample.value
        for metric in registered(collector).collect()
        for sample in metric.samples
        if sample.name == "smslab_bridge_account_refused_total"
    } == {"0x00000014": 1, "other": 2}
