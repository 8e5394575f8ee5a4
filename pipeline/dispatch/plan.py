"""What one recipient gets: assignment, link, request. Pure and deterministic.

The same campaign, key and recipient give the same ids, so a dispatcher that runs again after
a crash repeats facts instead of making new ones.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

from campaigns.assignment import assign
from campaigns.campaign_file import LINK, Campaign
from campaigns.preview import cost_micro
from campaigns.template import fields_of, render
from pipeline.dispatch.audience import Recipient
from schemas.events import HOLDOUT, LinkIssued, MessageRequested, RecipientAssigned
from smpp_bridge.protocol.text import segments_of

_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
TOKEN_LENGTH: Final = 10
"""62^10 ≈ 2^59: with 100 million links a guess hits one in 8 billion times."""
LARGEST_COVARIATE: Final = 10**12
"""As the schema says: the worker refuses an assignment with a larger one, and with it a person."""
DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class Planned:
    """What is published for one recipient; link and request are absent for the holdout."""

    assigned: RecipientAssigned
    link: LinkIssued | None = None
    request: MessageRequested | None = None
    segments: int = 0
    cost_micro: int = 0


@dataclass(frozen=True, slots=True)
class Planner:
    """Plans the recipients of one campaign. `tracking_url` has no trailing slash."""

    campaign: Campaign
    secret: bytes
    tracking_url: str

    def plan(self, recipient: Recipient, *, now_ms: int) -> Planned:
        """The arm of a recipient and what follows from it."""
        campaign = self.campaign
        variant_id = assign(
            recipient.subject,
            salt=campaign.campaign_id,
            holdout=campaign.holdout,
            shares=campaign.shares,
        )
        assigned = self._assigned(recipient, variant_id, now_ms)
        if variant_id == HOLDOUT:
            return Planned(assigned)
        message_id = message_id_of(campaign.campaign_id, recipient.subject)
        template = next(v.template for v in campaign.variants if v.variant_id == variant_id)
        link = self._link(recipient, variant_id, message_id, template, now_ms)
        fields = dict(recipient.fields)
        if link is not None:
            fields[LINK] = f"{self.tracking_url}/{link.token}"
        text = render(template, fields)
        segments = segments_of(text).segments
        return Planned(
            assigned,
            link,
            MessageRequested(
                event_id=f"{message_id}/request",
                occurred_at_ms=now_ms,
                subject=recipient.subject,
                message_id=message_id,
                connection=campaign.connection,
                source_addr=campaign.source_addr,
                destination=recipient.msisdn,
                text=text,
                purpose=campaign.purpose,
                campaign_id=campaign.campaign_id,
                variant_id=variant_id,
                expires_at_ms=now_ms + DAY_MS,
            ),
            segments,
            cost_micro(segments, campaign.costs.price_per_segment_micro),
        )

    def _assigned(self, recipient: Recipient, variant_id: str, now_ms: int) -> RecipientAssigned:
        campaign = self.campaign
        covariate = recipient.fields.get(campaign.covariate) if campaign.covariate else None
        return RecipientAssigned(
            event_id=f"{campaign.campaign_id}/{recipient.subject}",
            occurred_at_ms=now_ms,
            subject=recipient.subject,
            campaign_id=campaign.campaign_id,
            variant_id=variant_id,
            attributes={name: recipient.fields[name] for name in campaign.analyse_by},
            covariate=_whole(covariate),
        )

    def _link(
        self, recipient: Recipient, variant_id: str, message_id: str, template: str, now_ms: int
    ) -> LinkIssued | None:
        target = self.campaign.link_target
        if target is None or all(field.name != LINK for field in fields_of(template)):
            return None
        token = link_token(self.secret, message_id)
        return LinkIssued(
            event_id=f"{message_id}/link",
            occurred_at_ms=now_ms,
            token=token,
            target=render(target, {"token": token}),
            subject=recipient.subject,
            campaign_id=self.campaign.campaign_id,
            variant_id=variant_id,
            message_id=message_id,
        )


def message_id_of(campaign_id: str, subject: str) -> str:
    """Ours, one per campaign and recipient."""
    digest = hashlib.blake2b(f"{campaign_id}\0{subject}".encode(), digest_size=8)
    return f"{campaign_id}-{digest.hexdigest()}"


def link_token(secret: bytes, message_id: str) -> str:
    """A short token that nobody can guess without the key."""
    digest = hmac.digest(secret, b"link\0" + message_id.encode(), "sha256")
    number = int.from_bytes(digest[:8], "big")
    letters = []
    for _ in range(TOKEN_LENGTH):
        number, letter = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[letter])
    return "".join(letters)


def _whole(text: str | None) -> int | None:
    """The number that is written there, or `None`: for none, for words, for too large ones."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return round(value) if abs(value) <= LARGEST_COVARIATE else None
