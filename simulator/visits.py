"""The audience on the web: visits to short links and purchases, retried until they are answered."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final, Self

import aiohttp

_PERSON: Final = {"User-Agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Safari/604"}
_MACHINE: Final = {"User-Agent": "LinkPreviewBot/1.0"}
_BACKOFF_S: Final = (0.1, 2.0)
_CONNECTIONS: Final = 32
_TIMEOUT: Final = aiohttp.ClientTimeout(total=15)

log = logging.getLogger(__name__)


class Visits:
    """HTTP to tracking; use as an async context manager."""

    def __init__(self, tracking_url: str, webhook_secret: str) -> None:
        self._url = tracking_url.rstrip("/")
        self._allowed = {"Authorization": f"Bearer {webhook_secret}"}
        self._told: set[tuple[str, int]] = set()
        self.retries = 0

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(limit=_CONNECTIONS)
        self._http = aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()

    async def click(self, link: str, *, is_person: bool) -> None:
        """Open a short link, without following the redirect."""
        headers = _PERSON if is_person else _MACHINE
        await self._until_answered("GET", link, 302, headers=headers, allow_redirects=False)

    async def purchase(self, conversion: dict[str, Any]) -> None:
        """Post a conversion or refund; the id makes repeating harmless."""
        url = f"{self._url}/v1/conversions"
        await self._until_answered("POST", url, 202, headers=self._allowed, json=conversion)

    async def _until_answered(self, method: str, url: str, status: int, **options: Any) -> None:
        delay_s, most_s = _BACKOFF_S
        while True:
            try:
                async with self._http.request(method, url, **options) as answer:
                    if answer.status == status:
                        return
                    self._tell(method, answer.status)
            except (aiohttp.ClientError, TimeoutError):
                pass  # tracking is restarting: people try again, too
            self.retries += 1
            await asyncio.sleep(delay_s)
            delay_s = min(most_s, delay_s * 2)

    def _tell(self, method: str, status: int) -> None:
        """Log once per kind: a wrong secret or an unknown link would be repeated in vain."""
        if (method, status) not in self._told:
            self._told.add((method, status))
            log.warning("tracking refuses", extra={"fields": {"method": method, "status": status}})
