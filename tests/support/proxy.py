"""A proxy in the test's own process: real sockets on both sides, a Kafka that the test moves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from runtime.kafka import Done
from schemas.events import Event, InboundReceived, MessageSubmitted, ReceiptReceived
from smpp_bridge.adapters.desk import Desk
from smpp_bridge.adapters.owner_log import OwnerLog
from smpp_bridge.adapters.proxy import Proxy
from smpp_bridge.adapters.relay import Relay
from smpp_bridge.adapters.transit_log import TransitLog
from smpp_bridge.configuration import Account, ConnectionConfig, ProxyConfig
from smpp_bridge.owners import Owners
from smpp_bridge.protocol import pdu
from smpp_bridge.protocol.constants import INTERFACE_VERSION
from smpp_bridge.proxied import Clerk, Tagger
from tests.support.bridge import TOKENIZER
from tests.support.esme import Esme, connect
from tests.support.topics import wait_until


@dataclass
class HeldRecorder:
    """Stands for the recorder; confirms at once, or when the test says `store`."""

    holds: bool = False
    is_away: bool = False
    events: list[Event] = field(default_factory=list)
    dead: list[str] = field(default_factory=list)
    waiting: list[Done] = field(default_factory=list)

    def put_event(self, event: Event, done: Done) -> None:
        """Take an event."""
        self.events.append(event)
        self._confirm(done)

    def dead_letter(self, topic: str, data: bytes, reason: str, done: Done, **_: Any) -> None:
        """Take a dead letter."""
        self.dead.append(reason)
        self._confirm(done)

    def _confirm(self, done: Done) -> None:
        if self.holds:
            self.waiting.append(done)
        else:
            asyncio.get_running_loop().call_soon(done, None)

    def store(self, error: BaseException | None = None) -> None:
        """Kafka answers."""
        waiting, self.waiting = self.waiting, []
        for done in waiting:
            done(error)

    @property
    def submitted(self) -> list[MessageSubmitted]:
        """Results."""
        return [event for event in self.events if isinstance(event, MessageSubmitted)]

    @property
    def received(self) -> list[ReceiptReceived | InboundReceived]:
        """What came from the SMSC."""
        return [e for e in self.events if isinstance(e, (ReceiptReceived, InboundReceived))]


@dataclass
class RunningProxy:
    """What a test touches."""

    desk: Desk
    relays: dict[str, Relay]
    recorder: HeldRecorder
    log: TransitLog

    async def esme(
        self,
        system_id: str = "shop",
        password: str = "secret",  # noqa: S107 - of a simulated account
        *,
        cls: type[pdu.Bind] = pdu.BindTransceiver,
        interface_version: int = INTERFACE_VERSION,
        **keys: Any,
    ) -> Esme:
        """An ESME that was answered: bound, or refused."""
        bind = cls(
            system_id=system_id.encode(),
            password=password.encode(),
            interface_version=interface_version,
        )
        esme = await connect(self.desk.listener.port, bind=bind, **keys)
        await wait_until(lambda: esme.is_bound or esme.refused_with is not None or esme.is_closed)
        return esme


def account(system_id: str = "shop", connection: str = "c", **keys: Any) -> Account:
    """An account whose password is `secret`."""
    return Account(system_id=system_id, password="secret", connection=connection, **keys)


@asynccontextmanager
async def run_proxy(
    ports: dict[str, int],
    folder: Path,
    *accounts: Account,
    recorder: HeldRecorder | None = None,
    connection: dict[str, Any] | None = None,
    **keys: Any,
) -> AsyncIterator[RunningProxy]:
    """A proxy between free ports: connection name → port of its SMSC."""
    recorder = recorder or HeldRecorder()
    config = ProxyConfig(host="127.0.0.1", port=0, accounts=accounts or (account(),), **keys)
    desk = Desk(config, is_kafka_away=lambda: recorder.is_away)
    folder.mkdir(exist_ok=True)  # noqa: ASYNC240 - a test's own folder
    log = TransitLog(folder / "transit.log")
    relays = {
        name: _relay(
            ConnectionConfig(
                name=name, system_id="shop", password="secret", port=port, **(connection or {})
            ),
            config,
            desk,
            recorder,
            log,
            OwnerLog(folder / f"owners-{name}.log"),
        )
        for name, port in ports.items()
    }
    desk.connect(relays)
    proxy = Proxy(desk, recorder=recorder, transit_log=log, fail=pytest.fail)  # type: ignore[arg-type]
    await proxy.start()
    stop = asyncio.Event()
    runners = [proxy, *relays.values()]
    tasks = [asyncio.ensure_future(run) for part in runners for run in part.runners(stop)]
    try:
        await wait_until(lambda: all(relay.links.bound for relay in relays.values()))
        yield RunningProxy(desk, relays, recorder, log)
    finally:
        recorder.holds = False
        recorder.store()
        await asyncio.gather(*(part.drain(0.3) for part in runners))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(part.stop() for part in runners))


def _relay(
    config: ConnectionConfig,
    proxy: ProxyConfig,
    desk: Desk,
    recorder: HeldRecorder,
    log: TransitLog,
    owner_log: OwnerLog,
) -> Relay:
    return Relay(
        config,
        desk=desk,
        recorder=recorder,  # type: ignore[arg-type]
        clerk=Clerk(
            connection=config.name,
            tokenizer=TOKENIZER,
            tagger=Tagger(proxy.content_tags),
            region="",
            instance=f"{config.name}-i",
        ),
        owners=Owners(
            [each for each in proxy.accounts if each.connection == config.name],
            config.receipts,
            owner_log,
            b"k" * 16,
        ),
        owner_log=owner_log,
        unrouted=proxy.unrouted,
        transit_log=log,
        tokenizer=TOKENIZER,
        fail=pytest.fail,
        refused=pytest.fail,
    )
