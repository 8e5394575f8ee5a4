"""Operator, audience, web and ledger together, over real sockets."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from aiohttp import web

from campaigns.campaign_file import LINK, parse_campaign
from campaigns.template import render
from runtime.process import CannotRun
from schemas.events import HOLDOUT
from schemas.subject import SubjectKey, Tokenizer
from simulator.ledger import read_totals
from simulator.people import Person, read_people, write_audience
from simulator.settings import SimulatorSettings
from simulator.shell import serve
from smpp_bridge import Connection, Refused
from smpp_bridge.protocol.constants import CommandStatus
from smpp_bridge.protocol.keywords import classify_reply
from smpp_bridge.protocol.receipts import body_of, parse_receipt
from smslab.kafka.sockets import free_ports
from tests.support.esme import Esme, connect
from tests.support.processes import sentence_of
from tests.support.topics import wait_until

EXAMPLES = Path(__file__).parents[2] / "examples/double11"
CAMPAIGN_TEXT = (EXAMPLES / "campaign.yaml").read_text("utf-8")
CAMPAIGN = parse_campaign(CAMPAIGN_TEXT)
SECRET = "shop-secret"
PEOPLE = 300
VARIANT = {
    "delivery_rate": 0.9,
    "click_rate": 0.5,
    "bot_rate": 0.3,
    "bot_delay": [0, 0.1],
    "click_delay": [0, 0.1],
    "conversion_rate": 0.5,
    "conversion_delay": [0, 0.1],
    "opt_out_rate": 0.1,
    "reply_rate": 0.2,
    "reply_delay": [0, 0.1],
}
EFFECTS = {
    "operator": {
        "reject_rate": 0.1,
        "receipt_delay": [0, 0.2],
        "duplicate_receipt_rate": 0.1,
        "early_receipt_rate": 0.1,
        "failure_errors": ["001"],
    },
    "everyone": {
        "organic_rate": 0.3,
        "organic_delay": [0, 0.2],
        "revenue_minor": [100, 200],
        "refund_rate": 0.2,
        "refund_delay": [0, 0.1],
    },
    "variants": {"A": VARIANT, "B": VARIANT},
}


@dataclass
class Tracking:
    """What the web saw; every `fails_every`th request is answered with 503, after being seen."""

    fails_every: int = 0
    requests: int = 0
    people: Counter[str] = field(default_factory=Counter)
    machines: Counter[str] = field(default_factory=Counter)
    conversions: dict[str, dict[str, Any]] = field(default_factory=dict)

    async def visit(self, request: web.Request) -> web.Response:
        """A click."""
        is_machine = "Bot" in request.headers["User-Agent"]
        clicks = self.machines if is_machine else self.people
        clicks[request.match_info["token"]] += 1
        return web.Response(status=503 if self._fails() else 302)

    async def convert(self, request: web.Request) -> web.Response:
        """A conversion or refund."""
        assert request.headers["Authorization"] == f"Bearer {SECRET}"
        body = await request.json()
        self.conversions.setdefault(body["conversion_id"], body)
        return web.Response(status=503 if self._fails() else 202)

    def _fails(self) -> bool:
        self.requests += 1
        return bool(self.fails_every) and self.requests % self.fails_every == 0


@dataclass
class Run:
    """A running simulator."""

    smsc_port: int
    url: str
    ledger: Path
    tracking: Tracking
    tracking_url: str
    people: list[Person]
    http: aiohttp.ClientSession

    async def status(self) -> dict[str, Any]:
        """What it shows."""
        async with self.http.get(f"{self.url}/status") as answer:
            found: dict[str, Any] = await answer.json()
            return found

    async def wait_for(self, **expected: object) -> dict[str, Any]:
        """Poll the status until these entries are as expected."""
        async with asyncio.timeout(20):
            while True:
                status = await self.status()
                if expected.items() <= status.items():
                    return status
                await asyncio.sleep(0.02)

    def text_for(self, person: Person) -> str:
        """The message of somebody's arm."""
        template = next(v.template for v in CAMPAIGN.variants if v.variant_id == person.variant_id)
        link = f"{self.tracking_url}/tok{person.row:05d}"
        return render(template, {"用户名": "王伟", "店铺名": "好物集", LINK: link})

    def send_all(self, esme: Esme) -> int:
        """Send to everybody who is not held out; returns the number of parts."""
        sent = [p for p in self.people if p.variant_id != HOLDOUT]
        return sum(esme.submit(p.msisdn, self.text_for(p), reference=p.row & 255) for p in sent)


@asynccontextmanager
async def serving(routes: list[web.RouteDef]) -> AsyncIterator[str]:
    """An HTTP server."""
    app = web.Application()
    app.add_routes(routes)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def changed(**sections: Mapping[str, object]) -> dict[str, Any]:
    """The effects with some keys of their sections replaced."""
    effects: dict[str, Any] = json.loads(json.dumps(EFFECTS))
    for name, keys in sections.items():
        effects[name] |= keys
    return effects


def settings_in(
    folder: Path, effects: dict[str, Any], url: str, ports: list[int]
) -> SimulatorSettings:
    """Files and settings of a run."""
    (folder / "effects.yaml").write_text(yaml.safe_dump(effects), "utf-8")
    (folder / "campaign.yaml").write_text(CAMPAIGN_TEXT, "utf-8")
    write_audience(folder / "audience.csv", PEOPLE, seed=4, bad_rows=3)
    return SimulatorSettings(
        subject_key=bytes(32),
        campaign=folder / "campaign.yaml",
        effects=folder / "effects.yaml",
        audience=folder / "audience.csv",
        ledger=folder / "run" / "ledger.jsonl",
        tracking_url=url,
        webhook_secret=SECRET,
        port=ports[0],
        system_id="shop",
        password="secret",
        health_port=ports[1],
    )


@asynccontextmanager
async def running(
    folder: Path, effects: dict[str, Any] | None = None, *, fails_every: int = 0
) -> AsyncIterator[Run]:
    """A simulator between an ESME and a web that the test plays."""
    tracking = Tracking(fails_every)
    routes = [
        web.post("/v1/conversions", tracking.convert),
        web.get("/{token}", tracking.visit),
    ]
    ports = free_ports(2)
    async with serving(routes) as url, aiohttp.ClientSession() as http:
        settings = settings_in(folder, effects or EFFECTS, url, ports)
        tokenizer = Tokenizer(SubjectKey("k1", bytes(32)))
        people = list(read_people(settings.audience, CAMPAIGN, tokenizer))
        stop = asyncio.Event()
        served = asyncio.create_task(serve(settings, stop))
        run = Run(
            ports[0],
            f"http://127.0.0.1:{ports[1]}",
            settings.ledger,
            tracking,
            url,
            people,
            http,
        )
        try:
            await _until_ready(served, http, run.url)
            yield run
        finally:
            stop.set()
            async with asyncio.timeout(20):
                await served


async def _until_ready(served: asyncio.Task[None], http: aiohttp.ClientSession, url: str) -> None:
    async with asyncio.timeout(20):
        while not served.done():
            try:
                async with http.get(f"{url}/readyz") as answer:
                    assert answer.status == 200
                    return
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.01)


async def bound(run: Run, *, status: int | None = CommandStatus.ROK) -> Esme:
    """A bound ESME."""
    esme = await connect(run.smsc_port, status=status)
    await wait_until(lambda: esme.is_bound)
    return esme


def receipts_of(esme: Esme) -> list[tuple[str, str, str]]:
    """(id, state, number) of the receipts that came."""
    parsed = [(parse_receipt(each), each.source_addr.decode()) for each in esme.delivered]
    return [(r.message_id, r.state, number) for r, number in parsed if r is not None]


async def test_the_ledger_says_what_esme_and_web_saw(tmp_path: Path) -> None:
    """Every total of the ledger is the one that an observer outside counts, despite failures."""
    async with running(tmp_path, fails_every=5) as run:
        esme = await bound(run)
        parts = run.send_all(esme)
        status = await run.wait_for(settled=True)
        assert (status["submits"], status["awaited"]) == (parts, 0)
        assert status["web_retries"] > 0
        esme.drop()
    total = read_totals(run.ledger)["total"]
    arms = {person.msisdn: person.variant_id for person in run.people}
    assert total["assigned"] == PEOPLE
    assert total["submitted"] == sum(arm != HOLDOUT for arm in arms.values())
    accepted = {who for who, code, _ in esme.answers if code == CommandStatus.ROK}
    rejected = {who for who, code, _ in esme.answers if code != CommandStatus.ROK}
    assert (total["accepted"], total["rejected"]) == (len(accepted), len(rejected))
    states = {(state, number) for _, state, number in receipts_of(esme)}
    assert total["delivered"] == sum(state == "DELIVERED" for state, _ in states)
    assert total["failed"] == sum(state == "UNDELIVERABLE" for state, _ in states)
    assert total["delivered"] + total["failed"] == total["accepted"]
    replies = [d for d in esme.delivered if parse_receipt(d) is None]
    assert total["replied"] == len({reply.source_addr for reply in replies})
    out = {r.source_addr for r in replies if classify_reply(body_of(r)).wish == "opt_out"}
    assert total["opted_out"] == len(out) > 0
    assert total["clicked"] == len(run.tracking.people) > 0
    assert len(run.tracking.machines) > 0
    bought = [c for c in run.tracking.conversions.values() if "refund_of" not in c]
    refunds = [c for c in run.tracking.conversions.values() if "refund_of" in c]
    assert total["converted"] == len({c["msisdn"] for c in bought})
    assert total["revenue_minor"] == sum(c["value_minor"] for c in bought)
    assert total["refunded_minor"] == sum(c["value_minor"] for c in refunds) > 0
    buyers = {arms[c["msisdn"]] for c in bought}
    assert buyers == {"A", "B", HOLDOUT}


async def test_every_accepted_part_gets_its_receipt(tmp_path: Path) -> None:
    """Receipt ids are the answered ids in decimal; early ones come before the answer, once."""
    operator = {"early_receipt_rate": 1.0, "duplicate_receipt_rate": 0.0}
    async with running(tmp_path, changed(operator=operator)) as run:
        esme = await bound(run)
        run.send_all(esme)
        await run.wait_for(settled=True)
        esme.drop()
    answered = [str(int(id_, 16)) for _, code, id_ in esme.answers if code == CommandStatus.ROK]
    assert sorted(id_ for id_, _, _ in receipts_of(esme)) == sorted(answered)


async def test_ids_may_be_spelt_alike_and_answers_come_out_of_order(tmp_path: Path) -> None:
    """Operators of the other kind can be played, too."""
    operator = {"receipt_id": "same", "response_delay": [0, 0.3]}
    async with running(tmp_path, changed(operator=operator)) as run:
        esme = await bound(run)
        run.send_all(esme)
        await run.wait_for(settled=True)
        esme.drop()
    answered = [id_.decode() for _, code, id_ in esme.answers if code == CommandStatus.ROK]
    assert {id_ for id_, _, _ in receipts_of(esme)} == set(answered)
    assert answered != sorted(answered)


async def test_throttled_parts_are_joined_when_they_come_again(tmp_path: Path) -> None:
    """A part that was throttled is as if it had never been sent."""
    effects = changed(operator={"throttle_rate": 0.5, "reject_rate": 0.0})
    async with running(tmp_path, effects) as run:
        esme = await bound(run)
        person = next(p for p in run.people if p.variant_id == "A")
        text = run.text_for(person) + "!" * 70
        text = text.replace("王伟", "王" * 70)
        sent = esme.submit(person.msisdn, text, reference=9)
        assert sent > 1
        tries = 0
        while (await run.status())["submits"] < 10:
            esme.submit(person.msisdn, text, reference=9)
            tries += 1
            assert tries < 100
        status = await run.status()
        assert status["throttled"] > 0
        esme.drop()


async def test_receipts_survive_an_esme_that_dies(tmp_path: Path) -> None:
    """What the dead ESME had not acknowledged is delivered to the next one; the ledger waits."""
    async with running(tmp_path) as run:
        first = await bound(run, status=None)
        parts = run.send_all(first)
        await wait_until(lambda: len(first.answers) == parts)
        await run.wait_for(actions_pending=0)
        assert read_totals(run.ledger)["total"]["delivered"] == 0
        first.drop()
        second = await bound(run)
        status = await run.wait_for(receipts_pending=0, settled=True)
        assert status["resent"] > 0
        second.drop()
    total = read_totals(run.ledger)["total"]
    assert total["delivered"] + total["failed"] == total["accepted"] > 0
    assert {r[0] for r in receipts_of(first)} <= {r[0] for r in receipts_of(second)}


async def test_a_repeated_message_changes_no_truth(tmp_path: Path) -> None:
    """People act on the first message only; the repetition is counted as what it is."""
    async with running(tmp_path) as run:
        esme = await bound(run)
        run.send_all(esme)
        await run.wait_for(settled=True)
        before, seen = read_totals(run.ledger), len(run.tracking.conversions)
        run.send_all(esme)
        status = await run.wait_for(settled=True)
        assert status["repeated"] == before["total"]["delivered"]
        assert read_totals(run.ledger) == before
        assert len(run.tracking.conversions) == seen
        esme.drop()


async def test_late_purchases_are_planned_and_not_waited_for(tmp_path: Path) -> None:
    """A purchase after the window keeps nobody waiting and is no conversion of the campaign."""
    async with running(tmp_path, changed(everyone={"late_rate": 1.0})) as run:
        esme = await bound(run)
        run.send_all(esme)
        status = await run.wait_for(settled=True)
        assert status["late_pending"] > 0
        esme.drop()
    total = read_totals(run.ledger)["total"]
    assert total["clicked"] > 0
    assert (total["converted"], total["revenue_minor"]) == (0, 0)


async def test_the_holdout_and_strangers_cannot_break_the_operator(tmp_path: Path) -> None:
    """Messages that should never have been sent are answered and show in ledger and status."""
    async with running(tmp_path) as run:
        esme = await bound(run)
        held_out = next(p for p in run.people if p.variant_id == HOLDOUT)
        esme.submit(held_out.msisdn, "something else")
        esme.submit("4915112345678", "who is that")
        await wait_until(lambda: len(esme.answers) == 2)
        status = await run.status()
        assert (status["strangers"], status["unrecognised"]) == (1, 1)
        assert esme.answers[1][1] == CommandStatus.RINVDSTADR
        esme.drop()
    assert read_totals(run.ledger)[HOLDOUT]["submitted"] == 1


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"variants": {"B": None}}, r"EFFECTS.*variants.B: must be a mapping"),
        (
            {"everyone": {"organic_delay": [0, 60]}},
            r"slowest purchase comes 60 s .* window of 60 s",
        ),
    ],
)
async def test_unusable_effects_stop_the_start(
    tmp_path: Path, change: dict[str, dict[str, Any]], sentence: str
) -> None:
    """A truth that does not fit the campaign is told before anything is sent."""
    settings = settings_in(tmp_path, changed(**change), "http://127.0.0.1:1", free_ports(2))
    with pytest.raises(CannotRun, match=re.compile(sentence, re.DOTALL)):
        await serve(settings, asyncio.Event())


async def test_a_variant_without_effects_stops_the_start(tmp_path: Path) -> None:
    """Every variant of the campaign needs a truth."""
    effects = {**EFFECTS, "variants": {"A": VARIANT}}
    settings = settings_in(tmp_path, effects, "http://127.0.0.1:1", free_ports(2))
    with pytest.raises(CannotRun, match=r"variants.B: is missing, but the campaign sends it"):
        await serve(settings, asyncio.Event())


async def test_an_unknown_setting_is_a_sentence() -> None:
    """A misspelt variable ends the process with its name, without a traceback."""
    code, said = await sentence_of("simulator run", {"SMS_SIMULATOR_LEDGR": "x"})
    assert (code, "Traceback" in said) == (2, False)
    assert "SMS_SIMULATOR_LEDGR" in said


async def test_a_message_on_its_way_can_be_asked_for_and_taken_back(tmp_path: Path) -> None:
    """Its text cannot be replaced: what it does to a person was drawn when it came."""

    def script(port: int, msisdn: str, text: str) -> list[str]:
        with Connection(system_id="shop", password="secret", port=port) as link:
            link.bind_transceiver()
            message_id, *_ = link.submit_sm(
                source_addr="10690001", dest_addr=msisdn, short_message=text
            )
            states = [link.query_sm(message_id, source_addr="10690001").message_state]
            with pytest.raises(Refused, match="ESME_RREPLACEFAIL"):
                link.replace_sm(message_id, source_addr="10690001", short_message="x")
            link.cancel_sm(message_id, source_addr="10690001")
            return [*states, link.query_sm(message_id, source_addr="10690001").message_state]

    slow = {"receipt_delay": [20, 20.1], "reject_rate": 0, "early_receipt_rate": 0}
    async with running(tmp_path, changed(operator=slow)) as run:
        person = next(p for p in run.people if p.variant_id != HOLDOUT)
        states = await asyncio.to_thread(script, run.smsc_port, person.msisdn, run.text_for(person))
    assert states == ["ENROUTE", "DELETED"]
