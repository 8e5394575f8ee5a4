"""aiosmpplib as an ESME: esme_aiosmpplib.py PORT MESSAGES DELIVERIES; one JSON object per line."""

from __future__ import annotations

import asyncio
import json
import struct
import sys
from pathlib import Path
from typing import Any

import aiosmpplib

UDHI = 0x40
SUBMIT_SM_RESP = 0x80000004


def say(**line: object) -> None:
    """Tell the test."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


class Hook(aiosmpplib.AbstractHook):  # type: ignore[misc]
    """Tells what comes; `is_done` when everything is there."""

    def __init__(self, answers: int, deliveries: int) -> None:
        self.due = answers + deliveries
        self.is_done = asyncio.Event()

    async def sending(self, message: Any, octets: bytes, client_id: str) -> None:
        """Of no interest."""

    async def send_error(self, message: Any, error: Exception, client_id: str) -> None:
        """A message that could not be sent."""
        say(error=str(error))

    async def received(self, message: Any, octets: bytes, client_id: str) -> None:
        """Responses and deliver_sm; the answers to parts come as octets only."""
        command_id, status = struct.unpack_from("!II", octets, 4)
        if command_id == SUBMIT_SM_RESP:
            say(answered=status, id=octets[16:-1].decode())
        elif isinstance(message, aiosmpplib.DeliverSm):
            say(delivered=message.short_message, esm_class=message.esm_class)
        else:
            return
        self.due -= 1
        if self.due == 0:
            self.is_done.set()


async def run(port: int, messages: list[dict[str, str]], answers: int, deliveries: int) -> None:
    """Everything."""
    hook = Hook(answers, deliveries)
    esme = aiosmpplib.ESME("127.0.0.1", port, "shop", "secret", hook=hook, log_level="CRITICAL")
    task = asyncio.ensure_future(esme.start())
    for number, message in enumerate(messages):
        is_gsm = message["text"].isascii() or "€" in message["text"]
        is_long = len(message["text"]) > (160 if is_gsm else 70)
        await esme.broker.enqueue(
            aiosmpplib.SubmitSm(
                short_message=message["text"],
                source=aiosmpplib.PhoneNumber("10690001"),
                destination=aiosmpplib.PhoneNumber(message["to"]),
                encoding="gsm0338" if is_gsm else "ucs2",
                esm_class=UDHI if is_long else 0,
                auto_message_payload=not is_long,
                log_id=str(number),
            )
        )
    await hook.is_done.wait()
    await esme.stop()
    await task
    say(unbound=True)


port, file, deliveries, answers = sys.argv[1:]
messages = json.loads(Path(file).read_text("utf-8"))
asyncio.run(run(int(port), messages, int(answers), int(deliveries)))
