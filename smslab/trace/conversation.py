"""Which answer and which receipt belongs to which part of the one message. Pure.

The account may be in use: what is not ours must go back to the SMSC, and a receipt may come
before the answer that tells its id.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from smpp_bridge.protocol import pdu
from smpp_bridge.protocol.constants import CommandStatus
from smpp_bridge.protocol.receipts import Receipt, candidates_of, parse_receipt
from smslab.trace.model import Outcome

THROTTLES: Final = (CommandStatus.RTHROTTLED, CommandStatus.RMSGQFUL)
Decision = Literal["take", "hold", "return"]
"""Acknowledge, decide when the answers are here, or have it sent again to somebody else."""


@dataclass(slots=True)
class Part:
    """One part and what became of it."""

    number: int
    status: int | None = None
    message_id: str = ""
    receipt: Receipt | None = None
    """The last one; a final one stays."""

    @property
    def is_accepted(self) -> bool:
        """Whether the SMSC took it."""
        return self.status == CommandStatus.ROK

    @property
    def is_settled(self) -> bool:
        """Whether no receipt is waited for any more."""
        is_final = self.receipt is not None and self.receipt.is_final is True
        return is_final or (self.status is not None and not self.is_accepted)

    def no_receipt_within(self, timeout_s: float) -> str:
        """What is missing."""
        if self.receipt is None:
            return f"none came within {timeout_s:g} s"
        return f"no final one came within {timeout_s:g} s, the last says {self.receipt.state}"


@dataclass(frozen=True, slots=True)
class Matched:
    """A receipt of ours."""

    part: Part
    receipt: Receipt


@dataclass(slots=True)
class Conversation:
    """The state of one message. `to`: the digits that it goes to."""

    to: str
    total: int
    parts: list[Part] = field(init=False)
    other_ids: list[str] = field(default_factory=list)
    """Ids of receipts for our number that are not ours."""
    _early: list[Receipt] = field(default_factory=list)
    """For our number, acknowledged before the answers were here."""

    def __post_init__(self) -> None:
        self.parts = [Part(number) for number in range(1, self.total + 1)]

    @property
    def is_answered(self) -> bool:
        """Whether every part has its answer."""
        return all(part.status is not None for part in self.parts)

    @property
    def is_settled(self) -> bool:
        """Whether nothing more is to come."""
        return all(part.is_settled for part in self.parts)

    def answered(self, number: int, response: pdu.Pdu) -> list[Matched]:
        """An answer came; the receipts that had come before it."""
        part = self.parts[number - 1]
        part.status = response.command_status
        if isinstance(response, pdu.SubmitSmResp):
            part.message_id = response.message_id.decode("latin-1")
        found = []
        for receipt in tuple(self._early):
            match = self._match(receipt)
            if match is not None:
                self._early.remove(receipt)
                found.append(match)
        return found

    def offered(
        self, request: pdu.DeliverSm | pdu.DataSm, *, is_last_call: bool = False
    ) -> tuple[Decision, Matched | None]:
        """What to do with a deliver_sm or data_sm. `is_last_call`: no answer is waited for.

        A receipt for our number is taken at once even if its id is not known yet: some SMSCs
        send the answer only after the acknowledgement.
        """
        receipt = parse_receipt(request)
        if receipt is None:
            return "return", None
        match = self._match(receipt)
        if match is not None:
            return "take", match
        is_open = not self.is_answered and not is_last_call
        if not self._is_for_us(request):
            return ("hold" if is_open else "return"), None
        if is_open:
            self._early.append(receipt)
            return "take", None
        self.other_ids.append(receipt.message_id)
        return "return", None

    def outcome(self, *, wants_receipt: bool) -> Outcome:
        """How it ended, when nothing more is waited for; the worst of the parts."""
        statuses = {part.status for part in self.parts}
        if statuses & set(THROTTLES):
            return "throttled"
        if statuses - {CommandStatus.ROK, None}:
            return "rejected"
        if None in statuses:
            return "not answered"
        if not wants_receipt:
            return "accepted"
        if not self.is_settled:
            return "no receipt"
        states = {part.receipt.state for part in self.parts if part.receipt is not None}
        return "delivered" if states == {"DELIVERED"} else "undelivered"

    def _match(self, receipt: Receipt) -> Matched | None:
        names = {receipt.message_id, receipt.other_id} - {""}
        spellings = names | set(candidates_of(receipt.message_id, receipt.other_id))
        accepted = [part for part in self.parts if part.is_accepted]
        exact = (part for part in accepted if part.message_id in names)
        similar = (part for part in accepted if _folded(part) & spellings)
        part = next(exact, None) or next(similar, None)
        if part is None:
            return None
        if part.receipt is None or part.receipt.is_final is not True:
            part.receipt = receipt
        return Matched(part, receipt)

    def _is_for_us(self, request: pdu.DeliverSm | pdu.DataSm) -> bool:
        """National spellings of our number end as ours does."""
        address = request.source_addr.decode("latin-1").lstrip("+0")
        return min(len(address), len(self.to)) >= 5 and (
            self.to.endswith(address) or address.endswith(self.to)
        )


def _folded(part: Part) -> set[str]:
    """Only the receipt's id changes its base: two that do would meet by chance."""
    folded = part.message_id.casefold()
    return {folded, folded.lstrip("0") or folded} - {""}
