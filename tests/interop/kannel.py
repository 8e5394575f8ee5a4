"""Kannel's bearerbox and smsbox as an ESME: sends, receipts and replies go through HTTP."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from urllib.parse import unquote_to_bytes

import aiohttp
from aiohttp import web

from tests.interop.peers import Peer, running
from tests.interop.registries import debian
from tests.interop.traffic import SENDER, Message
from tests.support.sockets import free_port
from tests.support.topics import wait_until

PARALLEL = 20
UCS2 = "2"
DELIVERED, ACCEPTED = 1, 8
"""Bits of dlr-mask and values of %d, Kannel's user guide, "Delivery Reports"."""
CONFIGURATION = Template("""\
group = core
admin-port = $admin
admin-password = test
smsbox-port = $box
box-allow-ip = 127.0.0.1
dlr-storage = internal
log-level = 1

group = smsc
smsc = smpp
smsc-id = proxy
host = 127.0.0.1
port = $proxy
transceiver-mode = true
smsc-username = shop
smsc-password = secret
system-type = ""
msg-id-type = 0x01

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = $sendsms
log-level = 1

group = sendsms-user
username = test
password = test
concatenation = true
max-messages = 10

group = sms-service
keyword = default
catch-all = true
max-messages = 0
get-url = "http://127.0.0.1:$http/reply/%p/%c/%b"
""")


@dataclass
class Kannel:
    """What it told: answers of sendsms, receipts as (person, kind), replies as (person, text)."""

    sendsms: int
    http: int
    bearerbox: Peer
    answers: list[str] = field(default_factory=list)
    receipts: list[tuple[str, int]] = field(default_factory=list)
    replies: list[tuple[str, str]] = field(default_factory=list)

    async def send(self, messages: tuple[Message, ...]) -> None:
        """Every message as one request, a few at a time."""
        slots = asyncio.Semaphore(PARALLEL)
        url = f"http://127.0.0.1:{self.sendsms}/cgi-bin/sendsms"

        async def one(client: aiohttp.ClientSession, message: Message) -> None:
            parameters = self._parameters(message)
            async with slots, client.get(url, params=parameters) as response:
                self.answers.append(await response.text())

        async with aiohttp.ClientSession() as client:
            await asyncio.gather(*(one(client, message) for message in messages))

    def _parameters(self, message: Message) -> dict[str, str]:
        report = f"http://127.0.0.1:{self.http}/receipt?to={message.to}&kind=%d"
        return {
            "username": "test",
            "password": "test",
            "from": SENDER,
            "to": message.to,
            "text": message.text,
            "charset": "UTF-8",
            "coding": UCS2 if message.is_ucs2 else "0",
            "dlr-mask": str(DELIVERED | ACCEPTED),
            "dlr-url": report,
        }

    async def receipt(self, request: web.Request) -> web.Response:
        """Kannel reports."""
        self.receipts.append((request.query["to"], int(request.query["kind"])))
        return web.Response()

    async def reply(self, request: web.Request) -> web.Response:
        """Kannel passes a reply on."""
        _, _, person, coding, octets = request.rel_url.raw_path.split("/")
        text = unquote_to_bytes(octets).decode("utf-16-be" if coding == UCS2 else "ascii")
        self.replies.append((person, text))
        return web.Response()

    async def stop(self) -> None:
        """Unbind and end."""
        self.bearerbox.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            await self.bearerbox.process.wait()


@asynccontextmanager
async def kannel(proxy_port: int, folder: Path) -> AsyncIterator[Kannel]:
    """Both boxes, bound to the proxy, while the block runs."""
    debian("kannel")
    ports = {name: free_port() for name in ("admin", "box", "sendsms", "http")}
    path = folder / "kannel.conf"
    path.write_text(CONFIGURATION.substitute(ports, proxy=proxy_port), "utf-8")
    async with running(["/usr/sbin/bearerbox", str(path)]) as bearerbox:
        await wait_until(lambda: _answers(ports["box"]))
        told = Kannel(ports["sendsms"], ports["http"], bearerbox)
        async with running(["/usr/sbin/smsbox", str(path)]), _serving(told, ports["http"]):
            await wait_until(lambda: _answers(ports["sendsms"]))
            yield told


@asynccontextmanager
async def _serving(told: Kannel, port: int) -> AsyncIterator[None]:
    app = web.Application()
    app.router.add_get("/receipt", told.receipt)
    app.router.add_get("/reply/{any:.*}", told.reply)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield
    finally:
        await runner.cleanup()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
