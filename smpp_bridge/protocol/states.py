"""Who may send what in which state: the operation matrix of SMPP 3.4 §2.3 as one table."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Literal

from smpp_bridge.protocol.constants import CommandId, CommandStatus

Role = Literal["esme", "smsc"]


class SessionState(StrEnum):
    """SMPP 3.4 §2.2; UNBINDING is ours: unbind was sent or received, answers are still due."""

    OPEN = "OPEN"
    BOUND_TX = "BOUND_TX"
    BOUND_RX = "BOUND_RX"
    BOUND_TRX = "BOUND_TRX"
    UNBINDING = "UNBINDING"
    CLOSED = "CLOSED"


_OPEN: Final = frozenset({SessionState.OPEN})
_TRANSMITS: Final = frozenset({SessionState.BOUND_TX, SessionState.BOUND_TRX})
_RECEIVES: Final = frozenset({SessionState.BOUND_RX, SessionState.BOUND_TRX})
BOUND: Final = _TRANSMITS | _RECEIVES
_CONNECTED: Final = BOUND | {SessionState.OPEN, SessionState.UNBINDING}

ALLOWED: Final[dict[CommandId, dict[Role, frozenset[SessionState]]]] = {
    CommandId.BIND_TRANSMITTER: {"esme": _OPEN},
    CommandId.BIND_RECEIVER: {"esme": _OPEN},
    CommandId.BIND_TRANSCEIVER: {"esme": _OPEN},
    CommandId.OUTBIND: {"smsc": _OPEN},
    CommandId.SUBMIT_SM: {"esme": _TRANSMITS},
    CommandId.QUERY_SM: {"esme": _TRANSMITS},
    CommandId.CANCEL_SM: {"esme": _TRANSMITS},
    CommandId.REPLACE_SM: {"esme": _TRANSMITS},
    CommandId.DATA_SM: {"esme": _TRANSMITS, "smsc": _RECEIVES},
    CommandId.DELIVER_SM: {"smsc": _RECEIVES},
    CommandId.ALERT_NOTIFICATION: {"smsc": _RECEIVES},
    CommandId.UNBIND: {"esme": BOUND, "smsc": BOUND},
    CommandId.ENQUIRE_LINK: {"esme": _CONNECTED, "smsc": _CONNECTED},
}
"""Request → who may issue it → in which states. Link checks in OPEN are 5.0, and common."""

BOUND_BY: Final[dict[CommandId, SessionState]] = {
    CommandId.BIND_TRANSMITTER: SessionState.BOUND_TX,
    CommandId.BIND_RECEIVER: SessionState.BOUND_RX,
    CommandId.BIND_TRANSCEIVER: SessionState.BOUND_TRX,
}
"""Bind request → state after an answer with ROK."""


BUSY: Final[dict[Role, CommandStatus]] = {
    "esme": CommandStatus.RX_T_APPN,
    "smsc": CommandStatus.RMSGQFUL,
}
"""How a side that is about to unbind refuses new work, so that it comes again later."""
NOT_SERVED: Final[dict[CommandId, CommandStatus]] = {
    CommandId.QUERY_SM: CommandStatus.RQUERYFAIL,
    CommandId.CANCEL_SM: CommandStatus.RCANCELFAIL,
    CommandId.REPLACE_SM: CommandStatus.RREPLACEFAIL,
}
"""Refusal of a request that this side does not serve; any other gets RINVCMDID."""


def wrong_state_status(command_id: int, state: SessionState) -> CommandStatus:
    """How a request is refused that the matrix forbids: a second bind has its own status."""
    is_bound = state in BOUND or state is SessionState.UNBINDING
    if command_id in BOUND_BY and is_bound:
        return CommandStatus.RALYBND
    return CommandStatus.RINVBNDSTS


def _requests(role: Role, state: SessionState) -> frozenset[int]:
    """What was sent before the peer saw our unbind is still good, so UNBINDING is as bound."""
    states = BOUND if state is SessionState.UNBINDING else {state}
    return frozenset(
        int(command_id)
        for command_id, by_role in ALLOWED.items()
        if states & by_role.get(role, frozenset())
    )


MAY_ISSUE: Final[dict[tuple[Role, SessionState], frozenset[int]]] = {
    (role, state): _requests(role, state) for role in ("esme", "smsc") for state in SessionState
}
"""`ALLOWED` the other way round: (role, state) → the command_ids that may be issued."""


def may_issue(role: Role, command_id: int, state: SessionState) -> bool:
    """Whether `role` may issue this request in this state."""
    return command_id in MAY_ISSUE[role, state]
