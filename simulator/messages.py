"""What the operator makes of a submit_sm: the joined text, the receipt, the reply. Pure."""

from __future__ import annotations

import time

from smpp_bridge.protocol import constants
from smpp_bridge.protocol.pdu import DataSm, DeliverSm, SubmitSm
from smpp_bridge.protocol.text import concatenation_of, decode_text, encode_text, split_udh


class Assembler:
    """Joins the parts of long messages."""

    def __init__(self) -> None:
        self._parts: dict[tuple[bytes, bytes, int], dict[int, bytes]] = {}

    def add(self, request: SubmitSm) -> str | None:
        """The whole text once its last part is here."""
        if not request.esm_class & constants.ESM_UDHI:
            return decode_text(request.short_message, request.data_coding)
        header, body = split_udh(request.short_message)
        place = concatenation_of(header)
        if place is None:
            return decode_text(body, request.data_coding)
        reference, total, number = place
        key = (request.source_addr, request.destination_addr, reference)
        parts = self._parts.setdefault(key, {})
        parts[number] = body
        if len(parts) < total:
            return None
        del self._parts[key]
        return "".join(decode_text(parts[n], request.data_coding) for n in sorted(parts))


def receipt_sm(
    request: SubmitSm | DataSm, message_id: str, *, now_s: float, is_delivered: bool, err: str
) -> DeliverSm:
    """The receipt as in SMPP 3.4 Appendix B. `now_s`: Unix seconds."""
    day = time.strftime("%y%m%d%H%M%S", time.gmtime(now_s))
    state = "DELIVRD" if is_delivered else "UNDELIV"
    code = "000" if is_delivered else err
    text = (
        f"id:{message_id} sub:001 dlvrd:{int(is_delivered):03d} submit date:{day} done date:{day} "
        f"stat:{state} err:{code} text:"
    )
    return DeliverSm(
        source_addr_ton=request.dest_addr_ton,
        source_addr_npi=request.dest_addr_npi,
        source_addr=request.destination_addr,
        dest_addr_ton=request.source_addr_ton,
        dest_addr_npi=request.source_addr_npi,
        destination_addr=request.source_addr,
        esm_class=constants.ESM_RECEIPT,
        short_message=text.encode("ascii"),
    )


def reply_sm(request: SubmitSm, text: str) -> DeliverSm:
    """A reply of the recipient."""
    encoded = encode_text(text)
    return DeliverSm(
        source_addr_ton=request.dest_addr_ton,
        source_addr_npi=request.dest_addr_npi,
        source_addr=request.destination_addr,
        dest_addr_ton=request.source_addr_ton,
        dest_addr_npi=request.source_addr_npi,
        destination_addr=request.source_addr,
        data_coding=encoded.data_coding,
        short_message=encoded.parts[0],
    )
