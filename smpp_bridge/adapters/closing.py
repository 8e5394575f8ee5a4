"""Ends a connection whose peer may have stopped reading.

`transport.close()` alone waits for an empty write buffer, hence for ever when nobody reads.
"""

from __future__ import annotations

import asyncio
from typing import Final

CLOSE_WITHIN_S: Final = 2.0
"""As long as the last octets (a refusal, unbind_resp) may take to leave our buffer."""
_DEAD: Final = frozenset(
    {"not bound in time", "link check was not answered", "unbind did not end in time"}
)
"""Why a session has closed (`Closed.reason`) whose peer is not there to read a goodbye."""


def end_connection(
    transport: asyncio.Transport, reason: str = "", *, within_s: float = CLOSE_WITHIN_S
) -> None:
    """Close after what is to be sent, at the latest after `within_s`; a dead peer's at once.

    Once more changes nothing. `connection_lost` follows in every case.

    Args:
        transport: Plain or TLS.
        reason: Why the session has closed, as in its `Closed` event.
        within_s: From now on.
    """
    if transport.is_closing():
        return
    if reason in _DEAD:
        transport.abort()
        return
    transport.close()
    # not only with octets in the buffer: TLS has more of them below, and waits for close_notify
    asyncio.get_running_loop().call_later(within_s, transport.abort)
