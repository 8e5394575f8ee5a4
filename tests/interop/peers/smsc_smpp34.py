"""smpp34 as the SMSC: smsc_smpp34.py PORT. Says what it sees, one JSON object per line."""

from __future__ import annotations

import asyncio
import json
import sys

import smpp34

FIRST_ID = 0x10C8F40D
"""Hexadecimal in submit_sm_resp, decimal in the receipt."""
DATES = "submit date:2601010000 done date:2601010001"
UCS2 = 8
GSM = {"\x00": "@", "\x01": "£", "\x02": "$", "\x1be": "€", "\x1b<": "[", "\x1b>": "]"}
"""3GPP 23.038: what the texts of the test have and ASCII has elsewhere."""


def say(**line: object) -> None:
    """Tell the test."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def text_of(event: smpp34.SubmitSmEvent) -> tuple[int, str]:
    """Part number and text."""
    octets, part = event.short_message, 1
    if event.esm_class & 0x40:
        part = octets[octets[0]]
        octets = octets[octets[0] + 1 :]
    if event.data_coding == UCS2:
        return part, octets.decode("utf-16-be")
    text = octets.decode("latin-1")
    for septets, character in GSM.items():
        text = text.replace(septets, character)
    return part, text


async def deliver(esme: smpp34.Esme, event: smpp34.SubmitSmEvent, message_id: int) -> None:
    """The receipt, and the reply of those who reply."""

    async def send(body: bytes, **fields: int) -> None:
        answer = await esme.deliver_sm(
            event.source_addr, body, source_addr=event.destination_addr, **fields
        )
        say(acknowledged=answer.command_status)

    body = f"id:{message_id} sub:001 dlvrd:001 {DATES} stat:DELIVRD err:000 text:"
    await send(body.encode(), esm_class=4)
    number = int(event.destination_addr[-8:])
    if number % 20 == 0:
        await send(b"STOP")
    elif number % 10 == 0:
        await send("退订".encode("utf-16-be"), data_coding=UCS2)


async def serve(port: int) -> None:
    """One session, until it ends."""
    server = smpp34.Server("127.0.0.1", port)
    await server.start()
    say(listening=True)
    esme = await server.next()
    assert isinstance(esme, smpp34.Esme)
    message_id = FIRST_ID
    deliveries: set[asyncio.Task[None]] = set()
    while isinstance(event := await server.next(), smpp34.SubmitSmEvent):
        part, text = text_of(event)
        say(to=event.destination_addr, part=part, text=text)
        event.accept(f"{message_id:X}")
        task = asyncio.create_task(deliver(esme, event, message_id))
        deliveries.add(task)
        task.add_done_callback(deliveries.discard)
        message_id += 1
    say(unbound=True)
    await server.stop()


asyncio.run(serve(int(sys.argv[1])))
