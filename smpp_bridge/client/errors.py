"""What can go wrong between a client and an SMSC."""

from __future__ import annotations

from smpp_bridge.protocol.meanings import command_name, status_meaning, status_name


class SmppError(Exception):
    """What can go wrong between us and an SMSC."""


class Refused(SmppError):  # noqa: N818 - it names what happened
    """The SMSC refused a request: `command`, `command_status` and its name `status` say why."""

    def __init__(self, command: str, command_status: int) -> None:
        self.command = command
        self.command_status = command_status
        self.status = status_name(command_status)
        meaning = status_meaning(command_status)
        words = f"{self.status} ({meaning})" if meaning else self.status
        super().__init__(f"{command} refused: {words}.")


class BindRefused(Refused):
    """The SMSC refused the bind."""

    def __init__(self, command_status: int) -> None:
        super().__init__("bind", command_status)


class SubmitRefused(Refused):
    """The SMSC refused a part; `message_ids` are those of the parts that it took."""

    def __init__(self, command_status: int, message_ids: list[str]) -> None:
        super().__init__("submit_sm", command_status)
        self.message_ids = message_ids


class NotAnswered(SmppError, TimeoutError):  # noqa: N818
    """The SMSC did not answer in time; it may have done what it was asked nevertheless."""


class WrongAnswer(SmppError):  # noqa: N818
    """The SMSC said ROK with the answer to something else."""

    def __init__(self, command: str, command_id: int) -> None:
        super().__init__(f"{command} was answered with {command_name(command_id)}.")


class ConnectionLost(SmppError, ConnectionError):  # noqa: N818
    """There is no connection (any more)."""
