"""What all benchmarks of the bridge share: one broker, bridges with a file, requests, totals."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.cores import on
from benchmarks.figures import Measure, Setup, Values, must_equal
from benchmarks.processes import Process, fresh_broker, wait_until_ready
from benchmarks.progress import EVERY_S, Progress
from benchmarks.topics import Ends
from schemas.events import MessageRequested, MessageSubmitted, ReceiptReceived
from schemas.subject import SubjectKey, Tokenizer
from smslab.kafka.apache import ApacheKafka
from smslab.kafka.sockets import free_ports

PASSWORD_ENV: Final = "SMS_BRIDGE_BENCH_PASSWORD"  # noqa: S105 - the name of a variable
PER_S, PER_CPU_S = "1/s", "1/CPU-s"
_KEY: Final = bytes(range(32))
_TEXT: Final = "【云店】{name},今天下单立减20元 https://s.example/{token} 拒收请回复R"


@dataclass(frozen=True, slots=True)
class Bench:
    """What the runs share."""

    kafka: ApacheKafka
    folder: Path
    setup: Setup

    def peer(
        self, module: str, name: str, *arguments: str, cores: frozenset[int] | None = None
    ) -> Process:
        """An SMSC or ESMEs, beside the broker unless told otherwise."""
        chosen = self.setup.cores.others if cores is None else cores
        return Process(module, *arguments, cores=chosen, log=self.folder / f"{name}-peer.log")


Part = Callable[[Bench, int], Awaitable[Values]]
"""Measures some figures in one run, given its number."""


def on_one_broker(*parts: Part) -> Callable[[Setup], AbstractContextManager[Measure]]:
    """The `prepare` of a benchmark whose runs share a broker; every bridge is a new one."""

    @contextmanager
    def prepare(setup: Setup) -> Iterator[Measure]:
        with fresh_broker(setup.cores) as (kafka, folder):
            bench = Bench(kafka, folder, setup)

            def measure(number: int) -> Values:
                values: dict[str, float] = {}
                with on(setup.cores.others):
                    for part in parts:
                        values |= asyncio.run(_measured(part, bench, number))
                return values

            yield measure

    return prepare


async def _measured(part: Part, bench: Bench, number: int) -> Values:
    return await part(bench, number)


def connection(port: int, **keys: Any) -> dict[str, Any]:
    """One connection of a bridge's file."""
    credentials = {"system_id": "bench", "password_env": PASSWORD_ENV}
    return {"host": "127.0.0.1", "port": port, **credentials, **keys}


@contextmanager
def running_bridge(
    bench: Bench, name: str, config: Mapping[str, Any], cores: frozenset[int] | None = None
) -> Iterator[tuple[Process, int]]:
    """A bridge that is bound, with an empty journal, and its health port."""
    health, folder = free_ports(1)[0], bench.folder / name
    folder.mkdir()
    file = folder / "bridge.yaml"
    file.write_text(json.dumps(config), encoding="utf-8")  # JSON is YAML
    bridge = Process(
        "smpp_bridge",
        cores=bench.setup.cores.measured if cores is None else cores,
        log=folder / "log",
        SMS_KAFKA=bench.kafka.bootstrap,
        SMS_SUBJECT_KEY=_KEY.hex(),
        SMS_BRIDGE_CONFIG=file,
        SMS_BRIDGE_DATA=folder / "journal",
        SMS_BRIDGE_HEALTH_PORT=health,
        **{PASSWORD_ENV: "bench"},
    )
    with bridge:
        wait_until_ready(bridge, health)
        yield bridge, health


async def pause(*processes: Process) -> None:
    """Between two looks."""
    for process in processes:
        process.check()
    await asyncio.sleep(EVERY_S)


async def watch_taken(smsc: Process, bridge: Process, count: int) -> Progress:
    """Until an SMSC has the answers to that many receipts."""
    progress = Progress(count)
    while not progress.is_complete:
        await pause(bridge)
        smsc.tell("count")
        progress.see(smsc.hear()["taken"], bridge.cpu_s())
    return progress


async def watch_results(results: Ends, bridge: Process, count: int) -> Progress:
    """Until Kafka has that many results."""
    progress = Progress(count)
    while not progress.is_complete:
        await pause(bridge)
        progress.see(await results.grown(), bridge.cpu_s())
    return progress


def requests(run: str, name: str, count: int) -> Iterator[MessageRequested]:
    """Requests for one connection; the same for the same run."""
    rng = random.Random(run)
    tokenizer = Tokenizer(SubjectKey("k1", _KEY))
    for number in range(count):
        destination = f"861{rng.randrange(3 * 10**9, 10**10)}"
        message_id = f"{rng.getrandbits(128):032x}"
        yield MessageRequested(
            event_id=message_id,
            occurred_at_ms=1,
            subject=tokenizer.token(destination),
            message_id=message_id,
            connection=name,
            source_addr="10690001",
            destination=destination,
            text=_TEXT.format(name=f"客户{number}", token=f"{rng.getrandbits(40):010x}"),
            purpose="promotional",
            campaign_id="double11-coupon",
            variant_id="B",
        )


async def check_results(results: Ends, count: int) -> None:
    """One accepted result per request, nothing twice."""
    events = await results.read(MessageSubmitted, count)
    must_equal("results in Kafka", await results.grown(), count)
    must_equal("results per message", len({event.message_id for event in events}), count)
    must_equal("outcomes", Counter(event.outcome for event in events), {"accepted": count})


async def check_receipts(receipts: Ends, count: int) -> None:
    """One event per receipt."""
    events = await receipts.read(ReceiptReceived, count)
    must_equal("receipts in Kafka", await receipts.grown(), count)
    must_equal("receipts", len({event.event_id for event in events}), count)
    must_equal("states", Counter(event.state for event in events), {"DELIVERED": count})
