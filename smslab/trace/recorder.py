"""Steps and PDUs as they happen, with their times, for whoever watches."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Protocol

from smpp_bridge.protocol.framing import FrameBuffer, FramingError
from smpp_bridge.wire import Direction
from smslab.trace.model import Frame, Step, StepName

Fact = str | int | bool | None


class Audience(Protocol):
    """Who is told while it happens."""

    def step(self, step: Step) -> None:
        """A step ended."""

    def frame(self, frame: Frame) -> None:
        """A PDU went or came."""

    def waiting(self, for_what: str) -> None:
        """Nothing will happen for a while."""


class Recorder:
    """The clock of one trace. A step begins where the one before it ended."""

    def __init__(self, audience: Audience) -> None:
        self._audience = audience
        self._started = self._began = time.monotonic()
        self._buffers: dict[Direction, FrameBuffer] = {}

    def begin(self) -> float:
        """The next step begins now, not before."""
        self._began = time.monotonic()
        return self._began

    def ended(
        self,
        name: StepName,
        problem: str = "",
        fix: str = "",
        *,
        part: int | None = None,
        since: float | None = None,
        **facts: Fact,
    ) -> None:
        """A step ended, well without a `problem`; `since`: when it began, if others lie between."""
        now = time.monotonic()
        step = Step(
            name=name,
            is_ok=not problem,
            at_s=now - self._started,
            took_s=now - (self._began if since is None else since),
            part=part,
            facts=facts,
            problem=problem,
            fix=fix,
        )
        self._began = now
        self._audience.step(step)

    def waiting(self, for_what: str) -> None:
        """Nothing will happen for a while."""
        self._audience.waiting(for_what)

    def watch(self, direction: Direction, data: bytes) -> None:
        """Octets on the wire, cut anywhere."""
        buffer = self._buffers.setdefault(direction, FrameBuffer())
        with suppress(FramingError):  # the session says so
            for octets in buffer.feed(data):
                self._audience.frame(Frame(direction, octets, time.monotonic() - self._started))
