"""The HTTP routes. Kafka has the event before the visitor or the shop has an answer."""

from __future__ import annotations

import hmac
import re
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from runtime.health import health_routes
from runtime.kafka import KafkaPublisher, PublishError
from schemas.events import ConversionRecorded, LinkClicked
from schemas.subject import Tokenizer
from tracking.clicks import machine_reason
from tracking.conversions import Posted, read_posted, recorded
from tracking.links import LinkTable

_TOKEN: Final = re.compile(r"[0-9A-Za-z]{6,32}")
_NO_STORE: Final = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
_SHOP: Final = (
    "<!doctype html><meta charset=utf-8><meta name=viewport content='width=device-width'>"
    "<title>Demo shop</title><h1>Demo shop</h1><p>This is where the campaign's link leads.</p>"
)


@dataclass(slots=True)
class Tracking:
    """The handlers and what they count."""

    links: LinkTable
    publisher: KafkaPublisher
    tokenizer: Tokenizer
    webhook_secret: str = field(repr=False)
    clicks: int = 0
    machine_clicks: int = 0
    unknown_links: int = 0
    conversions: int = 0
    refused_conversions: int = 0
    unconfirmed: int = 0

    def app(self) -> web.Application:
        """The aiohttp application."""
        app = web.Application(client_max_size=2**20)
        app.add_routes(health_routes(self.probe))
        app.add_routes(
            [
                web.post("/v1/conversions", self.convert),
                web.get("/shop", self.shop),
                web.get("/{token}", self.visit, allow_head=True),
            ]
        )
        return app

    def probe(self) -> Mapping[str, object]:
        """Details for the health endpoint."""
        return {
            "ready": self.links.is_complete,
            "links": len(self.links),
            "undecodable_links": self.links.undecodable,
            "clicks": self.clicks,
            "machine_clicks": self.machine_clicks,
            "unknown_links": self.unknown_links,
            "conversions": self.conversions,
            "refused_conversions": self.refused_conversions,
            "unconfirmed": self.unconfirmed,
        }

    async def visit(self, request: web.Request) -> web.Response:
        """A short link was opened: publish, then redirect."""
        token = request.match_info["token"]
        link = await self.links.find(token) if _TOKEN.fullmatch(token) else None
        if link is None:
            self.unknown_links += 1
            return web.Response(status=404, text="This link is not known.\n")
        headers = {name.lower(): value for name, value in request.headers.items()}
        reason = machine_reason(request.method, headers)
        click = LinkClicked(
            event_id=uuid.uuid4().hex,
            occurred_at_ms=_now_ms(),
            subject=link.subject,
            token=token,
            message_id=link.message_id,
            campaign_id=link.campaign_id,
            variant_id=link.variant_id,
            is_human=reason is None,
            filter_reason=reason,
        )
        try:
            await self.publisher.publish(click)
        except PublishError:
            self.unconfirmed += 1
            return web.Response(status=503, text="Please try again.\n", headers=_NO_STORE)
        self.clicks += reason is None
        self.machine_clicks += reason is not None
        return web.Response(status=302, headers={**_NO_STORE, "Location": link.target})

    async def convert(self, request: web.Request) -> web.Response:
        """A shop reports conversions: all of them are published, or none is answered with 202."""
        if not self._is_allowed(request):
            return _problem(401, ["Authorization: must be Bearer SMS_TRACKING_WEBHOOK_SECRET."])
        try:
            posted = read_posted(await request.read())
        except ValueError as error:
            self.refused_conversions += 1
            return _problem(400, [str(error)])
        events, problems = await self._recorded(posted)
        if problems:
            self.refused_conversions += len(problems)
            return _problem(400, problems)
        try:
            for future in [self.publisher.publish(event) for event in events]:
                await future
        except PublishError:
            self.unconfirmed += len(events)
            return _problem(503, ["Kafka did not confirm; post the same again."])
        self.conversions += len(events)
        return web.json_response({"accepted": len(events)}, status=202)

    async def shop(self, _request: web.Request) -> web.Response:
        """Where the demo's links lead."""
        return web.Response(text=_SHOP, content_type="text/html")

    async def _recorded(self, posted: list[Posted]) -> tuple[list[ConversionRecorded], list[str]]:
        events: list[ConversionRecorded] = []
        problems: list[str] = []
        for number, item in enumerate(posted):
            try:
                subject = await self._subject(item)
                events.append(recorded(item, subject=subject, now_ms=_now_ms()))
            except ValueError as error:
                problems.append(f"conversion {number}: {error}")
        return events, problems

    async def _subject(self, posted: Posted) -> str:
        if posted.token is not None:
            link = await self.links.find(posted.token)
            if link is None:
                raise ValueError("token: is not a known link.")
            return link.subject
        if posted.msisdn is None:
            raise ValueError("token or msisdn is needed.")
        return self.tokenizer.token(posted.msisdn.removeprefix("+"))

    def _is_allowed(self, request: web.Request) -> bool:
        given = request.headers.get("Authorization", "").encode()
        return hmac.compare_digest(given, f"Bearer {self.webhook_secret}".encode())


def _problem(status: int, problems: list[str]) -> web.Response:
    return web.json_response({"problems": problems}, status=status)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
