"""The reference tables of docs/smpp.md, made from the tables that the code runs on.

    python -m smpp_bridge.protocol.tables

renews them between their markers in docs/smpp.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from smpp_bridge.protocol.constants import REFUSED_BINDS, RESPONSE_BIT, THROTTLED, CommandId, Tag
from smpp_bridge.protocol.fields import FIELDS
from smpp_bridge.protocol.meanings import (
    COMMAND_CLAUSES,
    STATUS_MEANINGS,
    TAG_CLAUSES,
    status_name,
)
from smpp_bridge.protocol.message_states import STATES, STEMS, WHOLE, ReceiptRules
from smpp_bridge.protocol.states import ALLOWED, BUSY, NOT_SERVED, SessionState
from smpp_bridge.protocol.status_uses import USES
from smpp_bridge.protocol.text import encoding_of_coding

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "smpp.md"
_PLACE: Final = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_BOUND: Final = (
    SessionState.OPEN,
    SessionState.BOUND_TX,
    SessionState.BOUND_RX,
    SessionState.BOUND_TRX,
)


def renewed(document: str) -> str:
    """The document with every table between its markers made anew.

    Raises:
        KeyError: If a marker names a table that there is not.
    """
    return _PLACE.sub(lambda m: f"{m[1]}{_TABLES[m[2]]()}{m[3]}", document)


def _markdown(titles: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(titles)]
    lines.append(["---"] * len(lines[0]))
    lines += [list(row) for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _statuses() -> str:
    return _markdown(
        ("command_status", "name", "says", "here"),
        (
            (f"`0x{status:08X}`", f"`{status_name(status)}`", meaning, _treatment(status))
            for status, meaning in STATUS_MEANINGS.items()
        ),
    )


def _treatment(status: int) -> str:
    notes = []
    if status in THROTTLED:
        notes.append("gateway, received: the connection slows down, the message is sent again")
    if status in REFUSED_BINDS:
        notes.append("received for a bind: binds again slowly")
    notes += [
        f"sent for new work by an {role.upper()} that drains"
        for role, busy in BUSY.items()
        if busy == status
    ]
    notes += [
        f"sent for {command.name.lower()} that is not served"
        for command, refusal in NOT_SERVED.items()
        if refusal == status
    ]
    notes += [use.words for use in USES if use.status == status]
    return "; ".join(dict.fromkeys(notes))


def _receipt_states() -> str:
    finality = {True: "yes", False: "no", None: "per connection"}
    return _markdown(
        ("message_state", "state", "final", "tokens that hold one of"),
        (
            (
                str(number),
                f"`{state}`",
                finality[ReceiptRules().is_final(state)],
                ", ".join(_tokens_of(state)),
            )
            for number, state in enumerate(STATES)
        ),
    )


def _tokens_of(state: str) -> Iterator[str]:
    yield from (f"`{stem}`" for stem, meant in STEMS if meant == state)
    yield from (f"`{token}` alone" for token, meant in WHOLE.items() if meant == state)
    if state == "UNKNOWN":
        yield "anything else"


def _operations() -> str:
    served = {int(cls.command_id) for cls in FIELDS}
    return _markdown(
        ("command", "command_id", "clause", "issued by", *(state.value for state in _BOUND)),
        (
            (
                f"`{command.name.lower()}`",
                f"`0x{command:08X}`",
                clause,
                *_issue(command, is_served=int(command) in served),
            )
            for command, clause in COMMAND_CLAUSES.items()
            if not command & RESPONSE_BIT
        ),
    )


def _issue(command: CommandId, *, is_served: bool) -> list[str]:
    if not is_served:
        return ["not served: generic_nack with RINVCMDID", *[""] * len(_BOUND)]
    roles = ALLOWED[command]
    marks = [
        ", ".join(role.upper() for role, states in roles.items() if state in states)
        for state in _BOUND
    ]
    return [", ".join(role.upper() for role in roles), *marks]


def _tlvs() -> str:
    return _markdown(
        ("tag", "name", "clause"),
        (
            (f"`0x{tag:04X}`", f"`{Tag(tag).name.lower()}`", clause)
            for tag, clause in sorted(TAG_CLAUSES.items())
        ),
    )


def _codings() -> str:
    runs: list[tuple[int, int, str]] = []
    for coding in range(256):
        encoding = encoding_of_coding(coding)
        if runs and runs[-1][2] == encoding:
            runs[-1] = (runs[-1][0], coding, encoding)
        else:
            runs.append((coding, coding, encoding))
    return _markdown(
        ("data_coding", "read as"),
        (
            (f"`0x{a:02X}`" if a == b else f"`0x{a:02X}`-`0x{b:02X}`", f"`{encoding}`")
            for a, b, encoding in runs
        ),
    )


_TABLES: Final[dict[str, Callable[[], str]]] = {
    "command_status": _statuses,
    "receipt_states": _receipt_states,
    "operations": _operations,
    "tlvs": _tlvs,
    "data_codings": _codings,
}


if __name__ == "__main__":
    DOCUMENT.write_text(renewed(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
