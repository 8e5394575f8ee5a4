"""Runs the demo: start the stack, send the campaign, wait until everything has happened."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from rich.progress import Progress

from dashboards.facts import decision_of
from dashboards.texts import Words
from pipeline.rows import Verdict
from pipeline.snapshot import SERVE_FILE
from pipeline.storage.reader import ResultsReader
from runtime.process import CannotRun, ExitCode
from schemas.topics import JOINED_TOPICS
from smslab.demo.world import World
from smslab.dispatching import carry_out, order_of
from smslab.reconcile import Reconciliation, reconcile_files
from smslab.results import show_reconciliation
from smslab.screen import progress, step, warn
from smslab.stack import Stack
from smslab.verdict import read_results, tell_verdict

_LOOK_S: Final = 0.5
_PATIENCE_S: Final = 60.0
"""How long nothing may change, beyond the campaign's window, before we stop waiting."""
_JOINED: Final = frozenset(topic.name for topic in JOINED_TOPICS)
T = TypeVar("T")


class Interrupted(Exception):  # noqa: N818 - reads as what happened
    """Ctrl-C or SIGTERM."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What simulator and pipeline say at one moment."""

    simulator: dict[str, Any]
    submitted: int
    matured: int
    assigned: int
    events_applied: int
    waiting: int
    verdict: Verdict | None

    def is_settled(self, messages: int) -> bool:
        """Whether everything has happened, is counted, and has led to a verdict."""
        return (
            bool(self.simulator.get("settled"))
            and self.submitted >= messages
            and not self.waiting
            and self.verdict is not None
            and self.verdict.verdict != "collecting"
        )


async def run(world: World, *, messages: int, leave: bool) -> None:
    """Run the stack until the campaign has settled (`leave`), or until Ctrl-C.

    Raises:
        CannotRun: If a process cannot do its work.
        Interrupted: If Ctrl-C came before the campaign had settled.
    """
    stop = _stop_on_signals()
    async with Stack(world.folder, warn) as stack:
        for child in world.children():
            step(f"Starting {child.name}")
            await _or_stop(stack.start(child), stop)
        step(f"\nOpen {world.dashboard_url}   (logs: {world.folder / 'logs'})\n")
        failing = asyncio.create_task(stack.failed())
        working = asyncio.create_task(_campaign(world, stack, messages))
        try:
            await _first(working, failing, stop)
            if not leave:
                await asyncio.to_thread(tell, world)
                step(f"\nThe pages stay up at {world.dashboard_url} until Ctrl-C.")
                await _first(failing, failing, stop)
        except Interrupted:
            if leave or not working.done():
                raise
        finally:
            for task in (failing, working):
                task.cancel()
            await asyncio.gather(failing, working, return_exceptions=True)
            step("Stopping")


async def _campaign(world: World, stack: Stack, messages: int) -> None:
    """Send everything, then wait until it has settled."""
    order = await asyncio.to_thread(order_of, world.campaign_file, world.dispatch_settings)
    with progress() as bars:
        found = await _until_told(lambda told: order.survey(bars, told))
        await carry_out(order, found, world.broker.bootstrap, bars)
        rejected = len(found.rejected)
        step(f"{found.recipients:,} assigned, {found.messages:,} sent, {rejected} rows rejected")
        await _settle(world, stack, bars, messages)


async def _settle(world: World, stack: Stack, bars: Progress, messages: int) -> None:
    loop = asyncio.get_running_loop()
    patience_s = world.campaign.goal.window_ms / 1000 + _PATIENCE_S
    sending = bars.add_task("Sent and answered", total=messages)
    maturing = bars.add_task("Had their whole window", total=None)
    last, changed_at = None, loop.time()
    while True:
        moment = await _moment(world, stack)
        bars.update(sending, completed=moment.submitted)
        bars.update(maturing, completed=moment.matured, total=moment.assigned or None)
        if moment.is_settled(messages):
            return
        if moment != last:
            last, changed_at = moment, loop.time()
        if loop.time() - changed_at > patience_s:
            raise CannotRun(
                f"nothing has changed for {patience_s:.0f} s, but the campaign has not settled; "
                f"see {world.folder / 'logs'}.",
                ExitCode.ANSWER_IS_NO,
            )
        await asyncio.sleep(_LOOK_S)


async def _moment(world: World, stack: Stack) -> Moment:
    status = await stack.status(world.simulator_status)
    return await asyncio.to_thread(_read, world, dict(status))


async def _until_told(work: Callable[[threading.Event], T]) -> T:
    """Run `work` in a thread that ends when we are cancelled: nobody could stop it otherwise."""
    told = threading.Event()
    try:
        return await asyncio.to_thread(work, told)
    finally:
        told.set()


def _read(world: World, status: dict[str, Any]) -> Moment:
    campaign_id = world.campaign.campaign_id
    with contextlib.closing(ResultsReader(world.results / SERVE_FILE)) as reader:
        live = reader.variant_results(campaign_id, "live")
        mature = reader.variant_results(campaign_id, "mature")
        info = reader.snapshot_info()
        lags = [lag for lag in reader.lags() if lag.topic in _JOINED]
        return Moment(
            simulator=status,
            submitted=sum(row.counters.submitted for row in live),
            matured=sum(row.counters.assigned for row in mature),
            assigned=sum(row.counters.assigned for row in live),
            events_applied=info.events_applied if info else 0,
            waiting=sum(lag.end_offset - lag.next_offset for lag in lags),
            verdict=reader.verdict(campaign_id),
        )


def tell(world: World) -> Reconciliation:
    """Show verdict and arms, and whether they agree with the ledger.

    Raises:
        CannotRun: If there are no results.
    """
    found = reconcile_files(world.ledger, world.results, world.campaign.campaign_id)
    with read_results(world.results) as reader, reader.snapshot() as snapshot:
        decision = None
        if snapshot is not None:
            decision = decision_of(snapshot, world.campaign.campaign_id)
    if decision is not None:
        tell_verdict(decision, Words("en"))
    show_reconciliation(found)
    return found


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(signum, stop.set)
    return stop


async def _or_stop(work: Awaitable[T], stop: asyncio.Event) -> T:
    task = asyncio.ensure_future(work)
    await _first(task, task, stop)
    return task.result()


async def _first(one: asyncio.Future[Any], other: asyncio.Future[Any], stop: asyncio.Event) -> None:
    """Wait for either; raises what ended it, or `Interrupted`."""
    stopping = asyncio.ensure_future(stop.wait())
    try:
        done, _ = await asyncio.wait({one, other, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for task in done - {stopping}:
            task.result()
        if stopping in done:
            raise Interrupted
    finally:
        stopping.cancel()
        if stop.is_set():
            one.cancel()
