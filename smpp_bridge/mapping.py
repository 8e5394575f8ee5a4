"""SMPP PDUs ⇄ events. Pure: time and secrets come as arguments; numbers leave as tokens."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import Any, Final

import msgspec
import phonenumbers
from msgspec import UNSET

from schemas.events import (
    ConnectionGroup,
    InboundReceived,
    MessageRequested,
    MessageSubmitted,
    ReceiptReceived,
    SubmitOutcome,
)
from schemas.subject import Tokenizer
from smpp_bridge.configuration import Addressing
from smpp_bridge.protocol import constants
from smpp_bridge.protocol.codec import check
from smpp_bridge.protocol.constants import CommandStatus
from smpp_bridge.protocol.keywords import Reply, classify_part, classify_reply
from smpp_bridge.protocol.long_messages import place_of
from smpp_bridge.protocol.pdu import DataSm, DeliverSm, Message, MessageResp, Pdu, SubmitSm
from smpp_bridge.protocol.receipts import ReceiptRules, body_of, candidates_of, parse_receipt
from smpp_bridge.protocol.text import UCS2_CODING, AnyEncoding, encode_text

HOUR_MS: Final = 3_600_000
_MOBILE: Final = frozenset(
    {phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE}
)
_PLAIN: Final = Addressing()
_MAX_ADDRESS: Final = 64
"""Octets of an address that are kept; SMPP has none longer (§4.7.1), and 64 KiB are possible."""
_MAX_VALIDITY_S: Final = 99 * 24 * 3600
"""Relative validity has two digits for days when years and months stay zero."""


class UnreadableAddress(ValueError):  # noqa: N818 - it names the data, not a failure of ours
    """A source address that is no phone number: nobody to attribute the event to."""


class Part(msgspec.Struct, frozen=True, gc=False):
    """One submit_sm of a request."""

    event_id: str
    """Of its result; stable across retries, so that duplicates are recognised."""
    request: MessageRequested
    submit_sm: SubmitSm
    encoding: str
    number: int
    total: int

    def submit_at(self, now_ms: int) -> SubmitSm:
        """The PDU to send now: its relative validity shrinks while it waits."""
        if self.request.expires_at_ms is None:
            return self.submit_sm
        validity = _validity(self.request.expires_at_ms, now_ms)
        return msgspec.structs.replace(self.submit_sm, validity_period=validity)


def parts_of(
    request: MessageRequested,
    addressing: Addressing = _PLAIN,
    default_encoding: AnyEncoding = "gsm7",
) -> list[Part]:
    """The submit_sm PDUs of a request.

    Raises:
        ValueError: If an address or the text does not fit into SMPP.
    """
    reference = hashlib.blake2b(request.message_id.encode(), digest_size=1).digest()[0]
    encoded = encode_text(request.text, reference=reference, default=default_encoding)
    source_ton, source_npi = _sender_type(request.source_addr, addressing)
    dest_ton, dest_npi = addressing.dest_addr_ton, addressing.dest_addr_npi
    bodies = encoded.parts
    parts = [
        Part(
            f"{request.message_id}/{number}",
            request,
            SubmitSm(
                service_type=addressing.service_type.encode("ascii"),
                source_addr_ton=source_ton,
                source_addr_npi=source_npi,
                source_addr=request.source_addr.encode("latin-1"),
                dest_addr_ton=constants.TON_INTERNATIONAL if dest_ton is None else dest_ton,
                dest_addr_npi=constants.NPI_ISDN if dest_npi is None else dest_npi,
                destination_addr=request.destination.encode("ascii"),
                esm_class=constants.ESM_UDHI if encoded.has_udh else constants.ESM_DEFAULT,
                registered_delivery=1,
                data_coding=encoded.data_coding,
                short_message=body,
            ),
            encoded.encoding,
            number,
            len(bodies),
        )
        for number, body in enumerate(bodies, 1)
    ]
    check(parts[0].submit_sm)  # raises here, where it is one dead letter, and not at the socket
    return parts


def submitted(
    part: Part,
    *,
    connection: str,
    connection_group: ConnectionGroup = UNSET,
    outcome: SubmitOutcome,
    now_ms: int,
    smsc_message_id: str | None = None,
    command_status: int | None = None,
    latency_s: float | None = None,
    may_duplicate: bool = False,
    is_first: bool = True,
) -> MessageSubmitted:
    """A result of one part. A later one (a late answer, a second copy's) is another fact."""
    event_id = part.event_id
    if not is_first:
        event_id = f"{event_id}/{smsc_message_id or command_status}"
    return MessageSubmitted(
        event_id=event_id,
        occurred_at_ms=now_ms,
        subject=part.request.subject,
        message_id=part.request.message_id,
        connection=connection,
        connection_group=connection_group,
        source_addr=part.request.source_addr,
        outcome=outcome,
        command_status=command_status,
        smsc_message_id=smsc_message_id,
        part=part.number,
        parts=part.total,
        encoding=part.encoding,
        latency_ms=None if latency_s is None else round(latency_s * 1000),
        campaign_id=part.request.campaign_id,
        variant_id=part.request.variant_id,
        may_duplicate=may_duplicate,
    )


def refused(
    request: MessageRequested,
    *,
    connection: str,
    connection_group: ConnectionGroup = UNSET,
    now_ms: int,
) -> MessageSubmitted:
    """The result of a request that does not fit into SMPP: nothing was sent, nothing will be."""
    return MessageSubmitted(
        event_id=f"{request.message_id}/1",
        occurred_at_ms=now_ms,
        subject=request.subject,
        message_id=request.message_id,
        connection=connection,
        connection_group=connection_group,
        source_addr=request.source_addr,
        outcome="rejected",
        campaign_id=request.campaign_id,
        variant_id=request.variant_id,
    )


def outcome_of(response: Pdu) -> SubmitOutcome:
    """ROK is acceptance, everything else a rejection; ROK in a PDU that accepts nothing is odd."""
    if response.command_status != CommandStatus.ROK:
        return "rejected"
    return "accepted" if isinstance(response, MessageResp) else "unknown"


def received(
    request: DeliverSm | DataSm,
    *,
    connection: str,
    connection_group: ConnectionGroup = UNSET,
    tokenizer: Tokenizer,
    rules: ReceiptRules,
    default_region: str,
    default_encoding: AnyEncoding = "gsm7",
    now_ms: int,
) -> ReceiptReceived | InboundReceived:
    """The event of a deliver_sm or data_sm. `Replies.take` has more to say of a part.

    Raises:
        UnreadableAddress: If its source address is no phone number.
    """
    subject = tokenizer.token(
        msisdn_of(request.source_addr, default_region, request.source_addr_ton)
    )
    name = fingerprint(
        request, connection_group if isinstance(connection_group, str) else connection
    )
    receipt = parse_receipt(request, rules)
    if receipt is None:
        return _inbound(request, name, connection, subject, default_encoding, now_ms)
    return ReceiptReceived(
        event_id=name,
        occurred_at_ms=now_ms,
        subject=subject,
        connection=connection,
        connection_group=connection_group,
        smsc_message_id=receipt.message_id,
        candidates=candidates_of(receipt.message_id, receipt.other_id),
        raw_state=receipt.raw_state,
        state=receipt.state,  # type: ignore[arg-type] # the parser's table holds only these
        is_final=receipt.is_final,
        err=receipt.err,
        submitted_at_ms=receipt.submitted_at_ms,
        done_at_ms=receipt.done_at_ms,
        source=receipt.source,
    )


def msisdn_of(address: bytes, default_region: str = "", ton: int = constants.TON_UNKNOWN) -> str:
    """E.164 digits of an address. Fast for what is already international.

    Args:
        address: As it stands in the PDU.
        default_region: Country of national numbers; "" when there are none.
        ton: TON of the address (SMPP 3.4 §5.2.5): international is never national.

    Raises:
        UnreadableAddress: If it is no phone number.
    """
    digits = address.decode("latin-1").strip()
    if digits.startswith("+"):
        digits = digits[1:]
    elif digits.startswith("00"):
        digits = digits[2:]
    elif default_region and ton != constants.TON_INTERNATIONAL:
        return _read_in(default_region, digits, ton)
    if not (digits.isascii() and digits.isdigit() and 7 <= len(digits) <= 15) or digits[0] == "0":
        raise UnreadableAddress(f"source_addr has {len(address)} octets, must be E.164 digits.")
    return digits


def _read_in(region: str, digits: str, ton: int) -> str:
    """A mobile of the region first: 13012345678 is one of China, and a number in Maryland.

    What is none may be international without saying so; then any number of the region.
    """
    try:
        number = phonenumbers.parse(digits, region)
    except phonenumbers.NumberParseException as error:
        raise UnreadableAddress(f"source_addr is no number of {region}.") from error
    if ton != constants.TON_NATIONAL and not _is_mobile(number):
        with suppress(phonenumbers.NumberParseException):
            worldwide = phonenumbers.parse(f"+{digits}")
            number = worldwide if phonenumbers.is_valid_number(worldwide) else number
    found = f"{number.country_code}{phonenumbers.national_significant_number(number)}"
    if not 7 <= len(found) <= 15:
        raise UnreadableAddress(f"source_addr is no number of {region}.")
    return found


def _is_mobile(number: phonenumbers.PhoneNumber) -> bool:
    """Only mobiles write and receive; `number_type` knows none of an invalid number."""
    return phonenumbers.number_type(number) in _MOBILE


def words_of(reply: Reply) -> dict[str, Any]:
    """The fields of an event that tell what a reply asks for."""
    return {
        "keyword": reply.keyword,
        "is_opt_out": reply.wish == "opt_out",
        "is_opt_in": reply.wish == "opt_in",
        "is_help": reply.wish == "help",
        "language": reply.language,
    }


def _inbound(
    request: DeliverSm | DataSm,
    name: str,
    connection: str,
    subject: str,
    default_encoding: AnyEncoding,
    now_ms: int,
) -> InboundReceived:
    place = place_of(request)
    text = body_of(request, default_encoding)
    reply = classify_reply(text) if place is None else classify_part(text, place.number)
    return InboundReceived(
        # the hour keeps the same word of another day apart from the operator's resend
        event_id=f"{name}-{now_ms // HOUR_MS}",
        occurred_at_ms=now_ms,
        subject=subject,
        connection=connection,
        destination_addr=request.destination_addr[:_MAX_ADDRESS].decode("latin-1"),
        part=0 if place is None else place.number,
        parts=1 if place is None else place.total,
        encoding="ucs2" if request.data_coding == UCS2_CODING else "gsm7",
        **words_of(reply),
    )


def fingerprint(request: Message | DataSm, group: str) -> str:
    """The same for every resend of the same PDU, whatever its sequence_number.

    `group`: of the connection, which is its own name where it has none.
    """
    body = request.short_message if isinstance(request, Message) else b""
    digest = hashlib.blake2b(group.encode(), digest_size=16)
    for octets in (request.source_addr, request.destination_addr, body):
        digest.update(len(octets).to_bytes(4, "big") + octets)
    for tag, value in request.tlvs:
        digest.update(tag.to_bytes(2, "big") + len(value).to_bytes(4, "big") + value)
    return digest.hexdigest()


def _sender_type(address: str, addressing: Addressing) -> tuple[int, int]:
    if not address.isdigit():
        return constants.TON_ALPHANUMERIC, constants.NPI_UNKNOWN
    ton, npi = addressing.source_addr_ton, addressing.source_addr_npi
    return constants.TON_UNKNOWN if ton is None else ton, constants.NPI_ISDN if npi is None else npi


def _validity(expires_at_ms: int, now_ms: int) -> bytes:
    """Relative time YYMMDDhhmmss000R (SMPP 3.4 §7.1.1.2), so no clocks need to agree."""
    seconds = min(max(1, (expires_at_ms - now_ms) // 1000), _MAX_VALIDITY_S)
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    day, hour = divmod(hours, 24)
    return b"0000%02d%02d%02d%02d000R" % (day, hour, minute, second)
