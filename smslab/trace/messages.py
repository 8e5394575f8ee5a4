"""The PDUs of one message, and what a dry run would send: the session's own octets. Pure."""

from __future__ import annotations

import re
from typing import Final

from smpp_bridge.client import addressed
from smpp_bridge.protocol import pdu
from smpp_bridge.protocol.codec import RESPONSES, encode
from smpp_bridge.protocol.constants import CommandStatus
from smpp_bridge.protocol.framing import FrameBuffer
from smpp_bridge.protocol.long_messages import messages_of
from smpp_bridge.protocol.session import Session
from smslab.trace.model import Message, Target

_MOST_DIGITS: Final = 20
"""§5.2.9, less the NUL; E.164 numbers have at most 15."""


def digits_of(number: str) -> str:
    """A phone number as people write it → its digits, as submit_sm wants them.

    Raises:
        ValueError: If it is none; the message does not repeat it.

    Examples:
        >>> digits_of("+86 138-0000-0001")
        '8613800000001'
    """
    bare = re.sub(r"[\s().-]", "", number).removeprefix("+")
    if not bare.isascii() or not bare.isdigit() or len(bare) > _MOST_DIGITS:
        raise ValueError(
            "must be a phone number: digits, with the country code, e.g. 8613800000001"
        )
    if bare.startswith("00"):
        raise ValueError("must be international without 00, e.g. 8613800000001")
    return bare


def parts_of(message: Message, reference: int) -> list[pdu.SubmitSm]:
    """One submit_sm per part.

    Raises:
        ValueError: If sender or text do not fit into SMPP.
    """
    template = addressed(message.sender, message.to, wants_receipt=message.wants_receipt)
    parts = messages_of(template, message.text, reference=reference, encoding=message.encoding)
    for part in parts:
        encode(part)  # limits of the fields, before anything is sent
    return parts


def would_send(target: Target, parts: list[pdu.SubmitSm]) -> list[bytes]:
    """The octets that a session with an SMSC which answers everything would send.

    Raises:
        ValueError: If a field breaks its limit.
    """
    session = Session("esme", now=0, window=max(len(parts), 1))
    session.bind(target.bind_request)
    frames = FrameBuffer().feed(session.data_to_send())
    bound = RESPONSES[type(target.bind_request)](command_status=CommandStatus.ROK)
    session.receive_data(encode(bound, 1), 0)
    sequences = [session.send(part, None, 0) for part in parts]
    frames += FrameBuffer().feed(session.data_to_send())
    for sequence in sequences:
        session.receive_data(encode(pdu.SubmitSmResp(message_id=b"1"), sequence), 0)
    session.unbind()
    return frames + FrameBuffer().feed(session.data_to_send())
