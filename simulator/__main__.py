"""`python -m simulator run`, `python -m simulator smsc` and `python -m simulator audience`."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from runtime.logs import configure_logs
from runtime.process import CannotRun, ExitCode, port_in_use, run_process
from runtime.settings import SettingsError, read_settings, variables_of
from simulator.people import MAX_PEOPLE, write_audience
from simulator.plain_operator import PlainOperator
from simulator.settings import SimulatorSettings
from simulator.shell import serve
from simulator.smsc import Smsc

_TICK_S = 0.2
_EXAMPLES = """examples:
  python -m simulator smsc --port 2775 --password secret

  python -m simulator audience --people 20000 --out audience.csv --seed 11 --bad-rows 20

  SMS_SUBJECT_KEY=$(openssl rand -hex 32) SMS_SIMULATOR_PASSWORD=secret \\
  SMS_SIMULATOR_WEBHOOK_SECRET=secret SMS_SIMULATOR_TRACKING_URL=http://127.0.0.1:8090 \\
  SMS_SIMULATOR_CAMPAIGN=examples/double11/campaign.yaml \\
  SMS_SIMULATOR_EFFECTS=examples/double11/effects.yaml \\
  SMS_SIMULATOR_AUDIENCE=audience.csv SMS_SIMULATOR_LEDGER=run/ledger.jsonl \\
  python -m simulator run
  curl http://127.0.0.1:8083/status
"""


async def run(stop: asyncio.Event) -> None:
    """Read the settings and serve until `stop`."""
    try:
        settings = read_settings(SimulatorSettings, os.environ)
    except SettingsError as error:
        raise CannotRun(str(error)) from error
    await serve(settings, stop)


def main(arguments: list[str]) -> int:
    """The three commands."""
    chosen = _parser().parse_args(arguments)
    if chosen.command != "audience":
        configure_logs("simulator")
        return run_process(run if chosen.command == "run" else partial(_serve_plain, chosen))
    try:
        write_audience(chosen.out, chosen.people, seed=chosen.seed, bad_rows=chosen.bad_rows)
    except OSError as error:
        print(f"error: --out {chosen.out}: {error.strerror}.", file=sys.stderr)
        return int(ExitCode.WRONG_USE)
    return int(ExitCode.DONE)


async def _serve_plain(chosen: argparse.Namespace, stop: asyncio.Event) -> None:
    smsc = Smsc(system_id=chosen.system_id, password=chosen.password)
    operator = PlainOperator(smsc, receipt_after_s=chosen.receipt_after_s)
    try:
        port = await operator.start(chosen.host, chosen.port)
    except OSError as error:
        raise port_in_use("--port", chosen.host, chosen.port) from error
    print(
        f"SMSC on {chosen.host}:{port}, system_id {chosen.system_id}. Ctrl-C ends it.", flush=True
    )
    ticking = asyncio.ensure_future(_tick(smsc))
    await stop.wait()
    ticking.cancel()
    await smsc.stop()


async def _tick(smsc: Smsc) -> None:
    while True:
        await asyncio.sleep(_TICK_S)
        smsc.tick()


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m simulator",
        description="An operator (SMSC) and an audience with known true effects.",
        epilog=_EXAMPLES,
        formatter_class=raw,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser(
        "run", help="serve until Ctrl-C", epilog=_settings_help(), formatter_class=raw
    )
    smsc = commands.add_parser("smsc", help="an SMSC alone, without campaign, until Ctrl-C")
    smsc.add_argument("--host", default="127.0.0.1", help="address to listen on")
    smsc.add_argument("--port", type=_whole(0, 65535), default=2775, help="0 takes a free one")
    smsc.add_argument("--system-id", default="smslab", help="who may bind")
    smsc.add_argument("--password", required=True, help="and with what; a toy's, seen by `ps`")
    smsc.add_argument(
        "--receipt-after-s", type=float, default=1.0, help="seconds from a submit_sm to its receipt"
    )
    audience = commands.add_parser("audience", help="write an audience file")
    people, bad = _whole(1, MAX_PEOPLE), _whole(0, MAX_PEOPLE)
    audience.add_argument("--people", type=people, required=True, help="good rows")
    audience.add_argument("--out", type=Path, required=True, help="CSV file to write")
    audience.add_argument("--seed", type=int, default=11)
    audience.add_argument("--bad-rows", type=bad, default=0, help="unusable rows among them")
    return parser


def _settings_help() -> str:
    variables = variables_of(SimulatorSettings).values()
    return "settings:\n" + "\n".join(f"  {each.name:30} {each.help}" for each in variables)


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"must be a whole number from {low} to {high}.")
        return int(text)

    return parse


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
