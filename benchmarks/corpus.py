"""Made-up events as the system sees them: random ids and tokens, every field filled. Seeded.

Counts what the events mean while it makes them, without the join: an answer of its own to
compare the worker with.
"""

from __future__ import annotations

import random
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from schemas.events import (
    HOLDOUT,
    CampaignDefined,
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
from smpp_bridge.protocol.receipts import candidates_of

CAMPAIGN: Final = "double11-coupon"
START_MS: Final = 1_762_736_400_000  # 2025-11-10T01:00:00Z
WINDOW_MS: Final = 5 * 24 * 3_600_000
PRICE_MICRO: Final = 45_000
_STEP_MS: Final = 200
"""Between two assignments: 200,000 recipients take eleven hours, hence eleven cohorts an arm."""
_ARMS: Final = (("A", 0.45), ("B", 0.45), (HOLDOUT, 0.10))
_CLICK_RATES: Final = {"A": 0.08, "B": 0.12}
_TIERS: Final = ("tier1", "tier2", "tier3", "tier4")
_LOYALTIES: Final = ("none", "silver", "gold")
_TOGETHER: Final = 2000
"""Recipients whose events are mixed by time, as several producers would."""
_DUPLICATES: Final = 0.02
_ORGANIC: Final = 0.01


def definition(recipients: int) -> CampaignDefined:
    """A campaign of two variants and a holdout, analysed by two attributes."""
    return CampaignDefined(
        event_id="define",
        occurred_at_ms=START_MS,
        campaign_id=CAMPAIGN,
        plan_version=1,
        plan_hash="2f1c9d6f0f2c1b7e",
        salt="9a5d",
        purpose="promotional",
        language="zh",
        connection="cmcc-1",
        source_addr="10690001",
        variants=(
            VariantDefinition(variant_id="A", share=0.5, template="{{link}} 领取优惠券"),
            VariantDefinition(variant_id="B", share=0.5, template="今天下单立减20元 {{link}}"),
        ),
        control="A",
        holdout=0.1,
        goal=Goal(metric="profit_per_recipient", window_ms=WINDOW_MS, minimum_effect=3.0),
        costs=Costs(
            currency="CNY",
            price_per_segment_micro=PRICE_MICRO,
            margin=0.3,
            opt_out_cost_minor=800,
        ),
        plan=Plan(),
        guardrails={"opt_out_rate": 0.002},
        analyse_by=("city_tier", "loyalty"),
        audience_size=recipients,
    )


@dataclass(slots=True)
class Corpus:
    """The events of so many recipients. `totals` and `distinct` are right once they are drawn."""

    recipients: int
    seed: int = 11
    start_ms: int = START_MS
    """Of the first assignment."""
    step_ms: int = _STEP_MS
    """Between two assignments."""
    totals: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(variant_id, counter) → what the results must say."""
    distinct: int = 0
    sent: int = 0
    """Events including the repeated ones."""

    def events(self) -> Iterator[SubjectEvent]:
        """All events, mixed by time; two receipts in a hundred come twice."""
        rng = random.Random(self.seed)
        for start in range(0, self.recipients, _TOGETHER):
            people = range(start, min(start + _TOGETHER, self.recipients))
            chunk = [event for number in people for event in self._story(rng, number)]
            self.distinct += len(chunk)
            chunk += [e for e in chunk if _is_receipt(e) and rng.random() < _DUPLICATES]
            self.sent += len(chunk)
            yield from sorted(chunk, key=lambda event: event.occurred_at_ms)

    def submits(self) -> Iterator[MessageSubmitted]:
        """The submit results alone."""
        return (event for event in self.events() if isinstance(event, MessageSubmitted))

    def _story(self, rng: random.Random, number: int) -> Iterator[SubjectEvent]:
        token = urlsafe_b64encode(rng.randbytes(16))[:-2].decode()
        at_ms = self.start_ms + number * self.step_ms
        arm = rng.choices([name for name, _ in _ARMS], [share for _, share in _ARMS])[0]
        person = _Person(rng, f"k1.{token}", arm, at_ms)
        self._count(arm, "assigned")
        yield person.assigned()
        buys = rng.random() < _ORGANIC
        if arm != HOLDOUT:
            for event in person.sent():
                yield event
                self._count_event(arm, event)
                buys |= isinstance(event, LinkClicked) and event.is_human and rng.random() < 0.15
        if buys:
            bought = person.bought()
            yield bought
            self._count(arm, "converted")
            self._count(arm, "revenue_minor", bought.value_minor)

    def _count(self, arm: str, counter: str, by: int = 1) -> None:
        self.totals[arm, counter] += by

    def _count_event(self, arm: str, event: SubjectEvent) -> None:
        match event:
            case MessageSubmitted(outcome="accepted", segments=segments):
                self._count(arm, "accepted")
                self._count(arm, "segments", segments)
                self._count(arm, "cost_micro", segments * PRICE_MICRO)
            case MessageSubmitted():
                self._count(arm, "rejected")
            case ReceiptReceived(state="DELIVERED"):
                self._count(arm, "delivered")
            case ReceiptReceived():
                self._count(arm, "failed")
            case LinkClicked(is_human=is_human):
                self._count(arm, "clicked" if is_human else "bot_clicked")
            case InboundReceived(is_opt_out=is_opt_out):
                self._count(arm, "replied")
                self._count(arm, "opted_out", int(is_opt_out))


@dataclass(slots=True)
class _Person:
    """One recipient and what happens to them."""

    rng: random.Random
    subject: str
    arm: str
    at_ms: int

    def assigned(self) -> RecipientAssigned:
        return RecipientAssigned(
            **self._base(0),
            campaign_id=CAMPAIGN,
            variant_id=self.arm,
            wave=0,
            attributes={
                "city_tier": self.rng.choice(_TIERS),
                "loyalty": self.rng.choice(_LOYALTIES),
            },
            covariate=self.rng.randrange(50_000),
        )

    def sent(self) -> Iterator[SubjectEvent]:
        rng = self.rng
        message_id = f"{rng.getrandbits(128):032x}"
        is_accepted = rng.random() >= 0.004
        smsc_message_id = f"{rng.getrandbits(64):016X}"
        yield self._submitted(message_id, smsc_message_id, is_accepted=is_accepted)
        if not is_accepted:
            return
        is_delivered = rng.random() < 0.955
        yield self._receipt(smsc_message_id, is_delivered=is_delivered)
        if not is_delivered:
            return
        if rng.random() < 0.03:
            yield self._click(message_id, is_human=False)
        if rng.random() < _CLICK_RATES[self.arm]:
            yield self._click(message_id, is_human=True)
        if rng.random() < 0.014:
            yield self._reply(is_opt_out=rng.random() < 0.25)

    def bought(self) -> ConversionRecorded:
        return ConversionRecorded(
            **self._base(self.rng.randrange(60_000, 3_600_000)),
            conversion_id=f"order-{self.rng.getrandbits(64):016x}",
            goal="order",
            value_minor=self.rng.randrange(3_000, 13_000),
            currency="CNY",
            campaign_id=CAMPAIGN,
        )

    def _base(self, after_ms: int) -> dict[str, Any]:
        return {
            "event_id": f"{self.rng.getrandbits(128):032x}",
            "occurred_at_ms": self.at_ms + after_ms,
            "subject": self.subject,
        }

    def _submitted(
        self, message_id: str, smsc_message_id: str, *, is_accepted: bool
    ) -> MessageSubmitted:
        return MessageSubmitted(
            **self._base(self.rng.randrange(20, 500)),
            message_id=message_id,
            connection="cmcc-1",
            source_addr="10690001",
            outcome="accepted" if is_accepted else "rejected",
            command_status=0 if is_accepted else 11,
            smsc_message_id=smsc_message_id if is_accepted else None,
            part=1,
            parts=1,
            segments=self.rng.choice((1, 1, 2)),
            encoding="ucs2",
            latency_ms=self.rng.randrange(2, 400),
            account="shop",
            campaign_id=CAMPAIGN,
            variant_id=self.arm,
        )

    def _receipt(self, smsc_message_id: str, *, is_delivered: bool) -> ReceiptReceived:
        after_ms = self.rng.randrange(600, 90_000)
        return ReceiptReceived(
            **self._base(after_ms),
            connection="cmcc-1",
            smsc_message_id=smsc_message_id,
            candidates=candidates_of(smsc_message_id),
            raw_state="DELIVRD" if is_delivered else "UNDELIV",
            state="DELIVERED" if is_delivered else "UNDELIVERABLE",
            is_final=True,
            err="000" if is_delivered else self.rng.choice(("001", "012", "054")),
            submitted_at_ms=self.at_ms // 60_000 * 60_000,
            done_at_ms=(self.at_ms + after_ms) // 60_000 * 60_000,
        )

    def _click(self, message_id: str, *, is_human: bool) -> LinkClicked:
        return LinkClicked(
            **self._base(self.rng.randrange(5_000, 1_800_000)),
            token=f"{self.rng.getrandbits(56):010x}"[:10],
            message_id=message_id,
            campaign_id=CAMPAIGN,
            variant_id=self.arm,
            is_human=is_human,
            filter_reason=None if is_human else "user_agent",
        )

    def _reply(self, *, is_opt_out: bool) -> InboundReceived:
        return InboundReceived(
            **self._base(self.rng.randrange(5_000, 600_000)),
            connection="cmcc-1",
            destination_addr="10690001",
            keyword="r" if is_opt_out else None,
            is_opt_out=is_opt_out,
            language="zh",
            encoding="ucs2",
        )


def _is_receipt(event: SubjectEvent) -> bool:
    return isinstance(event, ReceiptReceived)
