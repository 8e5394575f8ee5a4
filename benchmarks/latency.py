"""How long an SMSC waits for its deliver_sm_resp while receipts come at a steady rate."""

from __future__ import annotations

import statistics
from typing import Final

from benchmarks.bridge_process import (
    PER_S,
    Bench,
    check_receipts,
    connection,
    running_bridge,
    watch_taken,
)
from benchmarks.figures import WARM_UP, Figure, Values, must_equal
from benchmarks.topics import ends_of
from schemas.topics import MESSAGE_RECEIPT

RATE: Final = 5000
RECEIPTS: Final = 30_000
BINDS: Final = 2
_NAME: Final = f"ack of a receipt at {RATE:,}/s"
FIGURES: Final = (
    Figure(f"{_NAME}: p50, ms", "ms", at_most=5),
    Figure(f"{_NAME}: p99, ms", "ms", at_most=20),
    Figure(f"{_NAME}: acked, {PER_S}", PER_S),
)


async def ack_latency(bench: Bench, number: int) -> Values:
    """Measured at the SMSC, from writing a deliver_sm to reading its answer; Kafka in between."""
    count = bench.setup.size(RECEIPTS)
    name = f"latency-{number}"
    async with ends_of(bench.kafka.bootstrap, MESSAGE_RECEIPT) as receipts:
        with bench.peer("benchmarks.raw_smsc", name) as smsc:
            config = {"connections": {"bench": connection(smsc.hear()["port"], binds=BINDS)}}
            with running_bridge(bench, name, config) as (bridge, _):
                smsc.tell(f"pace {RATE} {count}")
                rates = (await watch_taken(smsc, bridge, count)).rates()
                smsc.tell("latencies")
                latencies_ms: list[float] = smsc.hear()["ms"]
                bridge.stop()
        await check_receipts(receipts, count)
    must_equal("answers", len(latencies_ms), count)
    warm = latencies_ms[round(count * WARM_UP) :]
    percentiles = statistics.quantiles(warm, n=100, method="inclusive")
    values = (percentiles[49], percentiles[98], rates.per_s)
    return dict(zip((figure.name for figure in FIGURES), values, strict=True))
