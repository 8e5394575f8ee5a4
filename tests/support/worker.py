"""Parts that tests of the worker share: records, a small campaign's events, the process."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.error import URLError
from urllib.request import urlopen

from schemas.events import (
    CampaignDefined,
    ConnectionReported,
    ConversionRecorded,
    Costs,
    Goal,
    InboundReceived,
    LinkClicked,
    MessageSubmitted,
    Plan,
    ReceiptReceived,
    RecipientAssigned,
    SubjectEvent,
    VariantDefinition,
)
from schemas.subject import SubjectKey, Tokenizer

START_MS = 1_700_000_000_000
_VARIANTS = ("A", "B", "holdout")
_tokenizer = Tokenizer(SubjectKey("k1", b"0123456789abcdef"))


@dataclass(frozen=True, slots=True)
class FakeRecord:
    """A record as the worker looks at it."""

    offset: int
    value: bytes | None
    timestamp: int = -1


def definition(campaign_id: str = "c1", **changes: Any) -> CampaignDefined:
    """A campaign of two variants with a window of ten minutes."""
    values: dict[str, Any] = {
        "event_id": f"define-{campaign_id}",
        "occurred_at_ms": START_MS,
        "campaign_id": campaign_id,
        "plan_version": 1,
        "plan_hash": "hash",
        "salt": "salt",
        "purpose": "promotional",
        "language": "en",
        "connection": "op",
        "source_addr": "Shop",
        "variants": (
            VariantDefinition(variant_id="A", share=0.5, template="Hello"),
            VariantDefinition(variant_id="B", share=0.5, template="Hi"),
        ),
        "control": "A",
        "holdout": 0.3,
        "goal": Goal(metric="revenue_per_recipient", window_ms=600_000, minimum_effect=1.0),
        "costs": Costs(currency="EUR", price_per_segment_micro=50_000),
        "plan": Plan(),
        "analyse_by": ("city",),
    }
    return CampaignDefined(**(values | changes))


def campaign_events(recipients: int, seed: int, campaign_id: str = "c1") -> list[SubjectEvent]:
    """What happens to that many people, out of order as from several producers."""
    rng = random.Random(seed)
    events = [e for n in range(recipients) for e in _story(rng, campaign_id, n)]
    keyed = [(place + rng.randrange(2000), event) for place, event in enumerate(events)]
    return [event for _, event in sorted(keyed, key=lambda pair: pair[0])]


def _story(rng: random.Random, campaign_id: str, number: int) -> Iterator[SubjectEvent]:
    base: dict[str, Any] = {"subject": _tokenizer.token(f"49170{number:07d}")}
    at = START_MS + number * 20
    name = f"{campaign_id}-{number}"
    variant = _VARIANTS[number % 3]
    yield RecipientAssigned(
        **base,
        event_id=f"a-{name}",
        occurred_at_ms=at,
        campaign_id=campaign_id,
        variant_id=variant,
        attributes={"city": rng.choice("xyz")},
        covariate=rng.randrange(1000),
    )
    if variant != "holdout":
        yield from _sent(rng, base, at, name, campaign_id, variant)
    for bought in range(rng.choice((0, 0, 0, 1, 2))):
        yield ConversionRecorded(
            **base,
            event_id=f"v-{name}-{bought}",
            occurred_at_ms=at + rng.randrange(900_000),
            conversion_id=f"v-{name}-{bought}",
            goal="order",
            value_minor=rng.randrange(10_000),
            currency="EUR",
        )


def _sent(
    rng: random.Random, base: dict[str, Any], at: int, name: str, campaign_id: str, variant: str
) -> Iterator[SubjectEvent]:
    yield MessageSubmitted(
        **base,
        event_id=f"s-{name}",
        occurred_at_ms=at + 100,
        message_id=f"m-{name}",
        connection="op",
        source_addr="Shop",
        outcome="accepted",
        smsc_message_id=f"smsc-{name}",
        segments=rng.choice((1, 2)),
        campaign_id=campaign_id,
        variant_id=variant,
    )
    yield ReceiptReceived(
        **base,
        event_id=f"r-{name}",
        occurred_at_ms=at + 5_000,
        connection="op",
        smsc_message_id=f"smsc-{name}" if rng.random() < 0.98 else f"lost-{name}",
        raw_state="DELIVRD",
        state="DELIVERED" if rng.random() < 0.9 else "UNDELIVERABLE",
        is_final=True,
        err="000",
    )
    if rng.random() < 0.3:
        yield LinkClicked(
            **base,
            event_id=f"k-{name}",
            occurred_at_ms=at + 60_000,
            token=f"t-{name}",
            message_id=f"m-{name}",
            campaign_id=campaign_id,
            variant_id=variant,
            is_human=rng.random() < 0.8,
        )
    if rng.random() < 0.05:
        yield InboundReceived(
            **base,
            event_id=f"i-{name}",
            occurred_at_ms=at + 70_000,
            connection="op",
            destination_addr="Shop",
            is_opt_out=rng.random() < 0.5,
        )


class WorkerProcess:
    """`python -m pipeline` as a child; a context manager that never leaves it behind."""

    def __init__(self, kafka: str, data: Path, *arguments: str, **settings: object) -> None:
        data.mkdir(parents=True, exist_ok=True)
        variables = {f"SMS_WORKER_{name}": str(value) for name, value in settings.items()}
        environment = {k: v for k, v in os.environ.items() if not k.startswith("SMS_")}
        environment |= {"SMS_KAFKA": kafka, "SMS_WORKER_DATA": str(data), **variables}
        self._log_path = data / f"worker-{time.monotonic_ns()}.log"
        with self._log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pipeline", *arguments],
                env=environment,
                stdout=log,
                stderr=log,
                cwd=Path(__file__).parents[2],
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    @property
    def log(self) -> str:
        """Everything it has written."""
        return self._log_path.read_text(errors="replace")

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait()

    def stop(self, timeout_s: float = 10.0) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout_s)

    def status(self) -> Mapping[str, Any]:
        """What `/readyz` says; empty before the port is open."""
        url = self._url("readyz")
        return _get(url) if url else {}

    def metrics(self) -> str:
        """What `/metrics` shows."""
        with urlopen(self._url("metrics") or "", timeout=5) as answer:  # noqa: S310 - see `_get`
            text: str = answer.read().decode()
            return text

    def _url(self, page: str) -> str | None:
        for line in self.log.splitlines():
            fields = json.loads(line) if line.startswith("{") else {}
            if fields.get("message") == "health endpoint":
                return f"http://127.0.0.1:{fields['port']}/{page}"
        return None

    async def until(
        self, condition: Callable[[Mapping[str, Any]], bool], within_s: float = 60.0
    ) -> Mapping[str, Any]:
        """Wait until the status fulfils a condition."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            status = await asyncio.to_thread(self.status)
            if status and condition(status):
                return status
            if self.process.poll() is not None:
                raise AssertionError(f"the worker ended: {self.log}")
            await asyncio.sleep(0.05)
        raise AssertionError(f"not within {within_s} s: {self.status()}\n{self.log}")


def _get(url: str) -> Mapping[str, Any]:
    try:
        with urlopen(url, timeout=5) as answer:  # noqa: S310 - our own health endpoint
            found: Mapping[str, Any] = json.load(answer)
            return found
    except URLError as error:
        body = getattr(error, "read", None)
        text = body() if body is not None else b""
        if body is not None:
            error.close()  # type: ignore[attr-defined]  # an HTTPError, which holds a socket
        return json.loads(text) if text else {}
    except OSError:
        return {}


def connection_report() -> ConnectionReported:
    """A report of an SMPP connection."""
    counts = dict.fromkeys(
        ("submits", "accepted", "rejected", "receipts", "inbound", "unknown", "reconnects"), 1
    )
    return ConnectionReported(
        event_id="r1",
        occurred_at_ms=5,
        connection="op",
        instance="i",
        state="BOUND_TRX",
        binds=1,
        bound=1,
        window=10,
        window_in_use=0,
        **counts,
    )
