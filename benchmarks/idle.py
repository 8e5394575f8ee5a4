"""What 1,000 connections cost that carry nothing: memory, CPU, and their enquire_links."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from benchmarks.bridge_process import PASSWORD_ENV, Bench, connection, pause, running_bridge
from benchmarks.figures import Figure, Values, must_equal
from benchmarks.processes import Process, ready
from smslab.kafka.sockets import free_ports

CONNECTIONS: Final = 1000
_ESMES: Final = f"{CONNECTIONS:,} idle ESMEs at the proxy"
_BINDS: Final = f"{CONNECTIONS:,} idle binds of ours"
_ACCOUNTS: Final = 10
_ROUTES: Final = 40
"""Connections of the bridge: each may have 32 binds."""
_ENQUIRE_S: Final = 1
_ROUNDS: Final = 2
"""enquire_links each way that every session must have answered."""
_WITHIN_S: Final = 60.0
FIGURES: Final = (
    Figure(f"{_ESMES}: RSS, MB", "MB", at_most=200),
    Figure(f"{_ESMES}: PSS, MB", "MB", at_most=200),
    Figure(f"{_ESMES}: kB each", "kB"),
    Figure(f"{_ESMES}: enquire_link each second, share of a core", "1"),
    Figure(f"{_BINDS}: RSS, MB", "MB", at_most=200),
    Figure(f"{_BINDS}: PSS, MB", "MB", at_most=200),
)


async def idle_esmes(bench: Bench, number: int) -> Values:
    """ESMEs bound to a proxy: each side's enquire_links are answered, and nobody is dropped."""
    each = bench.setup.size(CONNECTIONS) // _ACCOUNTS
    count, port, name = each * _ACCOUNTS, free_ports(1)[0], f"idle-{number}"
    with bench.peer("benchmarks.raw_smsc", name) as smsc:
        config = _proxy_config(smsc.hear()["port"], port, each)
        with running_bridge(bench, name, config) as (bridge, _):
            rss_before, _ = _memory_mb(bridge)
            arguments = map(str, (port, _ACCOUNTS, each))
            with bench.peer("benchmarks.idle_esmes", f"{name}-esmes", *arguments) as esmes:
                must_equal("bound ESMEs", esmes.hear()["bound"], count)
                share = await _checked(bridge, esmes, count)
                rss, pss = _memory_mb(bridge)
            bridge.stop()
    values = (rss, pss, (rss - rss_before) * 1000 / count, share)
    return dict(zip((figure.name for figure in FIGURES), values, strict=False))


async def idle_binds(bench: Bench, number: int) -> Values:
    """Sessions of ours bound to an SMSC, which answers their enquire_links."""
    each = bench.setup.size(CONNECTIONS) // _ROUTES
    count, name = each * _ROUTES, f"binds-{number}"
    with bench.peer("benchmarks.raw_smsc", name) as smsc:
        config = _proxy_config(smsc.hear()["port"], 0, 1)
        route = next(iter(config["connections"].values()))
        route |= {"binds": each, "enquire_link_s": _ENQUIRE_S}
        config["connections"] |= {f"c{n}": route for n in range(1, _ROUTES)}
        with running_bridge(bench, name, config) as (bridge, health):
            async with asyncio.timeout(_WITHIN_S):
                while ready(health)["bound"] != count:
                    await pause(bridge)
                smsc.tell("count")
                while smsc.hear()["checks"] < count * _ROUNDS:
                    await pause(bridge)
                    smsc.tell("count")
            must_equal("bound sessions", ready(health)["bound"], count)
            rss, pss = _memory_mb(bridge)
            bridge.stop()
    return dict(zip((figure.name for figure in FIGURES[4:]), (rss, pss), strict=True))


async def _checked(bridge: Process, esmes: Process, count: int) -> float:
    """Enquire_links both ways until each session has had its rounds; the CPU they take."""
    loop = asyncio.get_running_loop()
    started_s, cpu_s = loop.time(), bridge.cpu_s()
    async with asyncio.timeout(_WITHIN_S):
        for _ in range(_ROUNDS):
            esmes.tell("check")
            await asyncio.sleep(_ENQUIRE_S * 1.5)  # silence, so that the bridge asks, too
        esmes.tell("count")
        while (seen := esmes.hear())["answered"] < count * _ROUNDS or seen["asked"] < count:
            await pause(bridge)
            esmes.tell("count")
    must_equal("enquire_links answered by the bridge", seen["answered"], count * _ROUNDS)
    must_equal("dropped ESMEs", seen["lost"], 0)
    return (bridge.cpu_s() - cpu_s) / (loop.time() - started_s)


def _proxy_config(smsc_port: int, port: int, each: int) -> dict[str, Any]:
    account = {"password_env": PASSWORD_ENV, "connection": "bench", "max_binds": each}
    return {
        "mode": "proxy",
        "connections": {"bench": connection(smsc_port)},
        "listen": {"host": "127.0.0.1", "port": port, "enquire_link_s": _ENQUIRE_S},
        "accounts": {f"esme-{number}": account for number in range(_ACCOUNTS)},
    }


def _memory_mb(process: Process) -> tuple[float, float]:
    """RSS and PSS; where the system has no PSS, RSS twice."""
    rss, pss = process.memory()
    return rss / 1e6, pss / 1e6
