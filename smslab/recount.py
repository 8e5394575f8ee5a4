"""`smslab reconcile --facts`: the published counts against the row-level files."""

from __future__ import annotations

import json
from pathlib import Path

import click
import duckdb
import msgspec

from pipeline.snapshot import SERVE_FILE
from pipeline.storage.recount import recount_folder
from runtime.process import CannotRun
from smslab.screen import step, warn


def tell_recount(data: Path, *, as_json: bool) -> bool:
    """Compare and print. Returns whether every figure is the same.

    Raises:
        CannotRun: If the folder has no snapshot, or a listed file cannot be read.
    """
    if not (data / SERVE_FILE).exists():
        raise CannotRun(f"{data} has no serve.duckdb yet. Start the worker, or set --data.")
    try:
        found = recount_folder(data)
    except duckdb.Error as error:
        raise CannotRun(f"{data}: the facts cannot be counted: {error}") from error
    if as_json:
        click.echo(json.dumps({**msgspec.to_builtins(found), "agrees": found.agrees}, indent=2))
        return found.agrees
    tell = step if found.agrees else warn
    tell(
        f"{found.cohorts} cohorts against {found.events} events in files: "
        f"{len(found.differences)} figures differ, {found.waiting} records are not in a file yet"
    )
    if found.since is not None:
        step(
            f"{found.left_out} cohorts assigned before {found.since} are left out: their facts "
            "were deleted (`smslab facts prune`)."
        )
    if found.waiting:
        step("Files are written once a minute and when the worker ends: ask again then.")
    for each in found.differences[:20]:
        warn(f"  {each.cohort} {each.column}: {each.streamed}, from files {each.recounted}")
    return found.agrees
