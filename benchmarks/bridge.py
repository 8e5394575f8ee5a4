"""The bridge between Kafka and an SMSC on loopback: submits, receipts, and both at once."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.bridge_smsc import PASSWORD, SYSTEM_ID
from benchmarks.cores import on
from benchmarks.figures import Benchmark, Figure, Measure, Setup, Values, must_equal
from benchmarks.processes import Process, fresh_broker, wait_until_ready
from benchmarks.progress import EVERY_S, Progress
from benchmarks.topics import Ends, ends_of, publish
from schemas.events import MessageRequested, MessageSubmitted, ReceiptReceived
from schemas.subject import SubjectKey, Tokenizer
from schemas.topics import MESSAGE_RECEIPT, MESSAGE_SUBMITTED
from smslab.kafka.sockets import free_ports

BINDS: Final = 4
WINDOW: Final = 64
SUBMITS: Final = 100_000
RECEIPTS: Final = 150_000
BOTH: Final = 75_000
_CONNECTION: Final = "bench"
_KEY: Final = bytes(range(32))
_PER_S, _PER_CPU_S = "1/s", "1/CPU-s"
_TEXT: Final = "【云店】{name},今天下单立减20元 https://s.example/{token} 拒收请回复R"


@dataclass(frozen=True, slots=True)
class Bench:
    """What the runs share."""

    kafka: str
    folder: Path
    setup: Setup


@contextmanager
def prepare(setup: Setup) -> Iterator[Measure]:
    """One broker for all runs; every run is a new bridge with an empty journal."""
    with fresh_broker(setup.cores) as (kafka, folder):
        bench = Bench(kafka.bootstrap, folder, setup)

        def measure(number: int) -> Values:
            with on(setup.cores.others):
                return {
                    **asyncio.run(_submits(bench, number)),
                    **asyncio.run(_receipts(bench, number)),
                    **asyncio.run(_both(bench, number)),
                }

        yield measure


async def _submits(bench: Bench, number: int) -> Values:
    """Requests wait in Kafka; a submit counts when its result is durable."""
    count = bench.setup.size(SUBMITS)
    await publish(bench.kafka, _requests(f"s{number}", count))
    async with (
        ends_of(bench.kafka, MESSAGE_SUBMITTED) as results,
        _running(bench, f"submits-{number}") as (bridge, _),
    ):
        progress = Progress(count)
        while not progress.is_complete:
            await _pause(bridge)
            progress.see(await results.grown(), bridge.cpu_s())
        bridge.stop()
        await _check_results(results, count)
    rates = progress.rates()
    return {f"submits, {_PER_S}": rates.per_s, f"submits, {_PER_CPU_S}": rates.per_cpu_s}


async def _receipts(bench: Bench, number: int) -> Values:
    """The SMSC always has receipts waiting; one counts when the bridge has answered it."""
    count = bench.setup.size(RECEIPTS)
    async with (
        ends_of(bench.kafka, MESSAGE_RECEIPT) as receipts,
        _running(bench, f"receipts-{number}") as (bridge, smsc),
    ):
        progress = Progress(count)
        smsc.tell(f"deliver {count}")
        while not progress.is_complete:
            await _pause(bridge)
            smsc.tell("count")
            progress.see(smsc.hear()["taken"], bridge.cpu_s())
        bridge.stop()
        await _check_receipts(receipts, count)
    rates = progress.rates()
    return {f"receipts, {_PER_S}": rates.per_s, f"receipts, {_PER_CPU_S}": rates.per_cpu_s}


async def _both(bench: Bench, number: int) -> Values:
    """Every submit gets its receipt at once; results and receipts are counted in Kafka."""
    count = bench.setup.size(BOTH)
    await publish(bench.kafka, _requests(f"b{number}", count))
    async with (
        ends_of(bench.kafka, MESSAGE_SUBMITTED) as results,
        ends_of(bench.kafka, MESSAGE_RECEIPT) as receipts,
        _running(bench, f"both-{number}", "receipts") as (bridge, smsc),
    ):
        submits, taken, together = Progress(count), Progress(count), Progress(2 * count)
        while not together.is_complete:
            await _pause(bridge)
            smsc.tell("count")
            seen, cpu_s = (await results.grown(), smsc.hear()["taken"]), bridge.cpu_s()
            for progress, found in zip((submits, taken, together), (*seen, sum(seen)), strict=True):
                progress.see(found, cpu_s)
        bridge.stop()
        await _check_results(results, count)
        await _check_receipts(receipts, count)
    return {
        f"both at once: submits, {_PER_S}": submits.rates().per_s,
        f"both at once: receipts, {_PER_S}": taken.rates().per_s,
        f"both at once: sum, {_PER_CPU_S}": together.rates().per_cpu_s,
    }


@asynccontextmanager
async def _running(
    bench: Bench, name: str, *arguments: str
) -> AsyncIterator[tuple[Process, Process]]:
    """A bound bridge on its own core and its SMSC beside the broker."""
    cores, folder = bench.setup.cores, bench.folder
    port = free_ports(1)[0]
    smsc = Process(
        "benchmarks.bridge_smsc", *arguments, cores=cores.others, log=folder / f"{name}-smsc.log"
    )
    with smsc:
        bridge = Process(
            "smpp_bridge",
            cores=cores.measured,
            log=folder / f"{name}.log",
            SMS_KAFKA=bench.kafka,
            SMS_SUBJECT_KEY=_KEY.hex(),
            SMS_BRIDGE_CONNECTION=_CONNECTION,
            SMS_BRIDGE_PORT=smsc.hear()["port"],
            SMS_BRIDGE_SYSTEM_ID=SYSTEM_ID,
            SMS_BRIDGE_PASSWORD=PASSWORD,
            SMS_BRIDGE_BINDS=BINDS,
            SMS_BRIDGE_WINDOW=WINDOW,
            SMS_BRIDGE_DATA=folder / name,
            SMS_BRIDGE_HEALTH_PORT=port,
        )
        with bridge:
            wait_until_ready(bridge, port)
            yield bridge, smsc


async def _pause(bridge: Process) -> None:
    bridge.check()
    await asyncio.sleep(EVERY_S)


def _requests(run: str, count: int) -> Iterator[MessageRequested]:
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
            connection=_CONNECTION,
            source_addr="10690001",
            destination=destination,
            text=_TEXT.format(name=f"客户{number}", token=f"{rng.getrandbits(40):010x}"),
            purpose="promotional",
            campaign_id="double11-coupon",
            variant_id="B",
        )


async def _check_results(results: Ends, count: int) -> None:
    """One accepted result per request, nothing twice."""
    events = await results.read(MessageSubmitted, count)
    must_equal("results in Kafka", await results.grown(), count)
    must_equal("results per message", len({event.message_id for event in events}), count)
    must_equal("outcomes", Counter(event.outcome for event in events), {"accepted": count})


async def _check_receipts(receipts: Ends, count: int) -> None:
    """One event per receipt."""
    events = await receipts.read(ReceiptReceived, count)
    must_equal("receipts in Kafka", await receipts.grown(), count)
    must_equal("receipts", len({event.event_id for event in events}), count)
    must_equal("states", Counter(event.state for event in events), {"DELIVERED": count})


BRIDGE: Final = Benchmark(
    "bridge",
    f"`python -m smpp_bridge` with {BINDS} binds of window {WINDOW} between Kafka and an SMSC",
    (
        Figure(f"submits, {_PER_S}", _PER_S),
        Figure(f"submits, {_PER_CPU_S}", _PER_CPU_S),
        Figure(f"receipts, {_PER_S}", _PER_S),
        Figure(f"receipts, {_PER_CPU_S}", _PER_CPU_S),
        Figure(f"both at once: submits, {_PER_S}", _PER_S),
        Figure(f"both at once: receipts, {_PER_S}", _PER_S),
        Figure(f"both at once: sum, {_PER_CPU_S}", _PER_CPU_S),
    ),
    prepare,
)
