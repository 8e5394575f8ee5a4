"""The conversion webhook's body: checked, told in sentences, mapped to events. Pure."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from schemas.events import ConversionRecorded

MAX_ITEMS: Final = 1000
CLOCK_SKEW_MS: Final = 60_000
"""How far a shop's clock may run ahead; a time in the far future would end every window."""


class Posted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One conversion as a shop posts it. The person is `token` (of the link) or `msisdn`."""

    conversion_id: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    goal: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    currency: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")]
    value_minor: Annotated[int, msgspec.Meta(ge=0, le=10**12)] = 0
    token: str | None = None
    msisdn: str | None = None
    occurred_at_ms: int | None = None
    refund_of: str | None = None
    campaign_id: str | None = None

    def __repr__(self) -> str:
        return f"Posted(conversion_id={self.conversion_id!r})"


_one = msgspec.json.Decoder(Posted)
_many = msgspec.json.Decoder(Annotated[list[Posted], msgspec.Meta(max_length=MAX_ITEMS)])


def read_posted(body: bytes) -> list[Posted]:
    """One conversion or a list of at most 1,000.

    Raises:
        ValueError: With a sentence that names the field and the rule.
    """
    is_list = body.lstrip()[:1] == b"["
    try:
        return _many.decode(body) if is_list else [_one.decode(body)]
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ValueError(f"body: {error}") from error


def recorded(posted: Posted, *, subject: str, now_ms: int) -> ConversionRecorded:
    """The event; posting the same `conversion_id` again is the same fact.

    Raises:
        ValueError: If the time lies in the future.
    """
    occurred_at_ms = now_ms if posted.occurred_at_ms is None else posted.occurred_at_ms
    if not 0 <= occurred_at_ms <= now_ms + CLOCK_SKEW_MS:
        raise ValueError(f"occurred_at_ms == {occurred_at_ms}, must not lie in the future.")
    return ConversionRecorded(
        event_id=f"conversion/{posted.conversion_id}",
        occurred_at_ms=occurred_at_ms,
        subject=subject,
        conversion_id=posted.conversion_id,
        goal=posted.goal,
        value_minor=posted.value_minor,
        currency=posted.currency,
        refund_of=posted.refund_of,
        campaign_id=posted.campaign_id,
    )
