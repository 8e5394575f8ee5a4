"""A trace for people, line by line, and for programs, one JSON object a line."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import click
from rich.status import Status
from rich.text import Text

from smpp_bridge.protocol.describe import describe, to_json
from smpp_bridge.protocol.meanings import command_name
from smslab.pdu import lines_of
from smslab.screen import console
from smslab.trace.masks import Mask
from smslab.trace.model import ENDS, Frame, Message, Outcome, Step

_STYLES: Final = {True: "green", False: "bold red"}
_MARKS: Final = {True: "✓", False: "✕"}
_ARROWS: Final = {"sent": "→", "received": "←"}
_INDENT: Final = " " * 31
Facts = Mapping[str, Any]


def _tls(facts: Facts) -> str:
    until = f", valid until {facts['valid_until']}" if facts["valid_until"] else ""
    return f"{facts['version']}, certificate of {facts['server_name']}{until}"


def _bind(facts: Facts) -> str:
    return (
        f"{facts['bind']} as {facts['system_id']}; the SMSC is {facts['smsc'] or '(no name)'}, "
        f"SMPP {facts['version']}"
    )


def _submit(facts: Facts) -> str:
    return f"{facts['sender']} → {facts['to']}, {facts['encoding']}, {facts['octets']} octets"


def _receipt(facts: Facts) -> str:
    words = [f"{facts['state']} ({facts['raw_state']}), err {facts['err'] or 'none'}"]
    if facts["is_final"] is not True:
        words.append("not final")
    if facts["is_other_spelling"]:
        words.append(f"id spelt {facts['smsc_message_id'] or '(none)'}")
    if facts["came_before_answer"]:
        words.append("came before the answer")
    return "; ".join(words)


def _unbind(facts: Facts) -> str:
    returned = facts.get("returned")
    if not returned:
        return ""
    return f"{returned} of somebody else came here and went back to the SMSC (RX_T_APPN)"


_WORDS: Final[dict[str, Callable[[Facts], str]]] = {
    "connect": lambda facts: str(facts["address"]),
    "tls": _tls,
    "bind": _bind,
    "submit": _submit,
    "answer": lambda facts: f"ESME_ROK, id {facts['message_id'] or '(none)'}",
    "receipt": _receipt,
    "unbind": _unbind,
}


class Lines:
    """Prints while it happens; colour only on a terminal."""

    def __init__(self, mask: Mask, *, parts: int, shows_pdus: bool) -> None:
        self._mask = mask
        self._parts = parts
        self._shows_pdus = shows_pdus
        self._status: Status | None = None

    def head(self, message: Message | None) -> None:
        """Above the steps."""
        if message is not None:
            shown = self._mask.text(message.text)
            console.print(Text(f"{shown} in {_count(self._parts)}"), soft_wrap=True)
        console.print(Text("     at ms   step ms"), style="dim")

    def step(self, step: Step) -> None:
        """One line; two more when something is wrong."""
        self._quiet()
        times = f"{step.at_s * 1e3:9.1f} {step.took_s * 1e3:9.1f}"
        line = Text.assemble((_MARKS[step.is_ok], _STYLES[step.is_ok]), f"{times}  {step.name:<8}")
        part = f" {step.part}/{self._parts}" if step.part and self._parts > 1 else ""
        words = step.problem or _WORDS[step.name](masked(step, self._mask))
        line.append(f"{part} {words}" if words else part, None if step.is_ok else "red")
        console.print(line, soft_wrap=True)
        for each in _wrapped(f"what to do: {step.fix}") if step.fix else ():
            console.print(Text(each, style="yellow"), soft_wrap=True)

    def frame(self, frame: Frame) -> None:
        """With --pdu: every field."""
        if not self._shows_pdus:
            return
        self._quiet()
        for line in pdu_lines(frame, self._mask):
            console.print(Text(line, style="dim"), soft_wrap=True)

    def waiting(self, for_what: str) -> None:
        """A spinner on a terminal, else nothing."""
        if console.is_terminal:
            self._status = console.status(f"waiting for {for_what}; Ctrl-C ends")
            self._status.start()

    def end(self, outcome: Outcome) -> None:
        """The last line."""
        self._quiet()
        found = ENDS[outcome]
        style = _STYLES[not found.code]
        console.print(Text.assemble((outcome, style), f": {found.sentence}"), soft_wrap=True)

    def _quiet(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None


class JsonLines:
    """One object per step, one at the end; with --pdu one per PDU."""

    def __init__(self, mask: Mask, *, shows_pdus: bool) -> None:
        self._mask = mask
        self._shows_pdus = shows_pdus

    def step(self, step: Step) -> None:
        """`at_ms` since the start, `took_ms` of the step."""
        found: dict[str, Any] = {
            "step": step.name,
            "ok": step.is_ok,
            "at_ms": _ms(step.at_s),
            "took_ms": _ms(step.took_s),
        }
        if step.part is not None:
            found["part"] = step.part
        found |= masked(step, self._mask)
        if step.problem:
            found |= {"problem": step.problem, "fix": step.fix}
        _print(found)

    def frame(self, frame: Frame) -> None:
        """The PDU as `smslab pdu --json` has it."""
        if self._shows_pdus:
            _print(pdu_json(frame, self._mask))

    def waiting(self, for_what: str) -> None:
        """Nothing to say."""

    def end(self, outcome: Outcome) -> None:
        """The last object."""
        found = ENDS[outcome]
        _print({"step": "end", "outcome": outcome, "ok": not found.code, "exit_code": found.code})


def masked(step: Step, mask: Mask) -> dict[str, Any]:
    """The facts without the numbers."""
    return {
        name: mask.number(str(value)) if name in {"to", "sender"} else value
        for name, value in step.facts.items()
    }


def pdu_lines(frame: Frame, mask: Mask) -> Iterable[str]:
    """A PDU for people: command and octets, then field by field."""
    name = command_name(int.from_bytes(frame.octets[4:8], "big"))
    yield f"{_INDENT}{_ARROWS[frame.direction]} {name} {mask.hex(frame.octets)}"
    for description in describe(frame.octets):
        yield from (f"{_INDENT}  {line}" for line in lines_of(mask.description(description)))


def pdu_json(frame: Frame, mask: Mask) -> dict[str, Any]:
    """A PDU for programs."""
    (description,) = describe(frame.octets)
    return {
        "direction": frame.direction,
        "at_ms": _ms(frame.at_s),
        "hex": mask.hex(frame.octets),
        "pdu": to_json(mask.description(description)),
    }


def print_frames(frames: list[Frame], mask: Mask, *, as_json: bool) -> None:
    """What a dry run shows."""
    for frame in frames:
        if as_json:
            _print(pdu_json(frame, mask) | {"dry_run": True})
        else:
            for line in pdu_lines(frame, mask):
                console.print(Text(line.removeprefix(_INDENT)), soft_wrap=True)


def _wrapped(sentence: str) -> list[str]:
    """Under the words of its step; one line where no terminal would break it."""
    if not console.is_terminal:
        return [_INDENT + sentence]
    width = max(console.width, len(_INDENT) + 30)
    return textwrap.wrap(sentence, width, initial_indent=_INDENT, subsequent_indent=_INDENT)


def _count(parts: int) -> str:
    return "one part" if parts == 1 else f"{parts} parts"


def _ms(seconds: float) -> float:
    return round(seconds * 1e3, 3)


def _print(found: Mapping[str, Any]) -> None:
    click.echo(json.dumps(found, ensure_ascii=False))
