"""`smslab campaign validate | preview | apply`."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import click
from rich.table import Table

from campaigns.campaign_file import Campaign
from campaigns.preview import preview
from pipeline.dispatch.publish import Survey
from pipeline.dispatch.settings import DispatchSettings
from runtime.process import CannotRun
from runtime.settings import SettingsError, read_settings
from smslab.dispatching import Order, carry_out, keep_rejected, order_of, read_campaign
from smslab.screen import Sentence, console, progress, step, warn

_FILE = click.argument("file", type=click.Path(path_type=Path))
_PREVIEW_KEY = bytes(32)
"""Arms depend on the key; for a look without the real one any key shows the shares."""


@click.group()
def campaign() -> None:
    """Check, look at and launch campaigns."""


@campaign.command()
@_FILE
def validate(file: Path) -> None:
    """Check a campaign file; every problem is told at once.

    \b
    example:
      smslab campaign validate examples/double11/campaign.yaml
    """
    try:
        found = read_campaign(file)
    except CannotRun as error:
        raise Sentence(error) from error
    step(f"{file} is fine: campaign {found.campaign_id}, {len(found.variants)} variants.")


@campaign.command("preview")
@_FILE
def preview_command(file: Path) -> None:
    """Show every variant, what it costs, and what the audience would become. Sends nothing.

    \b
    example:
      smslab campaign preview examples/double11/campaign.yaml
    """
    try:
        settings = _settings_for_preview()
        order = order_of(file, settings)
        _show_variants(order.campaign, settings.tracking_url)
        with progress() as bars:
            found = order.survey(bars)
    except CannotRun as error:
        raise Sentence(error) from error
    _show_survey(order, found)


@campaign.command()
@_FILE
@click.option("--dry-run", is_flag=True, help="Do everything but publish.")
def apply(file: Path, *, dry_run: bool) -> None:
    """Launch a campaign: assign everybody and request the messages.

    Running it again repeats the same facts and sends nothing twice.

    \b
    examples:
      smslab campaign apply campaign.yaml --dry-run
      SMS_KAFKA=127.0.0.1:9092 SMS_SUBJECT_KEY=… smslab campaign apply campaign.yaml
    """
    try:
        settings = read_settings(DispatchSettings, os.environ)
        order = order_of(file, settings)
        with progress() as bars:
            found = order.survey(bars)
        _show_survey(order, found)
        if dry_run:
            step("Dry run: nothing was published.")
            return
        with progress() as bars:
            done = asyncio.run(carry_out(order, found, settings.kafka, bars))
    except SettingsError as error:
        raise Sentence(CannotRun(str(error))) from error
    except CannotRun as error:
        raise Sentence(error) from error
    step(f"{done:,} recipients are assigned, {found.messages:,} messages requested.")


def _settings_for_preview() -> DispatchSettings:
    """Preview needs neither Kafka nor the real key; every other setting counts as in `apply`."""
    placeholders = {"SMS_KAFKA": "127.0.0.1:9092", "SMS_SUBJECT_KEY": _PREVIEW_KEY.hex()}
    given = {name: value for name, value in os.environ.items() if value}
    try:
        return read_settings(DispatchSettings, placeholders | given)
    except SettingsError as error:
        raise CannotRun(str(error)) from error


def _show_variants(found: Campaign, tracking_url: str) -> None:
    for shown in preview(found, {}, link=f"{tracking_url.rstrip('/')}/{'x' * 10}"):
        console.rule(f"variant {shown.variant_id}", align="left")
        step(shown.text)
        cost = shown.cost_micro / 1_000_000
        step(
            f"{shown.encoding}, {shown.units} units, {shown.segments} segment(s), "
            f"{cost:g} {found.costs.currency} each"
        )
        for warning in shown.warnings:
            warn(f"note: {warning}")
    step(f"control: {found.control}; holdout: {found.holdout:.0%}")


def _show_survey(order: Order, found: Survey) -> None:
    currency = order.campaign.costs.currency
    table = Table("arm", "recipients", box=None, title_justify="left")
    for variant_id, count in sorted(found.assigned.items()):
        table.add_row(variant_id, f"{count:,}")
    console.print(table)
    step(
        f"{found.recipients:,} recipients, {found.messages:,} messages, {found.segments:,} "
        f"segments, {found.cost_micro / 1_000_000:,.2f} {currency}"
    )
    column = order.campaign.covariate
    if column is not None and found.without_covariate:
        warn(
            f"{found.without_covariate:,} of {found.recipients:,} recipients have no number in "
            f"{column}; it counts as 0 for them, which costs sharpness only."
        )
    if found.rejected:
        path = keep_rejected(order, found)
        warn(f"{len(found.rejected):,} rows cannot be used; reasons: {path}")
