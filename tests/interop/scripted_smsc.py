"""The SMSC behind the proxy: hexadecimal ids, decimal receipts, replies; keeps what it got.

What is refused for now it sends again, as an SMSC does: an ESME that reads slowly, while it
submits all at once, meets the proxy's limit of deliver_sm that wait.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from smpp_bridge.protocol import pdu
from smpp_bridge.protocol.constants import ESM_RECEIPT, CommandStatus
from smpp_bridge.protocol.long_messages import place_of
from smpp_bridge.protocol.text import UCS2_CODING, body_of
from tests.interop.traffic import STOP_EVERY
from tests.support.smsc import Peer, Smsc

FIRST_ID = 0x10C8F40D
DATES = b"submit date:2601010000 done date:2601010001"
RESEND_S = 0.1
RECEIPTS_WANTED = 0x03
"""registered_delivery, SMPP 3.4 §5.2.17."""


@dataclass
class ReportingSmsc(Smsc):
    """What it named and sent beside what it got."""

    ids: list[str] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)

    @property
    def parts(self) -> list[dict[str, Any]]:
        """What it got, as the foreign SMSCs tell it."""
        found = []
        for request in self.submitted:
            place = place_of(request)
            part = 1 if place is None else place.number
            to = request.destination_addr.decode()
            found.append({"to": to, "part": part, "text": body_of(request)})
        return found


class ReportingPeer(Peer):
    """Answers, reports and replies in one go, so that receipts race with answers."""

    _smsc: ReportingSmsc

    def data_received(self, data: bytes) -> None:
        """Octets of the ESME."""
        super().data_received(data)
        answers = self._smsc.acknowledged
        self._smsc.acknowledged = [each for each in answers if each[1] != CommandStatus.RX_T_APPN]
        refused = [request for request, status in answers if status == CommandStatus.RX_T_APPN]
        if refused:
            asyncio.get_running_loop().call_later(RESEND_S, self._resend, refused)

    def _resend(self, refused: list[Any]) -> None:
        for request in refused:
            self.session.send(request, request, 0)
        self.flush()

    def answer(self, request: pdu.SubmitSm | pdu.DataSm) -> None:
        """The answer, then the receipt; then the reply of those who reply."""
        message_id = FIRST_ID + len(self._smsc.ids)
        self._smsc.ids.append(f"{message_id:X}")
        self.session.respond(request, CommandStatus.ROK, self._smsc.ids[-1].encode())
        if request.registered_delivery & RECEIPTS_WANTED:
            body = b"id:%d sub:001 dlvrd:001 %b stat:DELIVRD err:000 text:" % (message_id, DATES)
            self._deliver(request, body, esm_class=ESM_RECEIPT)
        number = int(request.destination_addr[-8:])
        if number % STOP_EVERY == 0:
            self._deliver(request, b"STOP")
        elif number % (STOP_EVERY // 2) == 0:
            self._deliver(request, "退订".encode("utf-16-be"), data_coding=UCS2_CODING)

    def _deliver(self, request: pdu.SubmitSm | pdu.DataSm, body: bytes, **fields: int) -> None:
        self._smsc.sent.append(body)
        deliver = pdu.DeliverSm(
            source_addr=request.destination_addr,
            destination_addr=request.source_addr,
            short_message=body,
            **fields,
        )
        self.session.send(deliver, deliver, 0)
