"""`smslab kafka`: a broker of our own in the foreground."""

from __future__ import annotations

import signal
from pathlib import Path

import click

from runtime.process import CannotRun, ExitCode
from smslab.kafka.choice import KafkaUnavailable, open_kafka
from smslab.screen import Sentence, step, warn


@click.command()
@click.option(
    "--kind",
    type=click.Choice(["auto", "apache", "memory"]),
    default="auto",
    show_default=True,
    help="apache is the real one; memory forgets everything at the end.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".kafka"),
    show_default=True,
    help="Folder of its logs; a second start continues them.",
)
def kafka(kind: str, data: Path) -> None:
    """Run Apache Kafka without Docker or Java until Ctrl-C; our topics are made.

    \b
    example:
      smslab kafka --data .kafka
    """
    signals = {signal.SIGINT, signal.SIGTERM}
    try:
        with open_kafka(kind, data, warn) as broker:
            step(f"Kafka ({broker.kind}) is ready: SMS_KAFKA={broker.bootstrap}")
            signal.pthread_sigmask(signal.SIG_BLOCK, signals)
            signal.sigwait(signals)
    except KafkaUnavailable as error:
        raise Sentence(CannotRun(str(error), ExitCode.DEPENDENCY_UNREACHABLE)) from error
