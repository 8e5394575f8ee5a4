"""Scraping a process."""

from __future__ import annotations

import aiohttp
from prometheus_client.parser import text_string_to_metric_families


async def samples_at(port: int) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Name and labels → value, as scraped."""
    url = f"http://127.0.0.1:{port}/metrics"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        text = await response.text()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
