"""The bridge beside SMPP without Kafka: one bind of window 64 to the same SMSC process.

The comparison is uneven on purpose: the bridge has stored everything in Kafka and in its journal
before it counts; its own session alone, smpp34 (Rust) and smpplib keep nothing.
"""

from __future__ import annotations

from typing import Any, Final

from benchmarks.bridge_process import (
    PER_S,
    Bench,
    check_receipts,
    check_results,
    connection,
    on_one_broker,
    pause,
    requests,
    running_bridge,
    watch_results,
)
from benchmarks.figures import Benchmark, Figure, Values, must_equal
from benchmarks.peer_esmes import LIBRARIES, WINDOW
from benchmarks.processes import Process
from benchmarks.progress import Progress
from benchmarks.topics import ends_of, publish
from schemas.topics import MESSAGE_RECEIPT, MESSAGE_SUBMITTED

OURS: Final = "bridge with Kafka"
SUBMITS: Final = {OURS: 40_000, "session": 80_000, "smpp34": 30_000, "smpplib": 20_000}
RECEIPTS: Final = {OURS: 80_000, "session": 200_000, "smpp34": 200_000, "smpplib": 20_000}
_NAMES: Final = {
    OURS: OURS,
    "session": "its session alone, without Kafka",
    "smpp34": "smpp34, without Kafka",
    "smpplib": "smpplib, without Kafka",
}
_KINDS: Final = ("submits", "receipts")


async def submits(bench: Bench, number: int) -> Values:
    """Ours count when the result is in Kafka, theirs when the SMSC has the submit_sm."""
    with bench.peer("benchmarks.raw_smsc", f"peers-submits-{number}") as smsc:
        port = smsc.hear()["port"]
        rates = {OURS: await _our_submits(bench, number, port)}
        for name in LIBRARIES:
            rates[name] = await _their(bench, (name, port, "submit"), smsc, SUBMITS[name])
    return _values("submits", rates)


async def receipts(bench: Bench, number: int) -> Values:
    """One counts when the SMSC has its answer."""
    with bench.peer("benchmarks.raw_smsc", f"peers-receipts-{number}") as smsc:
        port = smsc.hear()["port"]
        rates = {OURS: await _our_receipts(bench, number, smsc, port)}
        for name in LIBRARIES:
            rates[name] = await _their(bench, (name, port, "receive"), smsc, RECEIPTS[name])
    return _values("receipts", rates)


async def _our_submits(bench: Bench, number: int, port: int) -> float:
    count = bench.setup.size(SUBMITS[OURS])
    await publish(bench.kafka.bootstrap, requests(f"p{number}", "bench", count))
    async with ends_of(bench.kafka.bootstrap, MESSAGE_SUBMITTED) as results:
        with running_bridge(bench, f"ours-s{number}", _config(port)) as (bridge, _):
            progress = await watch_results(results, bridge, count)
            bridge.stop()
        await check_results(results, count)
    return progress.rates().per_s


async def _our_receipts(bench: Bench, number: int, smsc: Process, port: int) -> float:
    count = bench.setup.size(RECEIPTS[OURS])
    async with ends_of(bench.kafka.bootstrap, MESSAGE_RECEIPT) as stored:
        with running_bridge(bench, f"ours-r{number}", _config(port)) as (bridge, _):
            smsc.tell(f"deliver {count}")
            progress = await _watch(smsc, "taken", 0, count, bridge)
            bridge.stop()
        await check_receipts(stored, count)
    return progress.rates().per_s


async def _their(bench: Bench, arguments: tuple[Any, ...], smsc: Process, full: int) -> float:
    """A library's process on the core of what is measured."""
    count, cores = bench.setup.size(full), bench.setup.cores.measured
    name, _, kind = arguments
    total = "taken" if kind == "receive" else "submits"
    before = _totals(smsc)
    words = map(str, (*arguments, count))
    with bench.peer("benchmarks.peer_esmes", f"{name}-{kind}", *words, cores=cores) as esme:
        while kind == "receive" and _totals(smsc)["receivers"] != 1:
            await pause(esme)
        if kind == "receive":
            smsc.tell(f"deliver {count}")
        progress = await _watch(smsc, total, before[total], count, esme)
        must_equal(f"{name}: {kind}", esme.hear()["done"], count)
    while _totals(smsc)["receivers"]:
        await pause(smsc)
    must_equal(f"{name}: refused", _totals(smsc)["refused"], before["refused"])
    return progress.rates().per_s


async def _watch(smsc: Process, total: str, before: int, count: int, esme: Process) -> Progress:
    progress = Progress(count)
    while not progress.is_complete:
        await pause(esme)
        progress.see(_totals(smsc)[total] - before, esme.cpu_s())
    return progress


def _totals(smsc: Process) -> dict[str, int]:
    smsc.tell("count")
    found: dict[str, int] = smsc.hear()
    return found


def _config(port: int) -> dict[str, Any]:
    return {"connections": {"bench": connection(port, window=WINDOW)}}


def _values(kind: str, rates: dict[str, float]) -> Values:
    shown = {f"{kind}: {_NAMES[name]}, {PER_S}": rate for name, rate in rates.items()}
    ratios = {f"{kind}: bridge ÷ {name}": rates[OURS] / rates[name] for name in LIBRARIES}
    return shown | ratios


PEERS: Final = Benchmark(
    "peers",
    f"one bind of window {WINDOW}: the bridge with Kafka beside smpp34 and smpplib without it",
    tuple(
        figure
        for kind in _KINDS
        for figure in (
            *(Figure(f"{kind}: {name}, {PER_S}", PER_S) for name in _NAMES.values()),
            *(Figure(f"{kind}: bridge ÷ {name}", "×") for name in LIBRARIES),
        )
    ),
    on_one_broker(submits, receipts),
)
