"""The trace itself: a bound session is given one message and watched until all is said."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from smpp_bridge.protocol import pdu, session_events
from smpp_bridge.protocol.constants import CommandStatus
from smpp_bridge.protocol.meanings import status_name
from smpp_bridge.protocol.session_events import SessionEvent
from smpp_bridge.protocol.text import encoding_of_coding
from smpp_bridge.wire import Wire
from smslab.trace import advice
from smslab.trace.conversation import Conversation, Matched
from smslab.trace.model import Outcome, Target
from smslab.trace.opening import Ended, open_wire
from smslab.trace.recorder import Audience, Recorder

_TICK_S: Final = 0.2
_UNBIND_WITHIN_S: Final = 5.0


def run_trace(
    target: Target, tls: ssl.SSLContext | None, parts: list[pdu.SubmitSm], audience: Audience
) -> Outcome:
    """Connect, bind, send `parts` (none: only bind), wait, unbind; the peer's faults are steps."""
    recorder = Recorder(audience)
    try:
        wire = open_wire(target, tls, recorder)
    except Ended as end:
        return end.outcome
    try:
        return _Trace(wire, target, parts, recorder).run()
    except Ended as end:
        return end.outcome
    finally:
        wire.close()


class _Trace:
    def __init__(
        self, wire: Wire, target: Target, parts: list[pdu.SubmitSm], recorder: Recorder
    ) -> None:
        self._wire = wire
        self._target = target
        self._requests = parts
        self._recorder = recorder
        to = parts[0].destination_addr.decode("ascii") if parts else ""
        self._talk = Conversation(to, len(parts))
        self._sent_at: dict[int, float] = {}
        self._held: list[pdu.DeliverSm | pdu.DataSm] = []
        self._bound: pdu.BindResp | None = None
        self._refused_with: int | None = None
        self._closed: str | None = None
        self._is_last_call = False
        self._is_silent = False
        """A part got no answer in time: the next ones stay here."""
        self._returned = 0

    def run(self) -> Outcome:
        self._bind()
        outcome = self._exchange() if self._requests else "bound"
        self._unbind()
        return outcome

    def _bind(self) -> None:
        target = self._target
        self._wire.session.bind(target.bind_request)
        self._serve(lambda: self._bound is not None)
        if self._refused_with is not None:
            problem = advice.said(self._refused_with)
            fix = advice.bind_fix(self._refused_with, target)
            self._recorder.ended("bind", problem, fix, command_status=self._refused_with)
            raise Ended("bind refused")
        if self._bound is None:
            fix = advice.closed_fix(target, is_bound=False)
            self._recorder.ended("bind", self._why(), fix)
            raise Ended("unreachable")
        version = self._wire.session.version
        self._recorder.ended(
            "bind",
            bind=target.bind,
            system_id=target.system_id,
            smsc=self._bound.system_id.decode("latin-1"),
            version=f"{version >> 4}.{version & 15}",
        )

    def _exchange(self) -> Outcome:
        for number, request in enumerate(self._requests, 1):
            if not self._submit(number, request):
                break
        self._await_answers()
        wants_receipt = bool(self._requests[0].registered_delivery)
        if wants_receipt:
            self._await_receipts()
        return self._talk.outcome(wants_receipt=wants_receipt)

    def _submit(self, number: int, request: pdu.SubmitSm) -> bool:
        session = self._wire.session
        self._serve(lambda: session.window.free > 0)
        if self._closed is not None or self._is_silent or not session.window.free:
            waiting = f"the window is full: {session.window.size} parts wait for their answer"
            fix = "the SMSC is slow or silent: raise --timeout, or ask the operator"
            self._recorder.ended("submit", self._closed or waiting, fix, part=number)
            return False
        self._sent_at[number] = self._recorder.begin()
        sequence = session.send(request, number, self._sent_at[number])
        self._wire.flush()
        self._recorder.ended(
            "submit",
            part=number,
            to=request.destination_addr.decode("ascii"),
            sender=request.source_addr.decode("latin-1"),
            encoding=encoding_of_coding(request.data_coding),
            octets=len(request.short_message),
            sequence_number=sequence,
        )
        return True

    def _await_answers(self) -> None:
        parts = [part for part in self._talk.parts if part.number in self._sent_at]
        self._serve(lambda: all(part.status is not None for part in parts))
        fix = "it may have been sent nevertheless: look for it before you send it again"
        for part in parts:
            if part.status is None:
                since = self._sent_at[part.number]
                self._recorder.ended("answer", self._why(), fix, part=part.number, since=since)
        self._end_if_closed()
        self._is_last_call = True
        held, self._held = self._held, []
        for request in held:
            self._offered(request)

    def _await_receipts(self) -> None:
        accepted = [part for part in self._talk.parts if part.is_accepted]
        if not accepted:
            return
        self._recorder.waiting(f"the receipt, at most {self._target.timeout_s:g} s")
        self._serve(lambda: all(part.is_settled for part in accepted))
        for part in accepted:
            if not part.is_settled:
                problem = self._closed or part.no_receipt_within(self._target.timeout_s)
                fix = advice.no_receipt_fix(self._talk.other_ids)
                since = self._sent_at[part.number]
                self._recorder.ended("receipt", problem, fix, part=part.number, since=since)
        if not all(part.is_settled for part in accepted):
            self._end_if_closed()

    def _unbind(self) -> None:
        self._recorder.begin()
        with suppress(ValueError):  # the peer has unbound a moment ago
            self._wire.session.unbind()
        self._serve(lambda: False, within_s=_UNBIND_WITHIN_S)
        if self._closed is not None:
            self._recorder.ended("unbind", returned=self._returned)
        else:
            fix = "nothing to do: the connection is closed now"
            self._recorder.ended("unbind", f"no answer within {_UNBIND_WITHIN_S:g} s", fix)

    def _serve(self, is_done: Callable[[], bool], within_s: float | None = None) -> None:
        """Serve until it is done, time is over, or the session has ended."""
        deadline = time.monotonic() + (within_s or self._target.timeout_s)
        while not is_done() and self._closed is None:
            wait_s = min(_TICK_S, deadline - time.monotonic())
            if wait_s <= 0:
                return
            for event in self._wire.serve(wait_s):
                self._handle(event)
            self._wire.flush()

    def _handle(self, event: SessionEvent) -> None:
        match event:
            case session_events.Bound(response):
                self._bound = response
            case session_events.BindRefused(status):
                self._refused_with = status
            case session_events.Answered(number, response, _):
                self._answered(number, response)
            case session_events.Received(pdu.DeliverSm() | pdu.DataSm() as request):
                self._offered(request)
            case session_events.Received(request):
                self._wire.session.refuse(request)
            case session_events.Expired():
                self._is_silent = True
            case session_events.Closed(reason):
                self._closed = reason
            case _:
                pass  # answered by the session, and shown with --pdu

    def _answered(self, number: int, response: pdu.Pdu) -> None:
        early = self._talk.answered(number, response)
        status, since = response.command_status, self._sent_at[number]
        is_ok = status == CommandStatus.ROK
        self._recorder.ended(
            "answer",
            "" if is_ok else advice.said(status),
            "" if is_ok else advice.submit_fix(status, self._target),
            part=number,
            since=since,
            command_status=status,
            status=status_name(status),
            message_id=self._talk.parts[number - 1].message_id,
        )
        for matched in early:
            self._receipt(matched, was_early=True)

    def _offered(self, request: pdu.DeliverSm | pdu.DataSm) -> None:
        decision, matched = self._talk.offered(request, is_last_call=self._is_last_call)
        if decision == "hold":
            self._held.append(request)
        elif decision == "take":
            self._wire.session.respond(request)
        else:
            self._returned += 1
            self._wire.session.respond(request, CommandStatus.RX_T_APPN)
        if matched is not None:
            self._receipt(matched)

    def _receipt(self, matched: Matched, *, was_early: bool = False) -> None:
        receipt, part = matched.receipt, matched.part
        is_bad = receipt.is_final is True and receipt.state != "DELIVERED"
        told = f"{receipt.state} ({receipt.raw_state}), err {receipt.err or 'none'}"
        problem = told if is_bad else ""
        fix = advice.receipt_fix(receipt.state) if is_bad else ""
        self._recorder.ended(
            "receipt",
            problem,
            fix,
            part=part.number,
            since=self._sent_at[part.number],
            smsc_message_id=receipt.message_id,
            is_other_spelling=receipt.message_id != part.message_id,
            state=receipt.state,
            raw_state=receipt.raw_state,
            is_final=receipt.is_final,
            err=receipt.err,
            source=receipt.source,
            came_before_answer=was_early,
        )

    def _why(self) -> str:
        return self._closed or f"no answer within {self._target.timeout_s:g} s"

    def _end_if_closed(self) -> None:
        if self._closed is not None:
            raise Ended("connection lost")
