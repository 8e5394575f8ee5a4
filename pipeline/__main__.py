"""`python -m pipeline`: the worker process."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from dataclasses import replace

from pipeline.member import Member
from pipeline.settings import WorkerSettings
from pipeline.watchdog import StalledError
from pipeline.worker import Worker
from runtime.logs import configure_logs
from runtime.process import CannotRun, ExitCode, run_process
from runtime.settings import SettingsError, read_settings

FAILED = 70
"""EX_SOFTWARE of sysexits.h: a defect or a failed part; the supervisor starts us again."""
NO_REBUILD = (
    "--rebuild is for a worker alone or, for all members, the sink: stop all, then start "
    "`smslab worker --sink --rebuild`, then the members as usual."
)
_log = logging.getLogger("pipeline")


def main() -> None:
    """Read the settings and work until SIGTERM."""
    arguments = _arguments().parse_args()
    configure_logs("worker")
    try:
        settings = read_settings(WorkerSettings, os.environ)
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        _leave(ExitCode.WRONG_USE)
    if arguments.role:
        settings = replace(settings, role=arguments.role)
    if arguments.rebuild and settings.role == "member":
        print(f"error: {NO_REBUILD}", file=sys.stderr)
        _leave(ExitCode.WRONG_USE)
    worker = _worker(settings, is_rebuild=arguments.rebuild)

    async def work(stop: asyncio.Event) -> None:
        try:
            await worker.run(stop)
        except CannotRun as error:
            print(f"error: {error}", file=sys.stderr)
            _leave(error.code)
        except StalledError as error:
            print(f"error: {error}", file=sys.stderr)
            _leave(FAILED)
        except BaseException:  # noqa: BLE001 - outermost: whatever ended a part must end the process
            _log.exception("the worker failed")
            _leave(FAILED)
        _leave(ExitCode.DONE)

    run_process(work)


def _worker(settings: WorkerSettings, *, is_rebuild: bool) -> Worker | Member:
    if settings.role == "member":
        return Member(settings)
    return Worker(settings, is_rebuild=is_rebuild)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipeline", description=main.__doc__)
    parser.add_argument(
        "--rebuild",
        action="store_true",
        help="put the state beside and count everything again from the beginning of Kafka",
    )
    roles = parser.add_mutually_exclusive_group()
    for name, help_text in (
        ("member", "be one of several workers that share the partitions"),
        ("sink", "add up what the members count, decide and publish"),
    ):
        roles.add_argument(
            f"--{name}", action="store_const", dest="role", const=name, help=help_text
        )
    return parser


def _leave(code: int) -> None:
    """End now: threads of Faust are not daemons, and one that hangs would keep us alive.

    What counts is in DuckDB, which survives a SIGKILL, so nothing is left to clean up.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(int(code))


if __name__ == "__main__":
    main()
