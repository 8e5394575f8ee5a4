"""A campaign file → the event that puts it into force."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from campaigns.campaign_file import Campaign
from schemas.events import DIRECTIONS, CampaignDefined, Plan


def definition_of(
    campaign: Campaign,
    *,
    now_ms: int,
    audience_size: int | None,
    dimension_values: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
    plan_version: int = 1,
) -> CampaignDefined:
    """The definition; `plan_hash` covers everything that decides, so a later change shows."""
    return CampaignDefined(
        event_id=f"{campaign.campaign_id}/{plan_version}",
        occurred_at_ms=now_ms,
        campaign_id=campaign.campaign_id,
        plan_version=plan_version,
        plan_hash=plan_hash(campaign, audience_size),
        salt=campaign.campaign_id,
        purpose=campaign.purpose,
        language=campaign.language,
        connection=campaign.connection,
        source_addr=campaign.source_addr,
        variants=campaign.variants,
        control=campaign.control,
        holdout=campaign.holdout,
        goal=campaign.goal,
        costs=campaign.costs,
        plan=frozen_plan(campaign, audience_size),
        guardrails=campaign.guardrails,
        analyse_by=campaign.analyse_by,
        dimension_values=dict(dimension_values),
        audience_size=audience_size,
    )


def frozen_plan(campaign: Campaign, audience_size: int | None) -> Plan:
    """The plan with its N*: what the file says, else the whole audience."""
    plan = campaign.plan
    expected_n = plan.expected_n or audience_size
    return msgspec.structs.replace(plan, expected_n=expected_n)


def plan_hash(campaign: Campaign, audience_size: int | None = None) -> str:
    """SHA-256 over the canonical JSON of what decides, first 16 hexadecimal digits."""
    deciding = msgspec.to_builtins(
        {
            "variants": campaign.variants,
            "control": campaign.control,
            "holdout": campaign.holdout,
            "goal": campaign.goal,
            "costs": campaign.costs,
            "plan": frozen_plan(campaign, audience_size),
            "direction": DIRECTIONS[campaign.goal.metric],
            "guardrails": campaign.guardrails,
            "analyse_by": campaign.analyse_by,
            "audience_size": audience_size,
            "salt": campaign.campaign_id,
        }
    )
    canonical = json.dumps(deciding, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
