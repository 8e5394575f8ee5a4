"""rusmppyc as an ESME: esme_rusmppyc.py PORT MESSAGES DELIVERIES; one JSON object per line."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from pathlib import Path
from typing import Any

import rusmppyc

GSM7 = rusmppyc.Encoder.Gsm7BitUnpacked(rusmppyc.Gsm7BitUnpacked.default())
UCS2 = rusmppyc.Encoder.Ucs2(rusmppyc.Ucs2.default())
WINDOW = 8
"""It leaves Nagle's algorithm on, so that one at a time is 25 a second; with many in flight it
loses wakeups."""


def say(**line: object) -> None:
    """Tell the test."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def answered(response: Any) -> None:
    """A submit_sm_resp; another status than ROK would have raised."""
    say(answered=0, id=bytes(response.message_id).rstrip(b"\0").decode())


async def read(client: Any, events: Any, awaited: int, done: asyncio.Event) -> None:
    """Answer deliver_sm; a malformed PDU would be an error event."""
    async for event in events:
        match event:
            case rusmppyc.Event.Incoming(command):
                await client.deliver_sm_resp(command.sequence_number)
                deliver = command.pdu._0
                body = bytes(deliver.short_message)
                is_receipt = body.startswith(b"id:")
                coding = "latin-1" if is_receipt or body == b"STOP" else "utf-16-be"
                say(delivered=body.decode(coding), esm_class=4 if is_receipt else 0)
                awaited -= 1
                if awaited == 0:
                    done.set()
            case rusmppyc.Event.Error(error):
                say(error=str(error))


async def submit(
    client: Any, slots: asyncio.Semaphore, number: int, message: dict[str, str]
) -> None:
    """Send one message, in parts if it is long, and tell the answers."""
    text = message["text"]
    is_gsm = text.isascii() or "€" in text
    common = {
        "source_addr": "10690001",
        "destination_addr": message["to"],
        "registered_delivery": rusmppyc.RegisteredDelivery.request_all(),
    }
    async with slots:
        if len(text) > (160 if is_gsm else 70):
            encoder = GSM7 if is_gsm else UCS2
            for part in client.submit_sm_multipart(
                text, reference=number % 256, encoder=encoder, **common
            ):
                answered(await client.submit_sm(part))
        elif is_gsm:
            answered(await client.submit_sm(client.submit_sm_encode(text, GSM7, **common)))
        else:  # its own encoder refuses what needs a surrogate pair
            octets = text.encode("utf-16-be")
            coding = rusmppyc.DataCoding.Ucs2()
            answered(await client.submit_sm(short_message=octets, data_coding=coding, **common))


async def run(port: int, messages: list[dict[str, str]], deliveries: int) -> None:
    """Everything."""
    url = f"smpp://127.0.0.1:{port}"
    client, events = await rusmppyc.Client.connect(
        url,
        interface_version_check=False,
        # its 2 s would judge the load of the machine
        response_timeout=60_000,
        enquire_link_response_timeout=60_000,
    )
    done = asyncio.Event()
    reading = asyncio.ensure_future(read(client, events, deliveries, done))
    await client.bind_transceiver(
        system_id="shop",
        password="secret",
        interface_version=rusmppyc.InterfaceVersion.Smpp3_4(),
    )
    slots = asyncio.Semaphore(WINDOW)
    await asyncio.gather(
        *(submit(client, slots, number, message) for number, message in enumerate(messages))
    )
    await done.wait()
    reading.cancel()  # the end of the connection is an error to it
    await client.unbind()
    with contextlib.suppress(rusmppyc.ConnectionClosedException):
        await client.close()  # closed by the answer to unbind already
    say(unbound=True)


port, file, deliveries = sys.argv[1:4]
asyncio.run(run(int(port), json.loads(Path(file).read_text("utf-8")), int(deliveries)))
