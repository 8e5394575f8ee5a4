"""Two sessions back to back under any schedule: they end, and no request is forgotten."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from smpp_bridge.protocol import pdu, session_events
from smpp_bridge.protocol.constants import CommandStatus
from smpp_bridge.protocol.session import Session
from smpp_bridge.protocol.states import Role, SessionState
from smpp_bridge.protocol.timers import Timeouts

TIMEOUTS = Timeouts(response_s=10, enquire_link_s=5, session_init_s=1000)
WINDOW = 4
SIDES = st.sampled_from(["esme", "smsc"])
REQUESTS: dict[Role, type[pdu.SubmitSm | pdu.DeliverSm]] = {
    "esme": pdu.SubmitSm,
    "smsc": pdu.DeliverSm,
}
PEER: dict[Role, Role] = {"esme": "smsc", "smsc": "esme"}


@dataclass
class Side:
    """One end: its session, the octets under way to it, and what it has to answer."""

    session: Session
    incoming: bytes = b""
    pending: list[pdu.Request] = field(default_factory=list)
    taken: list[bytes] = field(default_factory=list)
    sent: set[int] = field(default_factory=set)
    answered: Counter[int] = field(default_factory=Counter)
    expired: Counter[int] = field(default_factory=Counter)
    unanswered: Counter[int] = field(default_factory=Counter)
    refused: set[int] = field(default_factory=set)


class TwoSessions(RuleBasedStateMachine):
    """An ESME and an SMSC whose network may hold back and cut what it carries."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.number = 0
        self.sides: dict[str, Side] = {
            role: Side(Session(role, now=0, window=WINDOW, timeouts=TIMEOUTS))
            for role in ("esme", "smsc")
        }

    @initialize(cls=st.sampled_from([pdu.BindTransceiver]))
    def bind(self, cls: type[pdu.Bind]) -> None:
        """Bind, in one go."""
        self.sides["esme"].session.bind(cls(system_id=b"shop"))
        self.settle()
        assert self.sides["esme"].session.state is SessionState.BOUND_TRX

    @rule(role=SIDES)
    def send(self, role: Role) -> None:
        """A side sends, if its session lets it."""
        side = self.sides[role]
        if side.session.is_bound and side.session.window.free:
            self.number += 1
            request = REQUESTS[role](short_message=b"%d" % self.number)
            side.session.send(request, self.number, self.now)
            side.sent.add(self.number)
            self.collect(role)

    @rule(role=SIDES, octets=st.integers(1, 120))
    def carry(self, role: Role, octets: int) -> None:
        """Some of what is under way arrives."""
        side = self.sides[role]
        data, side.incoming = side.incoming[:octets], side.incoming[octets:]
        if data:
            side.session.receive_data(data, self.now)
            self.collect(role)

    @rule(role=SIDES, index=st.integers(0, 10), status=st.sampled_from([0, 0x58, 0x64]))
    def respond(self, role: Role, index: int, status: int) -> None:
        """A side answers something that it has received, in any order."""
        side = self.sides[role]
        if side.pending:
            side.session.respond(side.pending.pop(index % len(side.pending)), status)
            self.collect(role)

    @rule(seconds=st.floats(0.1, 4))
    def wait(self, seconds: float) -> None:
        """Time passes for both."""
        self.now += seconds
        for role in PEER:
            self.sides[role].session.tick(self.now)
            self.collect(role)

    @precondition(lambda self: self.sides["esme"].session.is_bound)
    @rule(role=SIDES)
    def unbind(self, role: Role) -> None:
        """A side says goodbye, whatever is in flight."""
        if self.sides[role].session.is_bound:
            self.sides[role].session.unbind()
            self.collect(role)

    @invariant()
    def windows_hold(self) -> None:
        """Never more in flight than the window allows."""
        assert all(len(side.session.window) <= WINDOW for side in self.sides.values())

    def collect(self, role: Role) -> None:
        """Take a session's events and octets."""
        side = self.sides[role]
        for event in side.session.events():
            match event:
                case session_events.BindRequested(request):
                    side.session.answer_bind(request, CommandStatus.ROK)
                case session_events.Received(request):
                    assert isinstance(request, pdu.Message)
                    side.taken.append(request.short_message)
                    side.pending.append(request)
                case session_events.Answered(context, response):
                    assert isinstance(response, pdu.MessageResp)
                    side.answered[context] += 1
                case session_events.Expired(context):
                    side.expired[context] += 1
                case session_events.Closed(_, unanswered):
                    side.unanswered.update(unanswered)
                case session_events.Unexpected(pdu.Message()) | session_events.Bound():
                    pass  # refused while draining: its sender gets an answer
                case _:
                    raise AssertionError(event)
        self.sides[PEER[role]].incoming += side.session.data_to_send()

    def settle(self) -> None:
        """Carry and answer until nothing moves."""
        while True:
            before = [
                (len(s.incoming), len(s.pending), s.session.state) for s in self.sides.values()
            ]
            for role in PEER:
                self.collect(role)
                self.carry(role, 1 << 20)
                while self.sides[role].pending:
                    self.respond(role, 0, 0)
            after = [
                (len(s.incoming), len(s.pending), s.session.state) for s in self.sides.values()
            ]
            if before == after and not any(side.incoming for side in self.sides.values()):
                return

    def teardown(self) -> None:
        """In the end both are closed, and each request has one fate."""
        self.settle()
        for role in PEER:
            if self.sides[role].session.is_bound:
                self.sides[role].session.unbind()
                self.settle()
        for role in PEER:
            self.check_end(role)

    def check_end(self, role: Role) -> None:
        """Nothing lost, nothing twice, nothing invented."""
        side, peer = self.sides[role], self.sides[PEER[role]]
        self.wait(0.1)
        if not side.session.is_closed:  # the peer hung up first, as a socket would tell
            side.session.disconnected("closed")
            self.collect(role)
        assert side.session.state is SessionState.CLOSED
        fates = side.expired + side.unanswered
        assert set(fates) | set(side.answered) == side.sent
        assert all(count == 1 for count in (*fates.values(), *side.answered.values()))
        assert not set(side.unanswered) & set(side.answered)
        assert len(peer.taken) == len(set(peer.taken))
        assert {int(text) for text in peer.taken} <= side.sent


TwoSessions.TestCase.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
TestTwoSessions = TwoSessions.TestCase
