"""Puts a bridge together from its configuration."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from aiohttp import web
from prometheus_client import CollectorRegistry

from runtime.kafka import KafkaPublisher
from runtime.metrics import metrics_route
from runtime.process import CannotRun
from schemas.subject import SubjectKey, Tokenizer
from smpp_bridge.adapters.account_metrics import ClientCollector
from smpp_bridge.adapters.desk import Desk
from smpp_bridge.adapters.election import Turn
from smpp_bridge.adapters.gateway import Gateway
from smpp_bridge.adapters.journal import Journal
from smpp_bridge.adapters.metrics import RouteCollector
from smpp_bridge.adapters.owner_log import OwnerLog
from smpp_bridge.adapters.proxy import Proxy
from smpp_bridge.adapters.recorder import Recorder
from smpp_bridge.adapters.relay import Relay
from smpp_bridge.adapters.transit_log import TransitLog
from smpp_bridge.bridge import Bridge, Failure
from smpp_bridge.configuration import BridgeConfig, ConnectionConfig, ProxyConfig
from smpp_bridge.owners import Owners
from smpp_bridge.proxied import Clerk, Tagger
from smpp_bridge.settings import ProcessSettings

log = logging.getLogger(__name__)


class Assembly(NamedTuple):
    """A bridge and what shows its metrics."""

    bridge: Bridge
    metrics: web.RouteDef


@dataclass(frozen=True, slots=True)
class _Shared:
    """What all routes of a process use."""

    settings: ProcessSettings
    publisher: KafkaPublisher
    journal: Journal
    tokenizer: Tokenizer
    failure: Failure
    refused: Callable[[CannotRun], None]
    registry: CollectorRegistry


def assemble(
    settings: ProcessSettings, config: BridgeConfig, publisher: KafkaPublisher, journal: Journal
) -> Assembly:
    """A bridge that is ready to run; call it inside the event loop.

    Raises:
        CannotRun: If a TLS file cannot be used.
        OSError: If a log cannot be opened.
    """
    failure = Failure(settings.data)
    registry = CollectorRegistry()
    shared = _Shared(
        settings=settings,
        publisher=publisher,
        journal=journal,
        tokenizer=Tokenizer(SubjectKey(settings.subject_key_id, settings.subject_key)),
        failure=failure,
        # wrong credentials stop a process that has nothing else to do; beside others they are told
        refused=failure if len(config.connections) == 1 else _tell,
        registry=registry,
    )
    make = _gateway if config.proxy is None else _proxy
    return Assembly(make(shared, config), metrics_route(registry))


def _gateway(shared: _Shared, config: BridgeConfig) -> Bridge:
    turn = Turn(min(connection.name for connection in config.connections))
    routes = [
        Gateway(
            connection,
            bootstrap=shared.settings.kafka,
            publisher=shared.publisher,
            journal=shared.journal,
            tokenizer=shared.tokenizer,
            turn=turn,
            fail=shared.failure,
            refused=shared.refused,
        )
        for connection in config.connections
    ]
    publisher = shared.publisher
    shared.registry.register(RouteCollector(routes, lambda: publisher.pending))
    return Bridge(routes, publisher=publisher, journal=shared.journal, failure=shared.failure)


def _proxy(shared: _Shared, config: BridgeConfig) -> Bridge:
    assert config.proxy is not None
    publisher = shared.publisher
    recorder = Recorder(publisher, config.proxy.kafka_patience_s)
    desk = Desk(config.proxy, is_kafka_away=lambda: recorder.is_away)
    transit_log = TransitLog(shared.settings.data / "transit.log")
    relays = {
        connection.name: _relay(shared, connection, config.proxy, desk, recorder, transit_log)
        for connection in config.connections
    }
    desk.connect(relays)
    routes = list(relays.values())
    shared.registry.register(RouteCollector(routes, lambda: publisher.pending))
    shared.registry.register(ClientCollector(desk.clients, relays, desk.listener))
    proxy = Proxy(desk, recorder=recorder, transit_log=transit_log, fail=shared.failure)
    return Bridge(
        routes,
        publisher=publisher,
        journal=shared.journal,
        failure=shared.failure,
        others=[proxy],
        report=recorder.put_event,
    )


def _relay(
    shared: _Shared,
    connection: ConnectionConfig,
    proxy: ProxyConfig,
    desk: Desk,
    recorder: Recorder,
    transit_log: TransitLog,
) -> Relay:
    accounts = [each for each in proxy.accounts if each.connection == connection.name]
    owner_log = OwnerLog(shared.settings.data / f"owners-{connection.name}.log")
    return Relay(
        connection,
        desk=desk,
        recorder=recorder,
        clerk=_clerk(shared, connection, proxy),
        owners=Owners(accounts, connection.receipts, owner_log, shared.settings.subject_key),
        owner_log=owner_log,
        unrouted=proxy.unrouted,
        transit_log=transit_log,
        tokenizer=shared.tokenizer,
        fail=shared.failure,
        refused=shared.refused,
    )


def _clerk(shared: _Shared, connection: ConnectionConfig, proxy: ProxyConfig) -> Clerk:
    return Clerk(
        connection=connection.name,
        connection_group=connection.group,
        tokenizer=shared.tokenizer,
        tagger=Tagger(proxy.content_tags, connection.default_encoding),
        region=connection.default_region,
        instance=f"{connection.name}-{uuid.uuid4().hex[:12]}",
    )


def _tell(sentence: CannotRun) -> None:
    log.error(str(sentence))
