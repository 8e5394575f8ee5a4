"""What a variant will look like and cost, before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from campaigns.campaign_file import LINK, Campaign
from campaigns.template import fields_of, render
from smpp_bridge.protocol import gsm7
from smpp_bridge.protocol.keywords import classify_reply
from smpp_bridge.protocol.text import segments_of


@dataclass(frozen=True, slots=True)
class VariantPreview:
    """One variant with example values. `cost_micro` is per recipient."""

    variant_id: str
    text: str
    encoding: str
    segments: int
    units: int
    cost_micro: int
    warnings: tuple[str, ...]


def preview(
    campaign: Campaign, values: Mapping[str, str], *, link: str
) -> tuple[VariantPreview, ...]:
    """Every variant filled with `values` (absent fields show their name) and `link`."""
    return tuple(
        _preview(campaign, variant.variant_id, variant.template, values, link)
        for variant in campaign.variants
    )


def cost_micro(segments: int, price_per_segment_micro: int) -> int:
    """Cost of billed segments in millionths of the currency's major unit."""
    return segments * price_per_segment_micro


def _preview(
    campaign: Campaign, variant_id: str, template: str, values: Mapping[str, str], link: str
) -> VariantPreview:
    shown = {field.name: f"<{field.name}>" for field in fields_of(template)}
    text = render(template, {**shown, **values, LINK: link})
    found = segments_of(text)
    price = campaign.costs.price_per_segment_micro
    return VariantPreview(
        variant_id=variant_id,
        text=text,
        encoding=found.encoding,
        segments=found.segments,
        units=found.units,
        cost_micro=cost_micro(found.segments, price),
        warnings=tuple(_warnings(campaign, text)),
    )


def _warnings(campaign: Campaign, text: str) -> list[str]:
    warnings = []
    outside = [character for character in text if character not in gsm7.SEPTETS]
    if outside and len(outside) <= 3:
        warnings.append(
            f"{' '.join(outside)!r} is not in the GSM alphabet and makes every segment "
            "70 instead of 160 characters."
        )
    if campaign.purpose == "promotional" and not _offers_opt_out(text):
        warnings.append("a promotional text should say how to opt out (STOP, 回复R).")
    return warnings


def _offers_opt_out(text: str) -> bool:
    if "拒收" in text or "退订" in text:
        return True
    return any(classify_reply(word).wish == "opt_out" for word in text.split() if len(word) > 1)
