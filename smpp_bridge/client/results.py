"""What a client sends and gets, as values. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from smpp_bridge.protocol import constants, pdu
from smpp_bridge.protocol.long_messages import Joined
from smpp_bridge.protocol.message_states import STATES, ReceiptRules
from smpp_bridge.protocol.receipt_dates import date_ms
from smpp_bridge.protocol.receipts import Receipt


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message from a phone, or a receipt (then `receipt` is there). Long messages are joined."""

    source_addr: str
    dest_addr: str
    text: str
    receipt: Receipt | None


@dataclass(frozen=True, slots=True)
class MessageStatus:
    """What query_sm tells of a message (SMPP 3.4 §4.8.2)."""

    message_id: str
    message_state: str
    """By name: `ENROUTE`, `DELIVERED`, …; a number that SMPP does not know is `UNKNOWN`."""
    is_final: bool | None
    """Whether the state can still change; `None` where operators disagree."""
    final_at_ms: int | None
    """When it became final, Unix ms; a date without zone is taken for UTC."""
    error_code: int
    """Of the network, as the operator counts; 0 when there is none."""


def status_of(message_id: str, answer: pdu.QuerySmResp) -> MessageStatus:
    """The answer to query_sm in words.

    Examples:
        >>> answer = pdu.QuerySmResp(message_state=2, final_date=b"250101120000000+")
        >>> status_of("7F", answer)
        MessageStatus(message_id='7F', message_state='DELIVERED', is_final=True,
                      final_at_ms=1735732800000, error_code=0)
    """
    number = answer.message_state
    state = STATES[number] if number < len(STATES) else "UNKNOWN"
    return MessageStatus(
        message_id=answer.message_id.decode("latin-1") or message_id,
        message_state=state,
        is_final=ReceiptRules().is_final(state),
        final_at_ms=date_ms(answer.final_date.decode("latin-1")),
        error_code=answer.error_code,
    )


def source_of(address: str) -> dict[str, int | bytes]:
    """Source address fields: a number of unknown type, or letters."""
    is_number = address.lstrip("+").isdigit()
    return {
        "source_addr_ton": constants.TON_UNKNOWN if is_number else constants.TON_ALPHANUMERIC,
        "source_addr_npi": constants.NPI_ISDN if is_number else constants.NPI_UNKNOWN,
        "source_addr": address.encode("latin-1"),
    }


def destination_of(address: str) -> dict[str, int | bytes]:
    """Destination address fields: an international number."""
    return {
        "dest_addr_ton": constants.TON_INTERNATIONAL,
        "dest_addr_npi": constants.NPI_ISDN,
        "destination_addr": address.lstrip("+").encode("ascii"),
    }


def addressed(source_addr: str, dest_addr: str, *, wants_receipt: bool) -> pdu.SubmitSm:
    """A submit_sm without text; a sender that is no number is alphanumeric (§5.2.5)."""
    return pdu.SubmitSm(
        **source_of(source_addr),  # type: ignore[arg-type] # fields by name
        **destination_of(dest_addr),  # type: ignore[arg-type]
        registered_delivery=int(wants_receipt),
    )


def delivery_of(joined: Joined, receipt: Receipt | None = None) -> Delivery:
    """What a caller gets of a deliver_sm or data_sm."""
    request = joined.requests[0]
    return Delivery(
        source_addr=request.source_addr.decode("latin-1"),
        dest_addr=request.destination_addr.decode("latin-1"),
        text=joined.text,
        receipt=receipt,
    )
