"""smpplib as an ESME: esme_smpplib.py PORT MESSAGES DELIVERIES; one JSON object per line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import smpplib.client
import smpplib.gsm

WINDOW = 50
"""It has none of its own: without reading in between it would never see an answer."""


def say(**line: object) -> None:
    """Tell the test."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


class Esme:
    """Counts what is due."""

    def __init__(self, port: int, deliveries: int) -> None:
        self.unanswered = 0
        self.awaited = deliveries
        self.client = smpplib.client.Client("127.0.0.1", port, timeout=30)
        self.client.set_message_sent_handler(self.answered)
        self.client.set_message_received_handler(self.delivered)
        # its default raises on an error status, and the answer would be lost
        self.client.set_error_pdu_handler(self.answered)

    def answered(self, pdu: Any) -> None:
        """A submit_sm_resp."""
        self.unanswered -= 1
        say(answered=pdu.status, id=(pdu.message_id or b"").decode())

    def delivered(self, pdu: Any) -> None:
        """A deliver_sm; the library answers it."""
        self.awaited -= 1
        coding = "utf-16-be" if pdu.data_coding == 8 else "latin-1"
        say(delivered=pdu.short_message.decode(coding), esm_class=pdu.esm_class)

    def run(self, messages: list[dict[str, str]]) -> None:
        """Everything."""
        self.client.connect()
        self.client.bind_transceiver(system_id="shop", password="secret")
        for message in messages:
            parts, coding, esm_class = smpplib.gsm.make_parts(message["text"])
            for part in parts:
                self.client.send_message(
                    source_addr="10690001",
                    destination_addr=message["to"],
                    short_message=part,
                    data_coding=coding,
                    esm_class=esm_class,
                    registered_delivery=1,
                )
                self.unanswered += 1
                while self.unanswered >= WINDOW:
                    self.client.read_once()
        while self.unanswered or self.awaited:
            self.client.read_once()
        self.client.unbind()
        self.client.disconnect()
        say(unbound=True)


Esme(int(sys.argv[1]), int(sys.argv[3])).run(json.loads(Path(sys.argv[2]).read_text("utf-8")))
