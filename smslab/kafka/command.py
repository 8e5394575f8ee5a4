"""`smslab kafka`: a broker of our own in the foreground."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

import click

from runtime.process import CannotRun, ExitCode
from smslab.kafka.choice import Broker, KafkaUnavailable, open_kafka
from smslab.kafka.sockets import start_time
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
    try:
        with interruptible(), open_kafka(kind, data, warn) as broker:
            step(f"Kafka ({broker.kind}) is ready: SMS_KAFKA={broker.bootstrap}")
            _until_it_ends(broker, data)
    except KeyboardInterrupt:
        step("Stopped.")
    except KafkaUnavailable as error:
        raise Sentence(CannotRun(str(error), ExitCode.DEPENDENCY_UNREACHABLE)) from error


_LOOK_S: Final = 0.5


def _until_it_ends(broker: Broker, data: Path) -> None:
    while broker.pid is not None and start_time(broker.pid) is not None:
        time.sleep(_LOOK_S)
    raise KafkaUnavailable(f"Kafka has ended; see {data / 'server.log'}.")


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM and a closed terminal unwind like Ctrl-C, so that no broker is left behind."""

    def interrupt(_signum: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {s: signal.signal(s, interrupt) for s in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
