"""Worker, bridge and broker are killed at random moments while the whole system is under load."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.storage.recount import recount_folder
from smslab.kafka.apache import ApacheKafka
from tests.support.demo import Demo

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.crash]

SEED = 20_261_128
WINDOW = 64
"""submit_sm that a dying bridge leaves without an answer, at most."""


@dataclass(frozen=True)
class Soak:
    """How much is sent, and how often who is killed; `slot_s` apart, at a random moment of each."""

    messages: int
    rate_per_s: int
    kills: Counter[str]
    slot_s: float

    def plan(self) -> list[tuple[float, str]]:
        """(seconds after the first result, who), in order of time."""
        chance = random.Random(SEED)
        names = list(self.kills.elements())
        chance.shuffle(names)
        slots = (n * self.slot_s + chance.uniform(0, self.slot_s) for n in range(len(names)))
        return list(zip(slots, names, strict=True))


SHORT = Soak(12_000, 200, Counter(worker=3, bridge=1, broker=1), slot_s=8)
LONG = Soak(110_000, 150, Counter(worker=26, bridge=5, broker=5), slot_s=17)
"""The stack gives a process up at its sixth death within a minute, whatever it died of."""


async def kill(name: str, demo: Demo, kafka: ApacheKafka) -> None:
    """SIGKILL; the stack starts its own again, we the broker."""
    if name == "broker":
        await asyncio.to_thread(kafka.kill)
        await asyncio.to_thread(kafka.start)
        return
    while not demo.kill(name):  # noqa: ASYNC110 - between death and restart there is no process
        await asyncio.sleep(0.05)


async def carry_out(plan: Iterable[tuple[float, str]], demo: Demo, kafka: ApacheKafka) -> None:
    """Every kill at its time, however long the one before took."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    for after_s, name in plan:
        await demo.until(lambda due=started + after_s: loop.time() >= due)
        await kill(name, demo, kafka)


@pytest.mark.parametrize(
    "soak", [pytest.param(SHORT, id="short"), pytest.param(LONG, id="long", marks=pytest.mark.soak)]
)
async def test_nothing_is_lost_or_counted_twice_whatever_is_killed(
    soak: Soak, own_kafka: ApacheKafka, tmp_path: Path
) -> None:
    """Ledger, aggregates and row-level files agree; what was cut off is listed as unknown."""
    arguments = ("--messages", str(soak.messages), "--rate", str(soak.rate_per_s))
    arguments += ("--kafka", own_kafka.bootstrap, "--exit", "--json")
    with Demo(tmp_path, *arguments) as demo:
        await demo.until(lambda: demo.submitted() > 0)
        await carry_out(soak.plan(), demo, own_kafka)
        assert demo.submitted() < soak.messages, "the kills came after the load"
        code = await demo.ended(within_s=1200)
        assert code == 0, demo.said
        report = demo.report()
        restarts = {
            name: demo.said.count(f"{name} ended (signal 9)") for name in ("worker", "bridge")
        }
        assert restarts == {name: soak.kills[name] for name in restarts}
        assert demo.children() == []
    assert (report["lost"], report["counted_twice"]) == (0, 0)
    assert report["ledger"].keys() == report["counted"].keys() == {"A", "B", "holdout", "total"}
    assert report["counted"]["total"]["submitted"] == soak.messages
    assert 0 <= report["unknown"] <= WINDOW * soak.kills["bridge"]
    assert report["unknown"] == sum(report["unknown_by_variant"].values())
    assert report["verdict"] in {"ship", "your_call"}
    recount = recount_folder(demo.folder / "worker")
    assert recount.agrees, recount.differences[:5]
    assert recount.waiting == 0
