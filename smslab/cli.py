"""The `smslab` command."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import click
import duckdb
from rich.table import Table
from rich.text import Text

from pipeline.snapshot import SERVE_FILE
from pipeline.storage.reader import ResultsReader
from runtime.process import CannotRun, ExitCode
from smslab.campaign import campaign
from smslab.demo.command import demo
from smslab.doctor import doctor
from smslab.facts import facts as facts_group
from smslab.kafka.command import kafka
from smslab.options import DATA, JSON
from smslab.pdu import pdu
from smslab.plan import plan
from smslab.processes import process_commands
from smslab.reconcile import reconcile_files
from smslab.recount import tell_recount
from smslab.results import show_reconciliation
from smslab.screen import Seldom, Sentence, console
from smslab.trace.command import trace
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
    logging.basicConfig(handlers=[Seldom()])


@main.command()
@click.argument("ledger", type=click.Path(path_type=Path), required=False)
@click.option("--facts", is_flag=True, help="Against the row-level Parquet files instead.")
@click.option("--campaign", "campaign_id", help="Default: the newest.")
@DATA
@JSON
def reconcile(
    ledger: Path | None, campaign_id: str | None, data: Path, *, facts: bool, as_json: bool
) -> None:
    """Hold the counts against a simulator's ledger; exit code 1 when they differ.

    With --facts: count everything again from the worker's Parquet files, in SQL, and compare
    every figure of every cohort.

    \b
    examples:
      smslab reconcile .demo/simulator/ledger.jsonl --data .demo/worker
      smslab reconcile --facts --data .demo/worker
    """
    if facts == (ledger is not None):
        raise click.UsageError("Give a LEDGER or --facts.")
    try:
        if ledger is None:
            agrees = tell_recount(data, as_json=as_json)
        else:
            agrees = _reconcile_ledger(ledger, data, campaign_id, as_json=as_json)
    except CannotRun as error:
        raise Sentence(error) from error
    if not agrees:
        raise SystemExit(ExitCode.ANSWER_IS_NO)


def _reconcile_ledger(ledger: Path, data: Path, campaign_id: str | None, *, as_json: bool) -> bool:
    found = reconcile_files(ledger, data, campaign_id)
    if as_json:
        click.echo(json.dumps(found.as_json(), ensure_ascii=False, indent=2))
    else:
        show_reconciliation(found)
    return found.agrees


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
        names, rows = ResultsReader(data / SERVE_FILE).query(query)
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
    table = Table(box=None)
    for name in names:
        table.add_column(Text(name))
    for row in rows:
        table.add_row(*(Text("" if value is None else str(value)) for value in row))
    console.print(table)


_COMMANDS = (demo, campaign, plan, verdict, kafka, pdu, trace, doctor, facts_group)
for command in (*_COMMANDS, *process_commands()):
    main.add_command(command)
