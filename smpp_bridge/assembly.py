"""Puts a bridge together from its configuration."""

from __future__ import annotations

import logging
from typing import NamedTuple

from aiohttp import web
from prometheus_client import CollectorRegistry

from runtime.kafka import KafkaPublisher
from runtime.process import CannotRun
from schemas.subject import SubjectKey, Tokenizer
from smpp_bridge.adapters.gateway import Gateway
from smpp_bridge.adapters.journal import Journal
from smpp_bridge.adapters.metrics import Latencies, RouteCollector, metrics_route
from smpp_bridge.bridge import Bridge, Failure
from smpp_bridge.configuration import BridgeConfig
from smpp_bridge.settings import ProcessSettings

log = logging.getLogger(__name__)


class Assembly(NamedTuple):
    """A bridge and what shows its metrics."""

    bridge: Bridge
    metrics: web.RouteDef


def assemble(
    settings: ProcessSettings, config: BridgeConfig, publisher: KafkaPublisher, journal: Journal
) -> Assembly:
    """A bridge that is ready to run; call it inside the event loop.

    Raises:
        CannotRun: If a TLS file cannot be used.
    """
    failure = Failure(settings.data)
    tokenizer = Tokenizer(SubjectKey(settings.subject_key_id, settings.subject_key))
    # wrong credentials stop a process that has nothing else to do; beside others they are told
    refused = failure if len(config.connections) == 1 else _tell
    registry = CollectorRegistry()
    latencies = Latencies(registry)
    routes = [
        Gateway(
            connection,
            bootstrap=settings.kafka,
            publisher=publisher,
            journal=journal,
            tokenizer=tokenizer,
            fail=failure,
            refused=refused,
            meters=latencies.of(connection.name),
        )
        for connection in config.connections
    ]
    registry.register(RouteCollector(routes, lambda: publisher.pending))
    bridge = Bridge(routes, publisher=publisher, journal=journal, failure=failure)
    return Assembly(bridge, metrics_route(registry))


def _tell(sentence: CannotRun) -> None:
    log.error(str(sentence))
