"""Puts a campaign into force: survey the audience, then publish definition, arms and requests."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import msgspec
from aiokafka.errors import KafkaError
from rich.progress import Progress

from campaigns.campaign_file import Campaign, CampaignError, parse_campaign
from campaigns.definition import definition_of
from pipeline.dispatch.audience import AudienceError, Recipient, RejectedRow, read_recipients
from pipeline.dispatch.plan import Planner
from pipeline.dispatch.publish import Survey, dispatch, survey, write_rejected
from pipeline.dispatch.settings import DispatchSettings
from runtime.kafka import KafkaPublisher, PublishError, kafka_unreachable
from runtime.process import CannotRun, ExitCode
from runtime.topics import is_reachable
from schemas.events import CampaignDefined
from schemas.subject import SubjectKey, Tokenizer
from smslab.definitions import definition_in_force
from smslab.screen import warn


@dataclass(frozen=True, slots=True)
class Order:
    """A campaign file and what it needs to be carried out."""

    campaign: Campaign
    audience: Path
    tokenizer: Tokenizer
    planner: Planner

    def rows(self) -> Iterator[Recipient | RejectedRow]:
        """Every row of the audience.

        Raises:
            CannotRun: If the file cannot be used.
        """
        try:
            yield from read_recipients(self.campaign, self.audience, self.tokenizer)
        except AudienceError as error:
            raise CannotRun(str(error)) from error

    def survey(self, progress: Progress, stop: threading.Event | None = None) -> Survey:
        """What the audience would become; publishes nothing. `stop` ends it early."""
        rows = self.rows() if stop is None else takewhile(lambda _: not stop.is_set(), self.rows())
        return survey(self.planner, progress.track(rows, description="Reading audience"))


def read_campaign(file: Path) -> Campaign:
    """The campaign of a file.

    Raises:
        CannotRun: With every problem of the file, one a line.
    """
    try:
        return parse_campaign(file.read_text("utf-8"))
    except OSError as error:
        raise CannotRun(f"{file} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise CannotRun(f"{file} is not a text in UTF-8.") from error
    except CampaignError as error:
        problems = "\n".join(f"  {problem}" for problem in error.problems)
        raise CannotRun(f"{file} cannot be used:\n{problems}", ExitCode.ANSWER_IS_NO) from error


def order_of(file: Path, settings: DispatchSettings) -> Order:
    """A campaign file, ready to be surveyed or carried out.

    Raises:
        CannotRun: If the file or the key cannot be used.
    """
    campaign = read_campaign(file)
    try:
        key = SubjectKey(settings.subject_key_id, settings.subject_key)
    except ValueError as error:
        raise CannotRun(f"SMS_SUBJECT_KEY_ID: {error}") from error
    planner = Planner(campaign, settings.subject_key, settings.tracking_url.rstrip("/"))
    return Order(campaign, file.parent / campaign.audience.file, Tokenizer(key), planner)


def keep_rejected(order: Order, found: Survey) -> Path | None:
    """Write the rejected rows beside the audience; `None` when there are none."""
    if not found.rejected:
        return None
    path = order.audience.with_suffix(".rejected.csv")
    write_rejected(path, found.rejected)
    return path


async def _definition(campaign: Campaign, found: Survey, kafka: str) -> CampaignDefined:
    """The definition to publish: the one in force, or a new version where the plan differs."""
    known = await definition_in_force(kafka, campaign.campaign_id)
    wanted = definition_of(
        campaign,
        now_ms=time.time_ns() // 1_000_000,
        audience_size=found.recipients,
        dimension_values=found.dimension_values,
    )
    if known is None:
        return wanted
    mark = {
        "event_id": known.event_id,
        "occurred_at_ms": known.occurred_at_ms,
        "plan_version": known.plan_version,
    }
    if msgspec.structs.replace(wanted, **mark) == known:
        return known
    version = known.plan_version + 1
    warn(f"The definition differs from the one in force: this is version {version} of it.")
    event_id = f"{campaign.campaign_id}/{version}"
    return msgspec.structs.replace(wanted, event_id=event_id, plan_version=version)


async def carry_out(order: Order, found: Survey, kafka: str, progress: Progress) -> int:
    """Publish everything; returns the number of recipients.

    Raises:
        CannotRun: If Kafka is not there or did not confirm something; running again is safe.
    """
    if not await is_reachable(kafka):
        raise CannotRun(kafka_unreachable(kafka), ExitCode.DEPENDENCY_UNREACHABLE)
    task = progress.add_task("Assigning, requesting", total=found.recipients)
    try:
        definition = await _definition(order.campaign, found, kafka)
        async with KafkaPublisher(kafka, client_id="smslab-dispatcher") as publisher:
            return await dispatch(
                order.planner,
                definition,
                order.rows(),
                publisher,
                progress=lambda done: progress.update(task, completed=done),
            )
    except (KafkaError, PublishError, TimeoutError) as error:
        raise CannotRun(
            f"{kafka_unreachable(kafka)} Run the same again: nothing is sent twice.",
            ExitCode.DEPENDENCY_UNREACHABLE,
        ) from error
