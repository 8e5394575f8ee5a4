"""`smslab facts`: the row-level Parquet files."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import click
import duckdb
import msgspec

from pipeline.storage.prune import prune_facts
from runtime.process import CannotRun
from smslab.options import DATA, JSON
from smslab.screen import Sentence, step


@click.group()
def facts() -> None:
    """The row-level Parquet files of the worker (docs/sql.md).

    \b
    examples:
      smslab facts prune --before 2026-01-01
      smslab facts prune --before 2026-01-01 --delete
    """


@facts.command()
@click.option(
    "--before",
    type=click.DateTime(["%Y-%m-%d"]),
    required=True,
    help="UTC day; the facts of earlier days go, its own stay.",
)
@click.option("--delete", "is_meant", is_flag=True, help="Do it; without, only say what would go.")
@DATA
@JSON
def prune(before: datetime, data: Path, *, is_meant: bool, as_json: bool) -> None:
    """Delete the facts of old days. Totals and verdicts stay; stop the worker before.

    `smslab reconcile --facts` then counts again only who was assigned from that day on.

    \b
    examples:
      smslab facts prune --before 2026-01-01 --data .demo/worker
    """
    if before.replace(tzinfo=UTC) > datetime.now(UTC):
        raise click.UsageError(f"--before == {before:%Y-%m-%d}, must not be in the future.")
    day = f"{before:%Y-%m-%d}"
    try:
        found = prune_facts(data, day, is_trial=not is_meant)
    except CannotRun as error:
        raise Sentence(error) from error
    except (duckdb.Error, OSError) as error:
        raise Sentence(CannotRun(f"{data}: not everything is deleted: {error}")) from error
    if as_json:
        told = {**msgspec.to_builtins(found), "before": day, "deleted": is_meant}
        click.echo(json.dumps(told, indent=2))
        return
    step(
        f"{found.files} files of {found.days} days before {day}, {found.octets / 1e6:,.1f} MB, "
        + ("are deleted." if is_meant else "would go. Add --delete.")
    )
