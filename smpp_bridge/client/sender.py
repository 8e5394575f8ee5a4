"""What a client asks of an SMSC: to send a message, and to tell, take back or change one.

The examples have a bound `connection`; how to get one, and an SMSC to try it with, is in
docs/client.md.
"""

from __future__ import annotations

import itertools
import time
from typing import TypeVar

from smpp_bridge.client.errors import NotAnswered, Refused, SubmitRefused, WrongAnswer
from smpp_bridge.client.link import BlockingLink
from smpp_bridge.client.results import (
    MessageStatus,
    addressed,
    destination_of,
    source_of,
    status_of,
)
from smpp_bridge.protocol import pdu
from smpp_bridge.protocol.constants import CommandStatus, Tag
from smpp_bridge.protocol.long_messages import messages_of
from smpp_bridge.protocol.meanings import command_name
from smpp_bridge.protocol.text import CODINGS, Encoding, encoding_of, octets_of

_A = TypeVar("_A", bound=pdu.Pdu)


class Sender:
    """The requests of an ESME that transmits, one call each."""

    def __init__(self, link: BlockingLink, timeout_s: float) -> None:
        self._link = link
        self._timeout_s = timeout_s
        self._references = itertools.count(time.time_ns() & 0xFF)

    def submit_sm(
        self,
        *,
        source_addr: str,
        dest_addr: str,
        short_message: str,
        wants_receipt: bool = True,
        encoding: Encoding | None = None,
    ) -> list[str]:
        """Send a text in as many parts as it needs; returns the SMSC's id of each part.

        Raises:
            SubmitRefused: If the SMSC refuses a part.
            NotAnswered: If a part stays unanswered; it may have been sent.
            ConnectionLost: If the connection ends before the answers.
            ValueError: If an address or the text does not fit into SMPP, or we are a receiver.

        Examples:
            >>> connection.submit_sm(
            ...     source_addr="10690001", dest_addr="8613800000001", short_message="Hello"
            ... )
            ['1']
        """
        template = addressed(source_addr, dest_addr, wants_receipt=wants_receipt)
        parts = messages_of(
            template, short_message, reference=next(self._references), encoding=encoding
        )
        return self._message_ids(self._link.ask(parts))

    def data_sm(
        self,
        *,
        source_addr: str,
        dest_addr: str,
        message_payload: str,
        wants_receipt: bool = True,
        encoding: Encoding | None = None,
    ) -> str:
        """Send a text of any length as one data_sm; the SMSC cuts it. Returns the SMSC's id.

        Raises:
            Refused: If the SMSC refuses it; many know no data_sm.
            NotAnswered: If it stays unanswered; it may have been sent.
            ConnectionLost: If the connection ends before the answer.
            ValueError: If it does not fit into SMPP (65,535 octets), or the peer speaks 3.3.

        Examples:
            >>> connection.data_sm(
            ...     source_addr="10690001", dest_addr="8613800000001", message_payload="a" * 500
            ... )
            '1'
        """
        encoding = encoding or encoding_of(message_payload)
        request = pdu.DataSm(
            **source_of(source_addr),  # type: ignore[arg-type] # fields by name
            **destination_of(dest_addr),  # type: ignore[arg-type]
            registered_delivery=int(wants_receipt),
            data_coding=CODINGS[encoding],
            tlvs=((Tag.MESSAGE_PAYLOAD, octets_of(message_payload, encoding)),),
        )
        return self._ask(request, pdu.DataSmResp).message_id.decode("latin-1")

    def query_sm(self, message_id: str, *, source_addr: str) -> MessageStatus:
        """Ask for the state of a message; `source_addr` is that of its submit_sm.

        Raises:
            Refused: If the SMSC refuses; many answer no query_sm.
            NotAnswered: If it stays unanswered.
            ConnectionLost: If the connection ends before the answer.
            ValueError: If a field does not fit into SMPP, or we are a receiver.

        Examples:
            >>> [message_id] = connection.submit_sm(
            ...     source_addr="10690001", dest_addr="8613800000001", short_message="Hello"
            ... )
            >>> connection.query_sm(message_id, source_addr="10690001").message_state
            'ENROUTE'
        """
        request = pdu.QuerySm(
            message_id=message_id.encode("latin-1"),
            **source_of(source_addr),  # type: ignore[arg-type]
        )
        return status_of(message_id, self._ask(request, pdu.QuerySmResp))

    def cancel_sm(self, message_id: str = "", *, source_addr: str, dest_addr: str = "") -> None:
        """Take back a message that is not delivered; without its id all from source to dest.

        Raises:
            Refused: If it is too late, or the SMSC refuses for another reason.
            NotAnswered: If it stays unanswered.
            ConnectionLost: If the connection ends before the answer.
            ValueError: If neither id nor destination is given, or we are a receiver.

        Examples:
            >>> [message_id] = connection.submit_sm(
            ...     source_addr="10690001", dest_addr="8613800000001", short_message="Hello"
            ... )
            >>> connection.cancel_sm(message_id, source_addr="10690001")
            >>> connection.query_sm(message_id, source_addr="10690001").message_state
            'DELETED'
        """
        if not (message_id or dest_addr):
            raise ValueError("message_id and dest_addr are empty, one of them must be given.")
        request = pdu.CancelSm(
            message_id=message_id.encode("latin-1"),
            **source_of(source_addr),  # type: ignore[arg-type]
            **(destination_of(dest_addr) if dest_addr else {}),  # type: ignore[arg-type]
        )
        self._ask(request, pdu.CancelSmResp)

    def replace_sm(
        self,
        message_id: str,
        *,
        source_addr: str,
        short_message: str,
        wants_receipt: bool = True,
        encoding: Encoding | None = None,
    ) -> None:
        """Give a message that is not delivered another text.

        replace_sm has no data_coding (SMPP 3.4 §4.10): `encoding` must be the first text's.

        Raises:
            Refused: If it is too late, or the SMSC refuses for another reason.
            NotAnswered: If it stays unanswered.
            ConnectionLost: If the connection ends before the answer.
            ValueError: If the text is longer than 254 octets, or we are a receiver.

        Examples:
            >>> [message_id] = connection.submit_sm(
            ...     source_addr="10690001", dest_addr="8613800000001", short_message="Helo"
            ... )
            >>> connection.replace_sm(message_id, source_addr="10690001", short_message="Hello")
        """
        request = pdu.ReplaceSm(
            message_id=message_id.encode("latin-1"),
            **source_of(source_addr),  # type: ignore[arg-type]
            registered_delivery=int(wants_receipt),
            short_message=octets_of(short_message, encoding or encoding_of(short_message)),
        )
        self._ask(request, pdu.ReplaceSmResp)

    def _ask(self, request: pdu.Request, expected: type[_A]) -> _A:
        command = command_name(request.command_id)
        (answer,) = self._link.ask([request])
        if answer is None:
            raise NotAnswered(f"{command} was not answered within {self._timeout_s:g} s.")
        if answer.command_status != CommandStatus.ROK:
            raise Refused(command, answer.command_status)
        if not isinstance(answer, expected):
            raise WrongAnswer(command, answer.command_id)
        return answer

    def _message_ids(self, answers: list[pdu.Pdu | None]) -> list[str]:
        ids = [
            answer.message_id.decode("latin-1")
            for answer in answers
            if isinstance(answer, pdu.SubmitSmResp) and answer.command_status == CommandStatus.ROK
        ]
        for answer in answers:
            if answer is not None and answer.command_status != CommandStatus.ROK:
                raise SubmitRefused(answer.command_status, ids)
        if None in answers:
            raise NotAnswered(f"submit_sm was not answered within {self._timeout_s:g} s.")
        return ids
