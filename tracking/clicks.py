"""Person or machine? A pure rule table over the request's method and headers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_MACHINES: Final = re.compile(
    r"bot\b|crawl|spider|preview|facebookexternalhit|whatsapp|slurp|curl/|wget/|python-|"
    r"headless|monitor|scanner|safelinks|proofpoint|barracuda|go-http-client|okhttp|java/",
    re.IGNORECASE,
)
"""User agents of link previews, security scanners and scripts."""
_PREFETCH: Final = ("purpose", "sec-purpose", "x-purpose", "x-moz")


def machine_reason(method: str, headers: Mapping[str, str]) -> str | None:
    """Why a visit is not a person's, or `None` when nothing speaks against one.

    `headers` has lower-case names.

    Examples:
        >>> machine_reason("HEAD", {})
        'head_request'
        >>> machine_reason("GET", {"user-agent": "Mozilla/5.0 (iPhone)"}) is None
        True
    """
    if method == "HEAD":
        return "head_request"
    if any(
        "prefetch" in headers.get(name, "") or "preview" in headers.get(name, "")
        for name in _PREFETCH
    ):
        return "prefetch"
    agent = headers.get("user-agent", "")
    if not agent:
        return "no_user_agent"
    return "machine_agent" if _MACHINES.search(agent) else None
