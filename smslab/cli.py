"""The `smslab` command."""

from __future__ import annotations

import json
from pathlib import Path

import click
import duckdb
from rich.table import Table

from pipeline.storage.reader import ResultsReader
from runtime.process import CannotRun, ExitCode
from smslab.campaign import campaign
from smslab.demo.command import demo
from smslab.doctor import doctor
from smslab.kafka.command import kafka
from smslab.options import DATA, JSON
from smslab.pdu import pdu
from smslab.plan import plan
from smslab.processes import process_commands
from smslab.reconcile import reconcile_files
from smslab.results import show_reconciliation
from smslab.screen import Sentence, console
from smslab.verdict import verdict


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="smslab")
def main() -> None:
    """Which SMS variant earns more? SMPP → Kafka → Faust → DuckDB → page.

    \b
    Start here:
      smslab demo                      the whole system with a demo campaign
      smslab campaign preview FILE     what a campaign would look like and cost
    """


@main.command()
@click.argument("ledger", type=click.Path(path_type=Path))
@click.option("--campaign", "campaign_id", help="Default: the newest.")
@DATA
@JSON
def reconcile(ledger: Path, campaign_id: str | None, data: Path, *, as_json: bool) -> None:
    """Hold the counts against a simulator's ledger; exit code 1 when they differ.

    \b
    example:
      smslab reconcile .demo/simulator/ledger.jsonl --data .demo/worker
    """
    try:
        found = reconcile_files(ledger, data, campaign_id)
    except CannotRun as error:
        raise Sentence(error) from error
    if as_json:
        click.echo(json.dumps(found.as_json(), ensure_ascii=False, indent=2))
    else:
        show_reconciliation(found)
    if not found.agrees:
        raise SystemExit(ExitCode.ANSWER_IS_NO)


@main.command()
@click.argument("query", default="FROM variant_results")
@DATA
@JSON
def sql(query: str, data: Path, *, as_json: bool) -> None:
    """Ask the published results in SQL (DuckDB), read-only.

    \b
    examples:
      smslab sql "FROM comparisons WHERE decides"
      smslab sql "SHOW ALL TABLES"
    """
    try:
        names, rows = ResultsReader(data / "serve.duckdb").query(query)
    except FileNotFoundError as error:
        raise Sentence(
            CannotRun(f"{data} has no serve.duckdb yet. Start the worker, or set --data.")
        ) from error
    except duckdb.Error as error:
        raise Sentence(CannotRun(str(error))) from error
    if as_json:
        found = [dict(zip(names, row, strict=True)) for row in rows]
        click.echo(json.dumps(found, ensure_ascii=False, default=str))
        return
    table = Table(*names, box=None)
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row))
    console.print(table)


for command in (demo, campaign, plan, verdict, kafka, pdu, doctor, *process_commands()):
    main.add_command(command)
