"""What is traced, what a step is, and how a trace ends. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

from runtime.process import ExitCode
from smpp_bridge.protocol import pdu
from smpp_bridge.protocol.text import Encoding
from smpp_bridge.wire import Direction, Tls

BindKind = Literal["transceiver", "transmitter", "receiver"]
StepName = Literal["connect", "tls", "bind", "submit", "answer", "receipt", "unbind"]
Outcome = Literal[
    "delivered",
    "accepted",
    "bound",
    "undelivered",
    "rejected",
    "throttled",
    "not answered",
    "no receipt",
    "bind refused",
    "connection lost",
    "unreachable",
    "interrupted",
]
BINDS: Final[Mapping[BindKind, type[pdu.Bind]]] = MappingProxyType(
    {
        "transceiver": pdu.BindTransceiver,
        "transmitter": pdu.BindTransmitter,
        "receiver": pdu.BindReceiver,
    }
)


class End(NamedTuple):
    """What an outcome says and the exit code of it."""

    code: ExitCode
    sentence: str


ENDS: Final[Mapping[Outcome, End]] = MappingProxyType(
    {
        "delivered": End(ExitCode.DONE, "every part was accepted and delivered"),
        "accepted": End(ExitCode.DONE, "every part was accepted; no receipt was asked for"),
        "bound": End(ExitCode.DONE, "the bind works; nothing was sent, since no --to was given"),
        "undelivered": End(ExitCode.ANSWER_IS_NO, "accepted by the SMSC, but not delivered"),
        "rejected": End(ExitCode.ANSWER_IS_NO, "the SMSC refused the message"),
        "throttled": End(ExitCode.ANSWER_IS_NO, "the SMSC wants less at a time"),
        "not answered": End(
            ExitCode.ANSWER_IS_NO, "the SMSC did not answer; it may have the message"
        ),
        "no receipt": End(ExitCode.ANSWER_IS_NO, "accepted by the SMSC, but no final receipt came"),
        "bind refused": End(ExitCode.ANSWER_IS_NO, "the SMSC refused the bind"),
        "connection lost": End(
            ExitCode.DEPENDENCY_UNREACHABLE, "the connection ended too early; see above"
        ),
        "interrupted": End(
            ExitCode.ANSWER_IS_NO, "stopped by Ctrl-C; what was submitted may be on its way"
        ),
        "unreachable": End(ExitCode.DEPENDENCY_UNREACHABLE, "there is no session with the SMSC"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The SMSC and the account. `password_setting`: where the password comes from, for people."""

    host: str
    port: int
    system_id: str
    password: str = field(repr=False)
    password_setting: str
    system_type: str = ""
    bind: BindKind = "transceiver"
    tls: Tls | None = None
    timeout_s: float = 30.0
    """To wait for the connection, for each answer and for the receipts."""
    window: int = 10

    @property
    def bind_request(self) -> pdu.Bind:
        """The bind, in any kind."""
        return BINDS[self.bind](
            system_id=self.system_id.encode(),
            password=self.password.encode(),
            system_type=self.system_type.encode(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """The one message. `to` in digits; `encoding` None: by the text."""

    sender: str
    to: str = field(repr=False)
    text: str = field(repr=False)
    encoding: Encoding | None = None
    wants_receipt: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One line of a trace; seconds since the start and of this step alone.

    An answer and a receipt took the time since the submit_sm of their part.
    """

    name: StepName
    is_ok: bool
    at_s: float
    took_s: float
    part: int | None = None
    facts: Mapping[str, str | int | bool | None]
    problem: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Frame:
    """One PDU as it stood on the wire."""

    direction: Direction
    octets: bytes
    at_s: float
