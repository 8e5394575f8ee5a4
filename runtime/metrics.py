"""`/metrics` for Prometheus, beside `/healthz` and `/readyz`."""

from __future__ import annotations

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST


def metrics_route(registry: CollectorRegistry) -> web.RouteDef:
    """The route that shows a registry; give every process object its own registry."""

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    return web.get("/metrics", metrics)
