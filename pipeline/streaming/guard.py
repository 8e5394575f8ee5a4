"""Checks at start-up that the private names the batch transport stands on still exist."""

from __future__ import annotations

import importlib
import inspect
from importlib.metadata import version

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
        ("_fetch_records", "seek_to_beginning", "highwater"),
    ),
    ("aiokafka.consumer.fetcher", "Fetcher", ("fetched_records",)),
)
CONSUMER_FIELDS = (
    "_read_offset",
    "_acked",
    "_acked_index",
    "_buffered_partitions",
    "_commit_every",
    "_n_acked",
    "suspend_flow",
    "flow_active",
)


class TransportError(Exception):
    """faust-streaming or aiokafka is not the version the transport was written for."""


def check_private_names() -> None:
    """Look for every private name once.

    Raises:
        TransportError: One sentence with the names that are gone and the installed versions.
    """
    missing = [
        f"{module}.{cls}.{name}"
        for module, cls, names in PRIVATE_NAMES
        for name in names
        if not hasattr(getattr(importlib.import_module(module), cls, None), name)
    ]
    consumer = importlib.import_module("faust.transport.consumer").Consumer
    source = inspect.getsource(consumer)
    missing += [f"Consumer.{name}" for name in CONSUMER_FIELDS if name not in source]
    if missing:
        raise TransportError(
            f"faust-streaming {version('faust-streaming')} with aiokafka {version('aiokafka')} "
            f"lacks {', '.join(missing)}: install the versions of requirements.lock."
        )
