"""`python -m simulator run` and `python -m simulator audience`."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path

from campaigns.campaign_file import CampaignError, parse_campaign
from runtime.health import serve_health
from runtime.logs import configure_logs
from runtime.process import CannotRun, port_in_use, run_process
from runtime.settings import SettingsError, read_settings
from schemas.subject import SubjectKey, Tokenizer
from simulator.effects import EffectsError, parse_effects
from simulator.ledger import Ledger
from simulator.people import read_people, write_audience
from simulator.recognise import Recogniser
from simulator.settings import SimulatorSettings
from simulator.smsc import Smsc
from simulator.visits import Visits
from simulator.world import World

_TICK_S = 0.2
_EXAMPLES = """examples:
  python -m simulator audience --people 20000 --out audience.csv
  SMS_SIMULATOR_CAMPAIGN=campaign.yaml … python -m simulator run
"""


async def run(stop: asyncio.Event) -> None:
    """Serve the operator and the audience until `stop`."""
    try:
        settings = read_settings(SimulatorSettings, os.environ)
        campaign = parse_campaign(settings.campaign.read_text("utf-8"))
        effects = parse_effects(settings.effects.read_text("utf-8"))
    except (SettingsError, CampaignError, EffectsError) as error:
        raise CannotRun(str(error)) from error
    except OSError as error:
        raise CannotRun(f"{error.filename} cannot be read: {error.strerror}.") from error
    tokenizer = Tokenizer(SubjectKey(settings.subject_key_id, settings.subject_key))
    async with AsyncExitStack() as stack:
        ledger = Ledger(settings.ledger)
        stack.callback(ledger.close)
        visits = Visits(settings.tracking_url, settings.webhook_secret)
        await stack.enter_async_context(visits)
        world = World(
            people=read_people(settings.audience, campaign, tokenizer),
            effects=effects,
            recogniser=Recogniser(campaign),
            ledger=ledger,
            visits=visits,
            currency=campaign.costs.currency,
            seed=settings.seed,
        )
        smsc = await _listen(settings, world, stack)
        await _serve_status(settings, world, smsc, stack)
        while not stop.is_set():
            smsc.tick()
            ledger.flush()
            await _pause(stop)


async def _listen(settings: SimulatorSettings, world: World, stack: AsyncExitStack) -> Smsc:
    smsc = Smsc(system_id=settings.system_id, password=settings.password, on_submit=world.on_submit)
    world.smsc = smsc
    try:
        await smsc.start(settings.host, settings.port)
    except OSError as error:
        raise port_in_use("SMS_SIMULATOR_PORT", settings.host, settings.port) from error
    stack.push_async_callback(smsc.stop)
    return smsc


async def _serve_status(
    settings: SimulatorSettings, world: World, smsc: Smsc, stack: AsyncExitStack
) -> None:
    def probe() -> Mapping[str, object]:
        return {
            "ready": True,
            "submits": world.submits,
            "strangers": world.strangers,
            "unrecognised": world.unrecognised,
            "undelivered": smsc.undelivered,
            "due": world.due,
            "settled": world.is_settled,
        }

    host, port = settings.health_host, settings.health_port
    try:
        await stack.enter_async_context(serve_health(host, port, probe))
    except OSError as error:
        raise port_in_use("SMS_SIMULATOR_HEALTH_PORT", host, port) from error


async def _pause(stop: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(_TICK_S):
            await stop.wait()
    except TimeoutError:
        return


def main(arguments: list[str]) -> int:
    """The two commands."""
    parser = argparse.ArgumentParser(
        prog="python -m simulator",
        description="An operator (SMSC) and an audience with known true effects.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="serve until Ctrl-C; settings from SMS_SIMULATOR_*")
    audience = commands.add_parser("audience", help="write an audience file")
    audience.add_argument("--people", type=int, required=True, help="good rows")
    audience.add_argument("--out", type=Path, required=True, help="CSV file to write")
    audience.add_argument("--seed", type=int, default=11)
    audience.add_argument("--bad-rows", type=int, default=0, help="unusable rows among them")
    chosen = parser.parse_args(arguments)
    if chosen.command == "run":
        configure_logs("simulator")
        return run_process(run)
    write_audience(chosen.out, chosen.people, seed=chosen.seed, bad_rows=chosen.bad_rows)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
