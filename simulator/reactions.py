"""What one person does: drawn once from (seed, number), whatever the order of events. Pure."""

from __future__ import annotations

import random
from dataclasses import dataclass

from simulator.effects import Effects, EveryoneEffects, Range, VariantEffects


@dataclass(frozen=True, slots=True)
class Purchase:
    """`delay_s` after its cause; a refund gives everything back.

    `in_window` False: the person waits until the campaign's window has long ended.
    """

    delay_s: float
    value_minor: int
    refund_delay_s: float | None
    in_window: bool


@dataclass(frozen=True, slots=True)
class Handling:
    """What the operator does with a message."""

    is_rejected: bool
    is_delivered: bool
    err: str
    receipt_delay_s: float
    is_receipt_doubled: bool
    is_receipt_early: bool


@dataclass(frozen=True, slots=True)
class Reactions:
    """What the person does; delays in seconds after delivery, of the purchase after the click."""

    click_delay_s: float | None
    bot_delay_s: float | None
    bought_after_click: Purchase | None
    opt_out_delay_s: float | None
    reply_delay_s: float | None


def handling(msisdn: str, variant_id: str, effects: Effects, *, seed: int) -> Handling:
    """The operator's part. A part of a message is handled like its person's message."""
    draw = random.Random(f"{seed}|operator|{msisdn}")
    operator = effects.operator
    delivery_rate = effects.variants[variant_id].delivery_rate
    return Handling(
        is_rejected=draw.random() < operator.reject_rate,
        is_delivered=draw.random() < delivery_rate,
        err=draw.choice(operator.failure_errors),
        receipt_delay_s=draw.uniform(*operator.receipt_delay),
        is_receipt_doubled=draw.random() < operator.duplicate_receipt_rate,
        is_receipt_early=draw.random() < operator.early_receipt_rate,
    )


def organic(msisdn: str, effects: Effects, *, seed: int) -> Purchase | None:
    """What the person buys anyway."""
    draw = random.Random(f"{seed}|organic|{msisdn}")
    everyone = effects.everyone
    if draw.random() >= everyone.organic_rate:
        return None
    return _purchase(draw, everyone, everyone.organic_delay)


def reactions(msisdn: str, variant_id: str, effects: Effects, *, seed: int) -> Reactions:
    """The person's part, once the message is on the handset."""
    draw = random.Random(f"{seed}|person|{msisdn}")
    variant = effects.variants[variant_id]
    click = _maybe(draw, variant.click_rate, variant.click_delay)
    return Reactions(
        click_delay_s=click,
        bot_delay_s=_maybe(draw, variant.bot_rate, variant.bot_delay),
        bought_after_click=(None if click is None else _bought(draw, variant, effects.everyone)),
        opt_out_delay_s=_maybe(draw, variant.opt_out_rate, variant.reply_delay),
        reply_delay_s=_maybe(draw, variant.reply_rate, variant.reply_delay),
    )


def _bought(
    draw: random.Random, variant: VariantEffects, everyone: EveryoneEffects
) -> Purchase | None:
    if draw.random() >= variant.conversion_rate:
        return None
    return _purchase(draw, everyone, variant.conversion_delay)


def _purchase(draw: random.Random, everyone: EveryoneEffects, delay: Range) -> Purchase:
    return Purchase(
        delay_s=draw.uniform(*delay),
        value_minor=everyone.revenue_minor.draw(draw),
        refund_delay_s=_maybe(draw, everyone.refund_rate, everyone.refund_delay),
        in_window=draw.random() >= everyone.late_rate,
    )


def _maybe(draw: random.Random, rate: float, delay: Range) -> float | None:
    happens, after = draw.random() < rate, draw.uniform(*delay)
    return after if happens else None
