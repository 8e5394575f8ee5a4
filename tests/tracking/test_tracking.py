"""Tracking as a process, on a real broker."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import pytest

from runtime.kafka import KafkaPublisher
from schemas.events import ConversionRecorded, LinkClicked, LinkIssued
from schemas.subject import SubjectKey, Tokenizer
from schemas.topics import CONVERSION_RECORDED, LINK_CLICKED
from smslab.kafka.sockets import free_ports
from tests.support.processes import process, sentence_of
from tests.support.topics import TopicReader, wait_until

pytestmark = pytest.mark.kafka

SECRET = "a-secret-of-the-shop"
TOKENIZER = Tokenizer(SubjectKey("k1", bytes(32)))
PHONE = {"User-Agent": "Mozilla/5.0 (iPhone) Safari/604.1"}


def environment(kafka: str, port: int) -> dict[str, str]:
    """The settings of a tracking process."""
    return {
        "SMS_KAFKA": kafka,
        "SMS_SUBJECT_KEY": "00" * 32,
        "SMS_TRACKING_PORT": str(port),
        "SMS_TRACKING_WEBHOOK_SECRET": SECRET,
    }


@dataclass
class Served:
    """A running tracking process."""

    url: str
    http: aiohttp.ClientSession
    process: asyncio.subprocess.Process


@asynccontextmanager
async def tracking(kafka: str) -> AsyncIterator[Served]:
    """Serve while the block runs."""
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    async with (
        process("tracking", environment(kafka, port)) as started,
        aiohttp.ClientSession() as http,
    ):
        async with asyncio.timeout(20):
            while not await _is_ready(http, url):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.05)
        yield Served(url, http, started)


async def _is_ready(http: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with http.get(f"{url}/readyz") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


def issued(token: str) -> LinkIssued:
    """A link of a person."""
    return LinkIssued(
        event_id=token,
        occurred_at_ms=1,
        token=token,
        target=f"https://shop.example/c?u={token}",
        subject=TOKENIZER.token("8613800000001"),
        campaign_id="c",
        variant_id="A",
        message_id=f"m-{token}",
    )


async def test_a_visit_is_published_before_the_redirect(kafka: str) -> None:
    """Person and machine are redirected and told apart; unknown links are 404."""
    token = uuid.uuid4().hex[:10]
    async with (
        KafkaPublisher(kafka) as publisher,
        tracking(kafka) as served,
        TopicReader(kafka, LINK_CLICKED.name) as clicks,
    ):
        await publisher.publish(issued(token))
        for headers in (PHONE, {"User-Agent": "Googlebot/2.1"}):
            async with served.http.get(
                f"{served.url}/{token}", headers=headers, allow_redirects=False
            ) as answer:
                assert answer.status == 302
                assert answer.headers["Location"] == f"https://shop.example/c?u={token}"
        async with served.http.get(f"{served.url}/unknown123") as answer:
            assert answer.status == 404
        mine = lambda: [e for e in clicks.events(LinkClicked) if e.token == token]  # noqa: E731
        await wait_until(lambda: len(mine()) == 2)
        assert sorted(event.is_human for event in mine()) == [False, True]
        assert {event.message_id for event in mine()} == {f"m-{token}"}


async def test_conversions_need_the_secret_and_are_published_before_the_answer(
    kafka: str,
) -> None:
    """A number becomes a token at once; wrong bodies are told, and nothing of them is published."""
    name = uuid.uuid4().hex[:10]
    good = {"conversion_id": name, "goal": "buy", "currency": "CNY", "value_minor": 900}
    allowed = {"Authorization": f"Bearer {SECRET}"}
    async with tracking(kafka) as served, TopicReader(kafka, CONVERSION_RECORDED.name) as topic:
        url = f"{served.url}/v1/conversions"
        person = {**good, "msisdn": "+8613812345678"}
        async with served.http.post(url, json=person) as answer:
            assert answer.status == 401
        async with served.http.post(url, json=good, headers=allowed) as answer:
            assert answer.status == 400
            assert "token or msisdn is needed" in await answer.text()
        async with served.http.post(url, json=[person, person], headers=allowed) as answer:
            assert answer.status == 202
        found = lambda: [  # noqa: E731
            e for e in topic.events(ConversionRecorded) if e.conversion_id == name
        ]
        await wait_until(lambda: len(found()) == 2)
        assert {event.event_id for event in found()} == {f"conversion/{name}"}
        assert found()[0].subject == TOKENIZER.token("8613812345678")
        assert not any(b"13812345678" in value for value in topic.values)


async def test_sigterm_stops_it_and_a_taken_port_is_one_sentence(kafka: str) -> None:
    """A second one on the same port learns which setting to change; the first stops in time."""
    async with tracking(kafka) as served:
        port = int(served.url.rpartition(":")[2])
        code, said = await sentence_of("tracking", environment(kafka, port))
        assert code == 3
        assert f"SMS_TRACKING_PORT == {port}" in said
        assert "Traceback" not in said
        served.process.terminate()
        async with asyncio.timeout(20):
            assert await served.process.wait() == 0


async def test_a_missing_broker_or_secret_is_one_sentence() -> None:
    """Each names the setting."""
    settings = environment("127.0.0.1:1", 0)
    code, said = await sentence_of("tracking", settings)
    assert code == 3
    assert "SMS_KAFKA" in said
    settings["SMS_TRACKING_WEBHOOK_SECRET"] = "short"
    code, said = await sentence_of("tracking", settings)
    assert code == 2
    assert "SMS_TRACKING_WEBHOOK_SECRET == (secret), must have at least 16" in said
