"""What the proxy holds for all ESMEs of a connection together, and for how long."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smpp_bridge.protocol import pdu
from smpp_bridge.protocol.constants import CommandStatus, Tag
from smpp_bridge.protocol.session import octets_of
from smpp_bridge.protocol.states import SessionState
from smpp_bridge.shares import Shares
from tests.smpp_bridge.test_proxy import receipt, submit
from tests.support.proxy import RunningProxy, account, run_proxy
from tests.support.smsc import Smsc, run_smsc
from tests.support.topics import wait_until

PAIR = {"bind": "transmitter+receiver"}
FULL = CommandStatus.RMSGQFUL


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 60))),
    st.integers(1, 20),
    st.integers(1, 200),
)
def test_neither_bound_is_passed_and_each_account_gets_its_share(
    messages: list[tuple[str, int]], most: int, most_octets: int
) -> None:
    """Whoever floods, one that holds less than its share is refused only when all is full."""
    shares = Shares(3, messages=most, octets=most_octets)
    held: list[tuple[str, int]] = []
    for name, octets in messages:
        own = [each for each in held if each[0] == name]
        fits = len(held) < most and sum(o for _, o in held) + octets <= most_octets
        small = (len(own) + 1) * 3 <= most and (sum(o for _, o in own) + octets) * 3 <= most_octets
        if shares.take(name, octets):
            assert fits or not held
            held.append((name, octets))
        else:
            assert not (fits and small)
    assert (shares.messages, shares.octets) == (len(held), sum(o for _, o in held))
    for name, octets in held:
        shares.give(name, octets)
    assert (shares.messages, shares.octets) == (0, 0)


@pytest.mark.parametrize(
    "keys", [{"max_pending": 4}, {"max_pending_bytes": 4 * octets_of(submit())}]
)
async def test_all_esmes_of_a_connection_share_one_bound(
    tmp_path: Path, keys: dict[str, Any]
) -> None:
    """Many sessions within their own windows do not add up; what is answered makes room."""
    async with (
        run_smsc(Smsc(answer=lambda _: None)) as smsc,
        run_proxy(
            {"c": smsc.port},
            tmp_path,
            account("a"),
            account("b"),
            connection={"window": 1, **keys},
        ) as proxy,
    ):
        esmes = [await proxy.esme(name) for name in "aaab"]
        for esme in esmes[:3]:
            for number in range(2):
                esme.send(submit(), number)
        await wait_until(lambda: sum(len(each.answers) for each in esmes[:3]) == 4)
        assert {answer[1] for esme in esmes[:3] for answer in esme.answers} == {FULL}
        assert proxy.relays["c"].in_flight + proxy.relays["c"].backlog == 2
        assert proxy.desk.clients["a"].refused == {FULL: 4}
        for number in range(3):
            esmes[3].send(submit(), number)
        await wait_until(lambda: len(esmes[3].answers) == 1)  # half is its own
        smsc.answer = None
        ((peer, request),) = smsc.held
        peer.session.respond(request, CommandStatus.ROK, b"1")
        peer.flush()
        await wait_until(lambda: sum(len(each.answers) for each in esmes) == 9)
        esmes[0].send(submit(), "again")
        await wait_until(lambda: ("again", 0) in [a[:2] for a in esmes[0].answers])
        assert proxy.relays["c"].in_flight == proxy.relays["c"].backlog == 0


async def test_a_message_larger_than_the_bound_still_passes_alone(tmp_path: Path) -> None:
    """It would be refused for ever otherwise."""
    large = submit(b"", tlvs=((Tag.MESSAGE_PAYLOAD, b"x" * 60_000),))
    keys = {"max_pending_bytes": 1000}
    async with (
        run_smsc(Smsc()) as smsc,
        run_proxy({"c": smsc.port}, tmp_path, connection=keys) as proxy,
    ):
        esme = await proxy.esme()
        esme.send(large, 1)
        await wait_until(lambda: len(esme.answers) == 1)
    assert esme.answers[0][:2] == (1, CommandStatus.ROK)


async def both_bound(proxy: RunningProxy) -> None:
    """Transmitter and receiver."""
    await wait_until(lambda: proxy.relays["c"].links.bound == 2)


def drop(smsc: Smsc, state: SessionState) -> None:
    """The operator closes one half of the pair, and takes it back no more."""
    smsc.password = b"changed"
    next(peer for peer in smsc.peers if peer.session.state is state)._transport.abort()


async def test_without_a_transmitter_messages_are_refused_and_receipts_flow(
    tmp_path: Path,
) -> None:
    """What was sent is unknown, what waited and what comes is given back at once."""
    async with (
        run_smsc(Smsc(answer=lambda _: None)) as smsc,
        run_proxy({"c": smsc.port}, tmp_path, connection=PAIR | {"window": 1}) as proxy,
    ):
        await both_bound(proxy)
        esme = await proxy.esme()
        for number in range(2):
            esme.send(submit(), number)
        await wait_until(lambda: len(smsc.submitted) == 1)
        drop(smsc, SessionState.BOUND_TX)
        await wait_until(lambda: len(esme.answers) == 2)
        esme.send(submit(), 2)
        await wait_until(lambda: len(esme.answers) == 3)
        smsc.deliver(receipt(b"1"), "dlr")
        await wait_until(lambda: len(smsc.acknowledged) == 1)
        assert proxy.relays["c"].links.bound == 1
        assert [event.outcome for event in proxy.recorder.submitted] == ["unknown"]
        assert (proxy.relays["c"].in_flight, proxy.log.pending) == (0, {})
    assert sorted(answer[:2] for answer in esme.answers) == [
        (0, CommandStatus.RUNKNOWNERR),
        (1, FULL),
        (2, FULL),
    ]
    assert smsc.acknowledged == [("dlr", CommandStatus.ROK)]
    assert len(esme.delivered) == 1


async def test_without_a_receiver_messages_pass_and_receipts_wait_at_the_smsc(
    tmp_path: Path,
) -> None:
    """Results are recorded as always; when the receiver is back, the receipts come."""
    async with (
        run_smsc(Smsc()) as smsc,
        run_proxy({"c": smsc.port}, tmp_path, connection=PAIR) as proxy,
    ):
        await both_bound(proxy)
        esme = await proxy.esme()
        drop(smsc, SessionState.BOUND_RX)
        await wait_until(lambda: proxy.relays["c"].links.bound == 1)
        esme.send(submit(), 1)
        await wait_until(lambda: len(esme.answers) == 1)
        smsc.password = b"secret"
        await both_bound(proxy)
        smsc.deliver(receipt(b"id-1"), "dlr")
        await wait_until(lambda: len(esme.delivered) == 1)
        assert [event.outcome for event in proxy.recorder.submitted] == ["accepted"]
    assert esme.answers[0][:2] == (1, CommandStatus.ROK)


@pytest.mark.parametrize(
    ("keys", "answer"), [({"window": 1}, lambda _: None), ({"rate_per_s": 0.01}, None)]
)
async def test_no_message_waits_longer_than_the_limit(
    tmp_path: Path, keys: dict[str, Any], answer: Any
) -> None:
    """For a slot or for the rate: its ESME would take it for lost, and send it twice."""
    async with (
        run_smsc(Smsc(answer=answer)) as smsc,
        run_proxy({"c": smsc.port}, tmp_path, connection={"max_wait_s": 0.1} | keys) as proxy,
    ):
        esme = await proxy.esme(cls=pdu.BindTransmitter)
        for number in range(3):
            esme.send(submit(), number)
        await wait_until(lambda: len(smsc.submitted) == 1)

        def given_back() -> bool:
            proxy.relays["c"].tick()
            return [a[:2] for a in esme.answers if a[0]] == [(1, FULL), (2, FULL)]

        await wait_until(given_back)
    assert len(smsc.submitted) == 1
