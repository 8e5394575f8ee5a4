"""Checks at start-up that the private names the batch transport stands on still exist."""

from __future__ import annotations

import importlib
from importlib.metadata import version
from types import FunctionType

PRIVATE_NAMES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "faust.transport.consumer",
        "Consumer",
        (
            "_drain_messages",
            "_wait_next_records",
            "_new_offset",
            "_get_active_partitions",
            "perform_seek",
            "seek_to_committed",
            "on_partitions_revoked",
            "commit",
            "ack",
            "wait_first",
        ),
    ),
    (
        "faust.transport.drivers.aiokafka",
        "AIOKafkaConsumerThread",
        ("_create_worker_consumer", "_fetch_records", "seek_to_beginning", "highwater"),
    ),
    (
        "faust.transport.drivers.aiokafka",
        "Consumer",
        ("_new_consumer_thread", "verify_event_path"),
    ),
    (
        "aiokafka.consumer.fetcher",
        "Fetcher",
        ("fetched_records", "_create_fetch_waiter", "_notify"),
    ),
    (
        "aiokafka.consumer.fetcher",
        "FetchResult",
        ("check_assignment", "has_more", "_update_position"),
    ),
    ("aiokafka.consumer.fetcher", "FetchError", ("check_raise",)),
    (
        "aiokafka.consumer.subscription_state",
        "SubscriptionState",
        ("fetch_context", "is_assigned", "reassignment_in_progress", "wait_for_assignment"),
    ),
)
PRIVATE_FIELDS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "faust.transport.consumer",
        "Consumer",
        (
            "_read_offset",
            "_acked",
            "_acked_index",
            "_buffered_partitions",
            "_commit_every",
            "_n_acked",
            "suspend_flow",
            "flow_active",
        ),
    ),
    ("aiokafka.conn", "AIOKafkaConnection", ("READER_LIMIT",)),
    (
        "aiokafka.consumer.consumer",
        "AIOKafkaConsumer",
        ("_fetch_max_wait_ms", "_fetcher", "_closed"),
    ),
    (
        "aiokafka.consumer.fetcher",
        "Fetcher",
        ("_records", "_subscriptions", "_closed", "_wait_consume_future"),
    ),
    ("aiokafka.consumer.fetcher", "FetchResult", ("_partition_records", "_topic_partition")),
    (
        "aiokafka.consumer.fetcher",
        "PartitionRecords",
        ("_records", "_check_crcs", "next_fetch_offset"),
    ),
)
"""Set in methods, so they are looked for in the code."""


class TransportError(Exception):
    """faust-streaming or aiokafka is not the version the transport was written for."""


def check_private_names() -> None:
    """Look for every private name once.

    Raises:
        TransportError: One sentence with the names that are gone and the installed versions.
    """
    missing = [
        f"{cls}.{name}"
        for module, cls, names in PRIVATE_NAMES
        for name in names
        if not hasattr(_class(module, cls), name)
    ]
    missing += [
        f"{cls}.{name}"
        for module, cls, names in PRIVATE_FIELDS
        for name in names
        if name not in _mentioned(_class(module, cls))
    ]
    if missing:
        raise TransportError(
            f"faust-streaming {version('faust-streaming')} with aiokafka {version('aiokafka')} "
            f"lacks {', '.join(missing)}: install the versions of requirements.lock."
        )


def _class(module: str, cls: str) -> type:
    found = getattr(importlib.import_module(module), cls, TransportError)
    assert isinstance(found, type)
    return found


def _mentioned(cls: type) -> set[str]:
    """Attributes of the class, and every name that its methods use: source would take 0.3 s."""
    methods = (each for each in vars(cls).values() if isinstance(each, FunctionType))
    return {*vars(cls), *(name for method in methods for name in method.__code__.co_names)}
