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


async def run(port: int, messages: list[dict[str, str]], deliveries: int) -> None:
    """Everything, one submit_sm at a time: with more in flight it loses wakeups."""
    url = f"smpp://127.0.0.1:{port}"
    client, events = await rusmppyc.Client.connect(url, interface_version_check=False)
    done = asyncio.Event()
    reading = asyncio.ensure_future(read(client, events, deliveries, done))
    await client.bind_transceiver(
        system_id="shop",
        password="secret",
        interface_version=rusmppyc.InterfaceVersion.Smpp3_4(),
    )
    for number, message in enumerate(messages):
        is_gsm = message["text"].isascii() or "€" in message["text"]
        text = message["text"]
        common = {
            "source_addr": "10690001",
            "destination_addr": message["to"],
            "registered_delivery": rusmppyc.RegisteredDelivery.request_all(),
        }
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
    await done.wait()
    reading.cancel()  # the end of the connection is an error to it
    await client.unbind()
    with contextlib.suppress(rusmppyc.ConnectionClosedException):
        await client.close()  # closed by the answer to unbind already
    say(unbound=True)


port, file, deliveries = sys.argv[1:4]
asyncio.run(run(int(port), json.loads(Path(file).read_text("utf-8")), int(deliveries)))
