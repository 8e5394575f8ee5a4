"""The `smslab demo` command."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Final

import click

from runtime.process import CannotRun, ExitCode
from schemas.topics import SUBJECT_PARTITIONS
from smslab.demo.run import Interrupted, run, tell
from smslab.demo.world import make_world, own_folder
from smslab.kafka import KafkaUnavailable, open_kafka
from smslab.kafka.command import interruptible
from smslab.reconcile import Reconciliation
from smslab.screen import Sentence, step, warn

MESSAGES: Final = 20_000
RATES_PER_S: Final = {False: 500.0, True: 1000.0}
"""Watched (slow enough that the numbers on the page grow), and with --exit.

Much faster and a slow machine falls behind: people then get the message so late that they buy
after the window, which the ledger cannot know.
"""


@click.command()
@click.option(
    "--messages",
    type=click.IntRange(10, 2_000_000),
    default=MESSAGES,
    show_default=True,
    help="Messages to send; the audience is larger by the holdout.",
)
@click.option(
    "--rate",
    type=click.FloatRange(1, 1_000_000),
    help="Messages per second.  [default: 500, with --exit 1000]",
)
@click.option(
    "--workers",
    type=click.IntRange(1, SUBJECT_PARTITIONS),
    default=1,
    show_default=True,
    help="More than one share the partitions and tell a sink what they count.",
)
@click.option(
    "--kafka",
    default="auto",
    show_default=True,
    help="auto, apache (real, no Docker), memory (a mock, for a look) or HOST:PORT.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".demo"),
    show_default=True,
    help="Folder for everything; emptied at the start.",
)
@click.option("--exit", "leave", is_flag=True, help="Stop when the campaign has settled.")
@click.option("--json", "as_json", is_flag=True, help="With --exit: print one object to stdout.")
def demo(
    *,
    messages: int,
    rate: float | None,
    workers: int,
    kafka: str,
    data: Path,
    leave: bool,
    as_json: bool,
) -> None:
    """Run the whole system with a campaign whose true effects are known.

    Kafka, an operator (SMSC), an audience, the bridge, tracking, the worker and the pages, all
    on this machine. With --exit the counts are held against the ledger of what truly happened;
    the exit code is 1 when they differ.

    \b
    examples:
      smslab demo
      smslab demo --messages 20000 --exit --json
      smslab demo --workers 2
      smslab demo --kafka 127.0.0.1:9092
    """
    if as_json and not leave:
        raise click.UsageError("--json needs --exit.")
    try:
        rate = rate or RATES_PER_S[leave]
        found = _demo(messages, rate, kafka, data, workers=workers, leave=leave)
    except CannotRun as error:
        raise Sentence(error) from error
    except (Interrupted, KeyboardInterrupt):
        warn("Stopped.")
        raise SystemExit(_INTERRUPTED) from None
    if found is None:
        return
    if as_json:
        click.echo(json.dumps(found.as_json(), ensure_ascii=False, indent=2))
    if not found.agrees:
        raise SystemExit(ExitCode.ANSWER_IS_NO)


_INTERRUPTED: Final = 130
"""128 + SIGINT, as shells report it."""


def _demo(
    messages: int, rate: float, kafka: str, data: Path, *, workers: int, leave: bool
) -> Reconciliation | None:
    try:
        with (
            interruptible(),
            own_folder(data) as folder,
            open_kafka(kafka, folder / "kafka", warn) as broker,
        ):
            step(f"Kafka ({broker.kind}) is ready at {broker.bootstrap}")
            world = make_world(folder, broker, messages=messages, rate_per_s=rate, workers=workers)
            asyncio.run(run(world, messages=messages, leave=leave))
    except KafkaUnavailable as error:
        raise CannotRun(str(error), ExitCode.DEPENDENCY_UNREACHABLE) from error
    if not leave:
        return None
    return tell(world)
