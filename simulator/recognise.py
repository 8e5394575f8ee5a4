"""Which variant a received text is, and which link it holds: from the text itself."""

from __future__ import annotations

import re
from dataclasses import dataclass

from campaigns.campaign_file import LINK, Campaign
from campaigns.template import Field, literals_and_fields


@dataclass(frozen=True, slots=True)
class Recognised:
    """What a handset would see."""

    variant_id: str
    link: str | None


class Recogniser:
    """Matches texts against the templates of a campaign; the longest fixed text first."""

    def __init__(self, campaign: Campaign) -> None:
        patterns = [(v.variant_id, _pattern(v.template)) for v in campaign.variants]
        self._patterns = sorted(patterns, key=lambda item: -len(item[1].pattern))

    def recognise(self, text: str, *, expected: str = "") -> Recognised | None:
        """The variant of a text, or `None` for a foreign one.

        `expected` is tried first: two variants may share a template (an A/A test).
        """
        for variant_id, pattern in sorted(self._patterns, key=lambda item: item[0] != expected):
            found = pattern.fullmatch(text)
            if found is not None:
                return Recognised(variant_id, found.groupdict().get(LINK))
        return None


def _pattern(template: str) -> re.Pattern[str]:
    parts = []
    has_link = False
    for part in literals_and_fields(template):
        if not isinstance(part, Field):
            parts.append(re.escape(part))
        elif part.name == LINK and not has_link:
            parts.append(rf"(?P<{LINK}>\S+)")
            has_link = True
        else:
            parts.append("(?:.+?)")
    return re.compile("".join(parts), re.DOTALL)
