"""Puts the simulator together and serves it until it is told to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final, TypeVar

from aiohttp import web

from campaigns.campaign_file import Campaign, CampaignError, parse_campaign
from runtime.health import serve_health
from runtime.process import CannotRun, port_in_use
from schemas.subject import SubjectKey, Tokenizer
from simulator.agenda import Agenda
from simulator.crowd import Crowd
from simulator.effects import Effects, EffectsError, parse_effects
from simulator.ledger import Ledger
from simulator.mobile_operator import MobileOperator
from simulator.people import AudienceError, Person, read_people
from simulator.recognise import Recogniser
from simulator.settings import SimulatorSettings
from simulator.smsc import Smsc
from simulator.visits import Visits

_TICK_S: Final = 0.2
T = TypeVar("T")


async def serve(settings: SimulatorSettings, stop: asyncio.Event) -> None:
    """Serve the operator and the audience until `stop`.

    Raises:
        CannotRun: If a file cannot be used or a port is taken.
    """
    campaign = _read("SMS_SIMULATOR_CAMPAIGN", settings.campaign, parse_campaign)
    effects = _effects(settings, campaign)
    people = _people(settings, campaign)
    async with AsyncExitStack() as stack:
        ledger = _ledger(settings.ledger)
        stack.callback(ledger.close)
        visits = Visits(settings.tracking_url, settings.webhook_secret)
        await stack.enter_async_context(visits)
        agenda = Agenda()
        stack.push_async_callback(agenda.close)
        crowd = Crowd(
            people,
            effects=effects,
            ledger=ledger,
            visits=visits,
            agenda=agenda,
            currency=campaign.costs.currency,
            window_ms=campaign.goal.window_ms,
            seed=settings.seed,
        )
        smsc = Smsc(system_id=settings.system_id, password=settings.password)
        operator = MobileOperator(
            crowd,
            smsc=smsc,
            effects=effects,
            recogniser=Recogniser(campaign),
            agenda=agenda,
            seed=settings.seed,
        )
        await _listen(settings, smsc, operator, stack)
        await _serve_status(settings, lambda: status(operator, crowd, smsc, agenda, visits), stack)
        while not stop.is_set():
            smsc.tick()
            ledger.flush()
            await _pause(stop)


def status(
    operator: MobileOperator, crowd: Crowd, smsc: Smsc, agenda: Agenda, visits: Visits
) -> Mapping[str, object]:
    """What `/status` shows. `settled`: sent something, and no total will change by itself."""
    return {
        "ready": True,
        "submits": operator.submits,
        "delivered": smsc.taken,
        "receipts_pending": smsc.undelivered,
        "actions_pending": agenda.due,
        "late_pending": agenda.late,
        "awaited": crowd.awaited,
        "throttled": operator.throttled,
        "strangers": operator.strangers,
        "unrecognised": operator.unrecognised,
        "repeated": crowd.repeated,
        "resent": smsc.resent,
        "web_retries": visits.retries,
        "settled": operator.is_settled,
    }


def _read(setting: str, path: Path, parse: Callable[[str], T]) -> T:
    try:
        return parse(path.read_text("utf-8"))
    except OSError as error:
        raise CannotRun(f"{setting} == {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise CannotRun(f"{setting} == {path} is not a text in UTF-8.") from error
    except (CampaignError, EffectsError) as error:
        raise CannotRun(f"{setting} == {path}: {error}") from error


def _effects(settings: SimulatorSettings, campaign: Campaign) -> Effects:
    def parse(source: str) -> Effects:
        effects = parse_effects(source)
        effects.check(campaign.shares, campaign.goal.window_ms)
        return effects

    return _read("SMS_SIMULATOR_EFFECTS", settings.effects, parse)


def _people(settings: SimulatorSettings, campaign: Campaign) -> list[Person]:
    setting, path = "SMS_SIMULATOR_AUDIENCE", settings.audience
    try:
        key = SubjectKey(settings.subject_key_id, settings.subject_key)
        return list(read_people(path, campaign, Tokenizer(key)))
    except OSError as error:
        raise CannotRun(f"{setting} == {path} cannot be read: {error.strerror}.") from error
    except AudienceError as error:
        raise CannotRun(f"{setting} == {path}: {error}") from error
    except ValueError as error:  # of the key
        raise CannotRun(f"SMS_SUBJECT_KEY_ID: {error}") from error


def _ledger(path: Path) -> Ledger:
    try:
        return Ledger(path)
    except OSError as error:
        raise CannotRun(f"SMS_SIMULATOR_LEDGER == {path}: {error.strerror}.") from error


async def _listen(
    settings: SimulatorSettings, smsc: Smsc, operator: MobileOperator, stack: AsyncExitStack
) -> None:
    try:
        await smsc.start(settings.host, settings.port, operator.on_submit, operator.on_other)
    except OSError as error:
        raise port_in_use("SMS_SIMULATOR_PORT", settings.host, settings.port) from error
    stack.push_async_callback(smsc.stop)


async def _serve_status(
    settings: SimulatorSettings, probe: Callable[[], Mapping[str, Any]], stack: AsyncExitStack
) -> None:
    async def show(_request: web.Request) -> web.Response:
        return web.json_response(dict(probe()))

    host, port = settings.health_host, settings.health_port
    routes = [web.get("/status", show)]
    try:
        await stack.enter_async_context(serve_health(host, port, probe, routes=routes))
    except OSError as error:
        raise port_in_use("SMS_SIMULATOR_HEALTH_PORT", host, port) from error


async def _pause(stop: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(_TICK_S):
            await stop.wait()
    except TimeoutError:
        return
