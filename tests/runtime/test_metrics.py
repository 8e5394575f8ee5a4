"""The metrics route shows what is in the registry."""

from __future__ import annotations

import aiohttp
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.parser import text_string_to_metric_families

from runtime.health import serve_health
from runtime.metrics import metrics_route


async def test_metrics_stand_beside_health() -> None:
    """Prometheus reads the registry at /metrics of the health port, in its own format."""
    registry = CollectorRegistry()
    Counter("parcels", "Parcels sent.", registry=registry).inc(3)
    probe = lambda: {"ready": True}  # noqa: E731 - a probe is a function
    async with (
        serve_health("127.0.0.1", 0, probe, routes=[metrics_route(registry)]) as port,
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/metrics") as answer,
    ):
        assert answer.content_type == "text/plain"
        families = list(text_string_to_metric_families(await answer.text()))
    assert [(f.name, f.samples[0].value) for f in families if f.name == "parcels"] == [
        ("parcels", 3.0)
    ]
