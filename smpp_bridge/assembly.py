"""Puts a bridge together from its configuration."""

from __future__ import annotations

import logging

from runtime.kafka import KafkaPublisher
from runtime.process import CannotRun
from schemas.subject import SubjectKey, Tokenizer
from smpp_bridge.adapters.gateway import Gateway
from smpp_bridge.adapters.journal import Journal
from smpp_bridge.bridge import Bridge, Failure
from smpp_bridge.configuration import BridgeConfig
from smpp_bridge.settings import ProcessSettings

log = logging.getLogger(__name__)


def assemble(
    settings: ProcessSettings, config: BridgeConfig, publisher: KafkaPublisher, journal: Journal
) -> Bridge:
    """A bridge that is ready to run; call it inside the event loop."""
    failure = Failure(settings.data)
    tokenizer = Tokenizer(SubjectKey(settings.subject_key_id, settings.subject_key))
    # wrong credentials stop a process that has nothing else to do; beside others they are told
    refused = failure if len(config.connections) == 1 else _tell
    routes = [
        Gateway(
            connection,
            bootstrap=settings.kafka,
            publisher=publisher,
            journal=journal,
            tokenizer=tokenizer,
            fail=failure,
            refused=refused,
        )
        for connection in config.connections
    ]
    return Bridge(routes, publisher=publisher, journal=journal, failure=failure)


def _tell(sentence: CannotRun) -> None:
    log.error(str(sentence))
