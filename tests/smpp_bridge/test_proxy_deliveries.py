"""deliver_sm that an ESME does not answer in time, or whose SMSC has left meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from smpp_bridge.protocol.constants import CommandStatus, Tag
from tests.smpp_bridge.test_proxy import reply
from tests.support.esme import Esme
from tests.support.proxy import HeldRecorder, RunningProxy, account, run_proxy
from tests.support.smsc import Smsc, run_smsc
from tests.support.topics import wait_until

WINDOW = 100
QUEUE = account(when_unbound="queue")


def texts(esme: Esme) -> list[bytes]:
    """What came, in order."""
    return [each.short_message for each in esme.delivered]  # type: ignore[union-attr]


def let_expire(proxy: RunningProxy) -> None:
    """The time for answers passes in the ESMEs' sessions."""
    for front in proxy.desk.clients["shop"].fronts:
        front.session.tick(front.now() + 61)
        front._report()


async def kept(smsc: Smsc, proxy: RunningProxy, number: int) -> None:
    """That many deliver_sm in the queue of an account that is not bound."""
    for each in range(number):
        smsc.deliver(reply(b"%d" % each), each)
    await wait_until(lambda: len(smsc.acknowledged) == number)
    assert proxy.desk.deliveries.kept.messages == number


async def test_what_waits_goes_out_when_answers_before_it_have_expired(tmp_path: Path) -> None:
    """The ESME lost its answers to a windowful, and is there again: nothing else need happen."""
    async with (
        run_smsc(Smsc()) as smsc,
        run_proxy({"c": smsc.port}, tmp_path, enquire_link_s=1000) as proxy,
    ):
        esme = await proxy.esme(status=None)
        for number in range(WINDOW + 30):
            smsc.deliver(reply(b"%d" % number), number)
        await wait_until(lambda: len(esme.delivered) == WINDOW)
        esme.status = CommandStatus.ROK
        let_expire(proxy)
        await wait_until(lambda: len(smsc.acknowledged) == WINDOW + 30)
        given_back = smsc.acknowledged.count
        assert sum(given_back((n, CommandStatus.RX_T_APPN)) for n in range(WINDOW)) == WINDOW
        assert len(esme.delivered) == WINDOW + 30
        assert not proxy.desk.clients["shop"].waiting


@pytest.mark.parametrize("is_writable", [True, False])
async def test_what_is_kept_goes_out_again_in_order_when_its_answers_have_expired(
    tmp_path: Path,
    is_writable: bool,  # noqa: FBT001 - pytest passes it
) -> None:
    """The SMSC has its ROK, so only we can bring them again."""
    async with (
        run_smsc(Smsc()) as smsc,
        run_proxy({"c": smsc.port}, tmp_path, QUEUE, enquire_link_s=1000) as proxy,
    ):
        await kept(smsc, proxy, 3)
        esme = await proxy.esme(status=None)
        await wait_until(lambda: len(esme.delivered) == 3)
        esme.status = CommandStatus.ROK
        (front,) = proxy.desk.clients["shop"].fronts
        front._is_writable = is_writable
        let_expire(proxy)
        front.resume_writing()
        await wait_until(lambda: proxy.desk.deliveries.kept.messages == 0)
        assert texts(esme) == [b"0", b"1", b"2"] * 2
        assert proxy.desk.clients["shop"].delivered == 3


async def test_what_a_session_did_not_answer_goes_to_another_one(tmp_path: Path) -> None:
    """Else the first of an account would be asked for ever."""
    async with (
        run_smsc(Smsc()) as smsc,
        run_proxy({"c": smsc.port}, tmp_path, QUEUE, enquire_link_s=1000) as proxy,
    ):
        await kept(smsc, proxy, 1)
        stuck = await proxy.esme(status=None)
        await wait_until(lambda: len(stuck.delivered) == 1)
        healthy = await proxy.esme()
        let_expire(proxy)
        await wait_until(lambda: proxy.desk.deliveries.kept.messages == 0)
        assert (len(stuck.delivered), texts(healthy)) == (1, [b"0"])


async def test_a_late_rok_ends_a_message_that_is_out_again(tmp_path: Path) -> None:
    """It is counted once, whatever the answer to the second try."""
    payload = ((Tag.MESSAGE_PAYLOAD, b"x" * 60_000),)
    async with (
        run_smsc(Smsc()) as smsc,
        run_proxy({"c": smsc.port}, tmp_path, QUEUE, enquire_link_s=1000) as proxy,
    ):
        client = proxy.desk.clients["shop"]
        smsc.deliver(reply(b"", tlvs=payload), 1)
        await wait_until(lambda: len(smsc.acknowledged) == 1)
        esme = await proxy.esme(status=None)
        await wait_until(lambda: len(esme.delivered) == 1)
        let_expire(proxy)
        await wait_until(lambda: len(esme.delivered) == 2)
        esme.session.respond(esme.delivered[0])
        esme.flush()
        await wait_until(lambda: proxy.desk.deliveries.kept.messages == 0)
        (front,) = client.fronts
        (again,) = front.session.window._waiting.values()
        assert not again.context.request.tlvs
        esme.session.respond(esme.delivered[1], CommandStatus.RX_P_APPN)
        esme.flush()
        await wait_until(lambda: not len(front.session.window))
        assert (client.delivered, client.dropped) == (1, 0)
        assert proxy.desk.deliveries.kept.octets == 0


@pytest.mark.parametrize("status", [CommandStatus.ROK, CommandStatus.RX_P_APPN])
async def test_a_session_holds_no_octets_of_what_a_second_try_has_ended(
    tmp_path: Path, status: CommandStatus
) -> None:
    """It remembers the first try for a late answer: 4096 of them, of up to 64 KiB."""
    payload = ((Tag.MESSAGE_PAYLOAD, b"x" * 60_000),)
    async with (
        run_smsc(Smsc()) as smsc,
        run_proxy({"c": smsc.port}, tmp_path, QUEUE, enquire_link_s=1000) as proxy,
    ):
        smsc.deliver(reply(b"", tlvs=payload), 1)
        await wait_until(lambda: len(smsc.acknowledged) == 1)
        esme = await proxy.esme(status=None)
        await wait_until(lambda: len(esme.delivered) == 1)
        esme.status = status
        let_expire(proxy)
        await wait_until(lambda: proxy.desk.deliveries.kept.messages == 0)
        (front,) = proxy.desk.clients["shop"].fronts
        (first,) = front.session.window._late.values()
        assert not first.context.request.tlvs


async def test_what_waits_is_let_go_with_the_link_on_which_it_came(tmp_path: Path) -> None:
    """The SMSC brings it again on the next one; what an ESME has already gives its share once."""
    async with (
        run_smsc(Smsc()) as smsc,
        run_proxy({"c": smsc.port}, tmp_path, enquire_link_s=1000) as proxy,
    ):
        esme = await proxy.esme(status=None)
        for number in range(WINDOW + 50):
            smsc.deliver(reply(b"%d" % number), number)
        client, held = proxy.desk.clients["shop"], proxy.relays["c"]._forwarding._held
        await wait_until(lambda: len(esme.delivered) == WINDOW and len(client.waiting) == 50)
        smsc.peers[-1].reset()
        await wait_until(lambda: not client.waiting)
        assert held.messages == WINDOW
        await wait_until(lambda: smsc.is_bound)
        smsc.deliver(reply(b"again"), "again")
        await wait_until(lambda: len(client.waiting) == 1)
        for request in esme.delivered[:50]:
            esme.session.respond(request)
        esme.flush()
        await wait_until(lambda: len(esme.delivered) == WINDOW + 1)
        let_expire(proxy)
        await wait_until(lambda: smsc.acknowledged == [("again", CommandStatus.RX_T_APPN)])
        assert (held.messages, held.octets) == (0, 0)
        assert (client.delivered, texts(esme)[-1]) == (50, b"again")


async def test_what_is_kept_outlives_the_link_on_which_it_came(tmp_path: Path) -> None:
    """The SMSC has its ROK and will not bring it again."""
    async with run_smsc(Smsc()) as smsc, run_proxy({"c": smsc.port}, tmp_path, QUEUE) as proxy:
        await kept(smsc, proxy, 2)
        smsc.peers[-1].reset()
        await wait_until(lambda: len(smsc.peers) == 2 and smsc.is_bound)
        esme = await proxy.esme()
        await wait_until(lambda: texts(esme) == [b"0", b"1"])


async def test_what_kafka_stores_after_its_link_has_gone_is_not_forwarded(tmp_path: Path) -> None:
    """It was never answered, so it comes again; the ESME's customer sees it once."""
    recorder = HeldRecorder(holds=True)
    async with (
        run_smsc(Smsc()) as smsc,
        run_proxy({"c": smsc.port}, tmp_path, recorder=recorder) as proxy,
    ):
        esme = await proxy.esme()
        smsc.deliver(reply(b"1"), 1)
        await wait_until(lambda: len(recorder.waiting) == 1)
        smsc.peers[-1].reset()
        await wait_until(lambda: len(smsc.peers) == 2 and smsc.is_bound)
        smsc.deliver(reply(b"1"), "again")
        await wait_until(lambda: len(recorder.waiting) == 2)
        recorder.store()
        await wait_until(lambda: smsc.acknowledged == [("again", CommandStatus.ROK)])
        assert texts(esme) == [b"1"]
