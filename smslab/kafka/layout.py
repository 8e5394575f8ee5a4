"""The files of a one-node KRaft broker: server.properties, meta.properties, logging. Pure text."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

_SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "auto.create.topics.enable": "false",
    "num.partitions": "1",
    # a restarted broker waits for its own old session: 9 s by default
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
}


def server_properties(
    folder: Path, port: int, controller_port: int, more: Mapping[str, str] = MappingProxyType({})
) -> str:
    """`server.properties` of a static one-node quorum on 127.0.0.1; `more` overrides ours."""
    listener = f"PLAINTEXT://127.0.0.1:{port}"
    settings = _SETTINGS | {
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "listeners": f"{listener},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": listener,
        "log.dirs": str(folder / "logs"),
        **more,
    }
    return "".join(f"{key}={value}\n" for key, value in settings.items())


def meta_properties() -> str:
    """What `kafka-storage format` writes: with a static quorum nothing else is needed."""
    return f"version=1\ncluster.id={_kafka_uuid()}\nnode.id=1\ndirectory.id={_kafka_uuid()}\n"


def log4j_configuration(folder: Path) -> str:
    """Broker logs into `server.log`, at most three files of 10 MB."""
    return f"""Configuration:
  Appenders:
    RollingFile:
      name: F
      fileName: "{folder}/server.log"
      filePattern: "{folder}/server.log.%i"
      PatternLayout: {{pattern: "[%d] %p %m (%c)%n"}}
      SizeBasedTriggeringPolicy: {{size: 10MB}}
      DefaultRolloverStrategy: {{max: 2}}
  Loggers:
    Root: {{level: INFO, AppenderRef: {{ref: F}}}}
"""


def _kafka_uuid() -> str:
    """Kafka's Uuid: base64url of 16 random bytes; a leading '-' would read as an option."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        if not text.startswith("-"):
            return text
