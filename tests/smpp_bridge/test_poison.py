"""A PDU on which the bridge fails in a way that nobody foresaw ends itself, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smpp_bridge import mapping
from smpp_bridge.adapters.front import Front
from smpp_bridge.adapters.recorder import Recorder
from smpp_bridge.protocol.constants import CommandStatus, Tag
from smpp_bridge.protocol.pdu import DataSm
from smpp_bridge.protocol.session import Session
from smpp_bridge.shares import Shares
from tests.smpp_bridge.test_proxy import PERSON, reply, submit
from tests.support.proxy import RunningProxy, account, run_proxy
from tests.support.smsc import Smsc, run_smsc
from tests.support.topics import wait_until

Patch = pytest.MonkeyPatch
POISON = b"secret-poison"


def failing(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same, but no program foresees everything."""

    def failed(*args: Any, **keys: Any) -> Any:
        shown = [getattr(each, "short_message", b"") for each in args]
        shown += [getattr(getattr(each, "request", None), "short_message", b"") for each in args]
        if POISON in shown:
            raise KeyError(f"{POISON!r} of {PERSON!r}")
        return function(*args, **keys)

    return failed


def break_(patch: Patch, owner: Any, name: str) -> None:
    """Let one function fail on the poison."""
    patch.setattr(owner, name, failing(getattr(owner, name)))


INBOUND: dict[str, Callable[[Patch, RunningProxy], None]] = {
    "mapping": lambda patch, _: break_(patch, mapping, "received"),
    "owner": lambda patch, proxy: break_(patch, proxy.relays["c"]._owners, "owner_of"),
    "desk": lambda patch, proxy: break_(patch, proxy.desk, "deliver"),
    "send": lambda patch, _: break_(patch, Session, "send"),
}
OUTBOUND: dict[str, Callable[[Patch, RunningProxy], None]] = {
    "admit": lambda patch, proxy: break_(patch, proxy.desk, "_submit"),
    "write down": lambda patch, proxy: break_(patch, proxy.relays["c"]._clerk, "write_down"),
    "owner": lambda patch, proxy: break_(patch, proxy.relays["c"]._owners, "sent"),
    "send": lambda patch, _: break_(patch, Session, "send"),
}


def unexpected(proxy: RunningProxy) -> int:
    """All that was counted."""
    relays = sum(relay.counts.unexpected for relay in proxy.relays.values())
    return relays + sum(client.unexpected for client in proxy.desk.clients.values())


@pytest.mark.parametrize("place", INBOUND)
async def test_a_poisonous_deliver_sm_is_refused_for_now(
    monkeypatch: Patch, caplog: pytest.LogCaptureFixture, tmp_path: Path, place: str
) -> None:
    """RSYSERR: the SMSC keeps it. Its neighbours pass, and the log has the type alone."""
    async with run_smsc(Smsc()) as smsc, run_proxy({"c": smsc.port}, tmp_path) as proxy:
        esme = await proxy.esme()
        smsc_send = Session.send
        INBOUND[place](monkeypatch, proxy)
        for number, text in enumerate((b"one", POISON, b"two")):
            (peer,) = (each for each in smsc.peers if each.session.is_bound)
            smsc_send(peer.session, reply(text), number, 0)
            peer.flush()
        await wait_until(lambda: len(smsc.acknowledged) == 3)
        assert unexpected(proxy) == 1
        assert [esme.is_bound, len(smsc.peers)] == [True, 1]
    assert sorted(smsc.acknowledged) == [(0, 0), (1, CommandStatus.RSYSERR), (2, 0)]  # type: ignore[type-var]
    assert [each.short_message for each in esme.delivered] == [b"one", b"two"]  # type: ignore[union-attr]
    told = [record for record in caplog.records if "unexpected" in record.getMessage()]
    assert all(record.getMessage() == "unexpected KeyError" for record in told)
    shown = repr([vars(record) for record in caplog.records])
    assert not any(word in shown for word in (POISON.decode(), PERSON.decode()))


@pytest.mark.parametrize("place", OUTBOUND)
async def test_a_poisonous_submit_sm_is_refused_for_now(
    monkeypatch: Patch, tmp_path: Path, place: str
) -> None:
    """RSYSERR, and it has not been sent: nothing of it is pending, held or recorded."""
    async with run_smsc(Smsc()) as smsc, run_proxy({"c": smsc.port}, tmp_path) as proxy:
        esme = await proxy.esme()
        esme_send = Session.send
        OUTBOUND[place](monkeypatch, proxy)
        for number, text in enumerate((b"one", POISON, b"two")):
            esme_send(esme.session, submit(text), number, 0)
        esme.flush()
        await wait_until(lambda: len(esme.answers) == 3)
        assert unexpected(proxy) == 1
        relay = proxy.relays["c"]
        assert (relay.in_flight, relay.backlog, proxy.log.pending) == (0, 0, {})
        assert (relay._held.messages, relay._held.octets) == (0, 0)
        assert len(proxy.recorder.submitted) == 2
    answers = sorted(answer[:2] for answer in esme.answers)
    assert answers == [(0, 0), (1, CommandStatus.RSYSERR), (2, 0)]
    assert [each.short_message for each in smsc.submitted] == [b"one", b"two"]


async def test_an_answer_that_cannot_be_recorded_is_unknown(
    monkeypatch: Patch, tmp_path: Path
) -> None:
    """The SMSC has the message, so Kafka does; and a receipt behind it does not wait for ever."""
    async with run_smsc(Smsc()) as smsc, run_proxy({"c": smsc.port}, tmp_path) as proxy:
        esme = await proxy.esme()
        put_event = proxy.recorder.put_event

        def put_most(event: Any, done: Any) -> None:
            if getattr(event, "outcome", "") == "accepted":
                raise OverflowError
            put_event(event, done)

        monkeypatch.setattr(proxy.recorder, "put_event", put_most)
        esme.send(submit(), 1)
        await wait_until(lambda: len(esme.answers) == 1)
        smsc.deliver(reply(), "mo")
        await wait_until(lambda: len(smsc.acknowledged) == 1)
        assert [event.outcome for event in proxy.recorder.submitted] == ["unknown"]
        assert proxy.relays["c"].counts.unexpected == 1
        assert (proxy.relays["c"].in_flight, proxy.log.pending) == (0, {})
    assert esme.answers[0][:2] == (1, CommandStatus.RUNKNOWNERR)
    assert len(esme.delivered) == 1


async def test_a_poisonous_bind_is_refused_for_now(monkeypatch: Patch, tmp_path: Path) -> None:
    """Nobody else notices."""
    async with run_smsc(Smsc()) as smsc, run_proxy({"c": smsc.port}, tmp_path) as proxy:
        judge = proxy.desk._admission.judge

        def judge_most(request: Any, **keys: Any) -> Any:
            if request.system_id == b"poison":
                raise RecursionError
            return judge(request, **keys)

        monkeypatch.setattr(proxy.desk._admission, "judge", judge_most)
        assert (await proxy.esme("poison")).refused_with == CommandStatus.RSYSERR
        assert (await proxy.esme()).is_bound
        assert proxy.desk.listener.refused == {"unexpected": 1}


async def test_what_kafka_was_never_given_does_not_count_as_unconfirmed() -> None:
    """Else one event that cannot be encoded would make Kafka look away for ever."""

    class Refusing:
        def put_event(self, *_: Any) -> None:
            raise OverflowError

    recorder = Recorder(Refusing(), patience_s=-1)  # type: ignore[arg-type]
    with pytest.raises(OverflowError):
        recorder.put_event(None, lambda _: None)  # type: ignore[arg-type]
    assert not recorder.is_away


@pytest.mark.parametrize(
    ("bounds", "each"),
    [({"messages": 3, "octets": 10**9}, b"x"), ({"messages": 100, "octets": 4000}, b"x" * 1000)],
)
async def test_the_queue_of_the_unbound_is_bounded_over_all_accounts(
    tmp_path: Path, bounds: dict[str, int], each: bytes
) -> None:
    """By messages and by octets; beyond, the SMSC keeps them; what is delivered makes room."""
    accounts = [account(name, senders=(name,), when_unbound="queue") for name in "ab"]
    payload = ((Tag.MESSAGE_PAYLOAD, each),)
    async with run_smsc(Smsc()) as smsc, run_proxy({"c": smsc.port}, tmp_path, *accounts) as proxy:
        proxy.desk.deliveries.kept = Shares(1, **bounds)
        for number, name in enumerate((b"a", b"b", b"a", b"b")):
            smsc.deliver(reply(b"", destination_addr=name, tlvs=payload), number)
        await wait_until(lambda: len(smsc.acknowledged) == 4)
        assert smsc.acknowledged == [(0, 0), (1, 0), (2, 0), (3, CommandStatus.RX_T_APPN)]
        esme = await proxy.esme("a")
        await wait_until(lambda: len(esme.delivered) == 2)
        await wait_until(lambda: proxy.desk.deliveries.kept.messages == 1)
        other = await proxy.esme("b")
        await wait_until(lambda: len(other.delivered) == 1)
        await wait_until(lambda: proxy.desk.deliveries.kept.messages == 0)
        assert proxy.desk.deliveries.kept.octets == 0


async def test_what_the_queue_cannot_send_is_counted_as_dropped(tmp_path: Path) -> None:
    """The SMSC has its answer: an ESME of 3.3 never gets a text that only a TLV can hold."""
    queueing = account(when_unbound="queue")
    long = DataSm(
        source_addr=PERSON, destination_addr=b"1", tlvs=((Tag.MESSAGE_PAYLOAD, b"x" * 300),)
    )
    async with run_smsc(Smsc()) as smsc, run_proxy({"c": smsc.port}, tmp_path, queueing) as proxy:
        smsc.deliver(long, "long")
        smsc.deliver(reply(), "short")
        await wait_until(lambda: len(smsc.acknowledged) == 2)
        esme = await proxy.esme(interface_version=0x33)
        await wait_until(lambda: len(esme.delivered) == 1)
        assert proxy.desk.clients["shop"].dropped == 1
        await wait_until(lambda: proxy.desk.deliveries.kept.messages == 0)


async def test_what_was_kept_takes_no_room_when_its_answer_fails(
    monkeypatch: Patch, tmp_path: Path
) -> None:
    """The ESME has it or not, nobody knows; what comes next is kept as before."""
    queueing = account(when_unbound="queue")
    async with run_smsc(Smsc()) as smsc, run_proxy({"c": smsc.port}, tmp_path, queueing) as proxy:
        smsc.deliver(reply(POISON), "mo")
        await wait_until(lambda: proxy.desk.deliveries.kept.messages == 1)
        break_(monkeypatch, proxy.desk.deliveries, "answered")
        await proxy.esme()
        await wait_until(lambda: unexpected(proxy) == 1)
        assert (proxy.desk.deliveries.kept.messages, proxy.desk.clients["shop"].dropped) == (0, 1)


async def test_an_answer_that_cannot_be_written_holds_up_nothing(
    monkeypatch: Patch, tmp_path: Path
) -> None:
    """The result is in Kafka; what the SMSC sent after it goes on to the ESME."""
    async with run_smsc(Smsc()) as smsc, run_proxy({"c": smsc.port}, tmp_path) as proxy:
        esme = await proxy.esme()
        break_(monkeypatch, Front, "respond")
        esme.send(submit(POISON), 1)
        await wait_until(lambda: proxy.relays["c"].counts.unexpected == 1)
        smsc.deliver(reply(), "mo")
        await wait_until(lambda: len(smsc.acknowledged) == 1)
        esme.send(submit(), 2)
        await wait_until(lambda: len(esme.answers) == 1)
        assert [event.outcome for event in proxy.recorder.submitted] == ["accepted"] * 2
        assert (proxy.relays["c"].in_flight, proxy.log.pending) == (0, {})
    assert esme.answers[0][:2] == (2, CommandStatus.ROK)
