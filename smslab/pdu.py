"""`smslab pdu`: PDUs in hexadecimal, read field by field."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator

import click

from smpp_bridge.protocol.describe import Description, describe, to_json
from smpp_bridge.protocol.meanings import FIELD_CLAUSES, status_meaning

_PREFIX = re.compile(r"(?<![0-9a-f])0x|\\x", re.IGNORECASE)
_SEPARATORS = re.compile(r"[\s:,-]+")


@click.command()
@click.argument("digits", metavar="HEX", nargs=-1)
@click.option("--json", "is_json", is_flag=True, help="One JSON object per PDU and line.")
@click.pass_context
def pdu(context: click.Context, digits: tuple[str, ...], *, is_json: bool) -> None:
    """Print any SMPP PDU with field names and the clauses of SMPP 3.4.

    HEX may have blanks, colons and 0x, and may hold several PDUs. Without it, every line of
    stdin is read. Exit code 1: a PDU cannot be read to its end; 2: that is no hexadecimal.
    """
    lines = [" ".join(digits)] if digits else sys.stdin
    exit_code = 0
    for number, line in _numbered(lines):
        try:
            octets = octets_of(line)
        except ValueError as error:
            where = "" if digits else f"line {number}: "
            click.echo(f"{where}{error}", err=True)
            exit_code = 2
            continue
        for description in describe(octets):
            click.echo(_json(description) if is_json else "\n".join(lines_of(description)))
            if description.problem is not None:
                exit_code = max(exit_code, 1)
    context.exit(exit_code)


def octets_of(digits: str) -> bytes:
    """Octets of hexadecimal digits.

    Raises:
        ValueError: If they are none; the message is a sentence for the person who typed them.
    """
    bare = _SEPARATORS.sub("", _PREFIX.sub("", digits))
    wrong = re.search(r"[^0-9a-fA-F]", bare)
    if wrong is not None:
        raise ValueError(f"{wrong[0]!r} is no hexadecimal digit.")
    if not bare:
        raise ValueError("No hexadecimal digits were given.")
    if len(bare) % 2:
        raise ValueError(f"{len(bare)} hexadecimal digits were given, must be an even number.")
    return bytes.fromhex(bare)


def _numbered(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Lines with their number; blank ones are left out, unless nothing else is there."""
    is_empty = True
    for number, line in enumerate(lines, 1):
        if line.strip():
            is_empty = False
            yield number, line
    if is_empty:
        yield 1, ""


def _json(description: Description) -> str:
    return json.dumps(to_json(description))  # ASCII: U+2028 ends a line for some readers


def lines_of(description: Description) -> Iterator[str]:
    """A PDU for people, one line a field."""
    yield f"{description.command}{_clause(description.clause)}"
    for name, value, meaning in _header(description):
        yield _line(name, value, meaning, FIELD_CLAUSES[name])
    for field in description.fields:
        yield _line(field.name, _shown(field.value), field.meaning, field.clause)
    for tlv in description.tlvs:
        yield _line(f"TLV {tlv.name}", _shown(tlv.value), tlv.meaning, tlv.clause)
    for title in ("receipt", "message"):
        found = to_json(description).get(title)
        if found is not None:
            yield f"  {title}"
            yield from (f"    {name:<24} {_shown(value)}" for name, value in found.items())
    if description.problem is not None:
        yield f"  cannot be read: {description.problem}"


def _header(description: Description) -> Iterator[tuple[str, str, str]]:
    status = description.command_status
    yield "command_length", str(description.command_length), ""
    yield "command_id", f"0x{description.command_id:08x}", description.command
    yield (
        "command_status",
        f"0x{status:08x}",
        f"{description.status} {status_meaning(status)}".strip(),
    )
    yield "sequence_number", str(description.sequence_number), ""


def _line(name: str, value: str, meaning: str, clause: str) -> str:
    shown = f"{value}  {meaning}" if meaning else value
    return f"  {name:<26} {shown:<40}{_clause(clause)}".rstrip()


def _shown(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _clause(clause: str) -> str:
    return f"  §{clause}" if clause else ""
