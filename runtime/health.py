"""The health endpoint of a process: `/healthz` (alive) and `/readyz` (doing its work), as JSON."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager

from aiohttp import web

Probe = Callable[[], Mapping[str, object]]
"""Details to show; the key `ready` (bool) decides the status of `/readyz`."""


def health_routes(probe: Probe) -> list[web.RouteDef]:
    """The two routes, for a process that serves HTTP already."""

    async def alive(_request: web.Request) -> web.Response:
        return web.json_response({"alive": True})

    async def ready(_request: web.Request) -> web.Response:
        details = dict(probe())
        return web.json_response(details, status=200 if details.get("ready") else 503)

    return [web.get("/healthz", alive), web.get("/readyz", ready)]


@asynccontextmanager
async def serve_health(
    host: str, port: int, probe: Probe, *, routes: Iterable[web.RouteDef] = ()
) -> AsyncIterator[int]:
    """Serve the endpoint, and more `routes`, while the block runs; yields the real port.

    Raises:
        OSError: If the port is in use.
    """
    app = web.Application()
    app.add_routes([*health_routes(probe), *routes])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
