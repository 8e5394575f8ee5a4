"""Surveys an audience (the dry run) and publishes its plan to Kafka."""

from __future__ import annotations

import asyncio
import csv
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

from pipeline.dimensions import most_frequent
from pipeline.dispatch.audience import Recipient, RejectedRow
from pipeline.dispatch.plan import Planned, Planner
from runtime.kafka import KafkaPublisher
from schemas.events import CampaignDefined, Event

CHUNK: Final = 500
"""Recipients whose assignments are acknowledged together before their requests go out."""


@dataclass(slots=True)
class Survey:
    """What an audience would become. Costs in millionths of the currency's major unit."""

    assigned: Counter[str] = field(default_factory=Counter)
    messages: int = 0
    segments: int = 0
    cost_micro: int = 0
    without_covariate: int = 0
    """Recipients whose column holds no usable number."""
    rejected: list[RejectedRow] = field(default_factory=list)
    attributes: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    @property
    def dimension_values(self) -> dict[str, tuple[str, ...]]:
        """Attribute → its most frequent values, the most frequent first, equal ones by name."""
        return {name: most_frequent(found) for name, found in self.attributes.items()}

    @property
    def recipients(self) -> int:
        """Everybody who is assigned, the holdout too."""
        return self.assigned.total()

    def add(self, planned: Planned) -> None:
        """Count one recipient."""
        self.assigned[planned.assigned.variant_id] += 1
        self.messages += planned.request is not None
        self.segments += planned.segments
        self.cost_micro += planned.cost_micro
        self.without_covariate += planned.assigned.covariate is None
        for name, value in planned.assigned.attributes.items():
            self.attributes[name][value] += 1


def survey(planner: Planner, rows: Iterable[Recipient | RejectedRow]) -> Survey:
    """Plan everything, publish nothing."""
    found = Survey()
    for row in rows:
        if isinstance(row, RejectedRow):
            found.rejected.append(row)
        else:
            found.add(planner.plan(row, now_ms=0))
    return found


async def dispatch(
    planner: Planner,
    definition: CampaignDefined,
    rows: Iterable[Recipient | RejectedRow],
    publisher: KafkaPublisher,
    *,
    progress: Callable[[int], None] = lambda _: None,
) -> int:
    """Publish the definition, then per chunk assignments and links, and only then the requests.

    So no message is ever sent whose assignment or link Kafka does not have.

    Returns: The number of recipients.

    Raises:
        PublishError: If Kafka did not confirm something; running again is safe.
    """
    await publisher.publish(definition)
    recipients = (row for row in rows if isinstance(row, Recipient))
    started, done = time.monotonic(), 0
    for chunk in _chunks(recipients):
        now_ms = time.time_ns() // 1_000_000
        planned = [planner.plan(recipient, now_ms=now_ms) for recipient in chunk]
        links = [item.link for item in planned if item.link is not None]
        await _publish(publisher, [*(item.assigned for item in planned), *links])
        await _publish(publisher, [item.request for item in planned if item.request is not None])
        done += len(chunk)
        progress(done)
        if planner.campaign.rate_per_s:
            ahead_s = done / planner.campaign.rate_per_s - (time.monotonic() - started)
            await asyncio.sleep(max(0.0, ahead_s))
    return done


def write_rejected(path: Path, rejected: Sequence[RejectedRow]) -> None:
    """The rows that were not used, with their reasons and without their numbers."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["row", "column", "reason"])
        writer.writerows((row.row, row.column, row.reason) for row in rejected)


async def _publish(publisher: KafkaPublisher, events: Sequence[Event]) -> None:
    """Publish events; return when Kafka has all of them."""
    if not events:
        return
    everything: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    left = len(events)

    def one_done(error: BaseException | None) -> None:
        nonlocal left
        left -= 1
        if everything.done():
            return
        if error is not None:
            everything.set_exception(error)
        elif left == 0:
            everything.set_result(None)

    for event in events:
        publisher.put_event(event, one_done)
    await everything


def _chunks(recipients: Iterator[Recipient]) -> Iterator[list[Recipient]]:
    while chunk := list(islice(recipients, CHUNK)):
        yield chunk
