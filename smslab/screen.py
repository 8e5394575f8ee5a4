"""What a person at the terminal sees. Everything goes to stderr; stdout is for `--json`."""

from __future__ import annotations

import logging
import sys
from typing import Final

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from runtime.logs import mask
from runtime.process import CannotRun

_WIDTH: Final = None if sys.stderr.isatty() else 110
console: Final = Console(stderr=True, highlight=False, emoji=False, width=_WIDTH)


def step(text: str) -> None:
    """One line about what is being done."""
    console.print(text, soft_wrap=True, markup=False)


def warn(text: str) -> None:
    """Something a person should not miss."""
    console.print(text, style="bold yellow", soft_wrap=True, markup=False)


class Seldom(logging.Handler):
    """Shows what libraries log; the same message not again within `AGAIN_AFTER_S`.

    A broker that is away makes aiokafka say so ten times a second.
    """

    AGAIN_AFTER_S: Final = 30.0

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._shown_at: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Show it, unless it was shown just now."""
        shown_at = self._shown_at.get(record.msg)
        if shown_at is None or record.created - shown_at >= self.AGAIN_AFTER_S:
            self._shown_at[record.msg] = record.created
            warn(mask(record.getMessage()))


def progress() -> Progress:
    """A progress bar with counts and time; plain lines where stderr is no terminal."""
    return Progress(
        TextColumn("{task.description:<22}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
    )


class Sentence(click.ClickException):
    """A `CannotRun` as click ends a command: one sentence and its exit code."""

    def __init__(self, error: CannotRun) -> None:
        super().__init__(str(error))
        self.exit_code = int(error.code)

    def show(self, file: object = None) -> None:
        """The same form as the processes' own errors."""
        del file
        print(f"error: {self.message}", file=sys.stderr)  # noqa: T201 - this is the terminal
