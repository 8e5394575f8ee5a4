"""Proxy mode on real sockets, with a Kafka that answers when the test says so."""

from __future__ import annotations

import asyncio
import re
import shutil
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from runtime.kafka import PublishError
from schemas.events import InboundReceived, MessageSubmitted, ReceiptReceived
from smpp_bridge.configuration import ContentTag
from smpp_bridge.protocol import pdu
from smpp_bridge.protocol.codec import encode
from smpp_bridge.protocol.constants import ESM_RECEIPT, CommandStatus, Tag
from tests.support.bridge import TOKENIZER
from tests.support.proxy import HeldRecorder, account, run_proxy
from tests.support.smsc import Smsc, run_smsc
from tests.support.topics import wait_until

PERSON = b"8613800000001"
SENDER = b"10690001"
VENDOR_TLV = (0x1403, b"\x01\x02\x00")


def submit(text: bytes = b"hi", **fields: Any) -> pdu.SubmitSm:
    """A submit_sm of an ESME."""
    values: dict[str, Any] = {"source_addr": SENDER, "destination_addr": PERSON}
    return pdu.SubmitSm(short_message=text, **values | fields)


def receipt(message_id: bytes, **fields: Any) -> pdu.DeliverSm:
    """A receipt of the operator."""
    values: dict[str, Any] = {"source_addr": PERSON, "destination_addr": SENDER}
    body = b"id:%b stat:DELIVRD err:000" % message_id
    return pdu.DeliverSm(esm_class=ESM_RECEIPT, short_message=body, **values | fields)


def reply(text: bytes = b"STOP", **fields: Any) -> pdu.DeliverSm:
    """An MO."""
    values: dict[str, Any] = {"source_addr": PERSON, "destination_addr": SENDER}
    return pdu.DeliverSm(short_message=text, **values | fields)


def octets(request: pdu.Pdu) -> bytes:
    """What stood on the wire, less the sequence number."""
    return encode(request, 0, is_strict=False)


def test_an_event_of_a_passing_message_is_documented() -> None:
    """The fields that only a proxy fills."""
    assert {"account", "content_tag"} <= set(MessageSubmitted.__struct_fields__)


async def test_messages_pass_octet_for_octet_in_both_directions(tmp_path: Path) -> None:
    """Addresses, flags, odd codings, vendor TLVs, a TLV in the answer, an address too long."""
    sent = [
        submit(b"\x00\xff\x1b", data_coding=0xF5, esm_class=0x40, validity_period=b"x" * 16),
        submit(b"", tlvs=((Tag.MESSAGE_PAYLOAD, b"y" * 60_000), VENDOR_TLV, VENDOR_TLV)),
        pdu.DataSm(
            source_addr=SENDER, destination_addr=PERSON, tlvs=((Tag.MESSAGE_PAYLOAD, b"z"),)
        ),
    ]
    came = [
        reply(b"\x80\x81", data_coding=3, source_addr=b"+" + PERSON, tlvs=(VENDOR_TLV,)),
        reply(b"x", destination_addr=b"9" * 30),
        receipt(b"id-1"),
    ]
    async with (
        run_smsc(Smsc(answer=lambda _: (CommandStatus.ROK, b"id-1"))) as smsc,
        run_proxy({"c": smsc.port}, tmp_path, account(senders=("9*",))) as proxy,
    ):
        esme = await proxy.esme()
        for request in sent:
            esme.send(request, None)
        await wait_until(lambda: len(esme.answers) == 3)
        for delivered in came:
            smsc.deliver(delivered, "d")
        await wait_until(lambda: len(smsc.acknowledged) == 3)
    assert [octets(request) for request in smsc.submitted] == [octets(each) for each in sent]
    assert [octets(request) for request in esme.delivered] == [octets(each) for each in came]
    assert {response.message_id for response in esme.responses} == {b"id-1"}
    assert {type(response) for response in esme.responses} == {pdu.SubmitSmResp, pdu.DataSmResp}
    assert smsc.acknowledged == [("d", CommandStatus.ROK)] * 3


async def test_everything_that_passes_is_an_event_without_number_or_text(tmp_path: Path) -> None:
    """Who sent what kind of thing to whom, as tokens; receipt and reply, too."""
    tags = (ContentTag(tag="coupon", text=re.compile("优惠券"), source_addr=re.compile("^1069")),)
    text = "您有一张优惠券 secret-words".encode("utf-16-be")
    async with (
        run_smsc(Smsc(answer=lambda _: (CommandStatus.ROK, b"77"))) as smsc,
        run_proxy({"c": smsc.port}, tmp_path, content_tags=tags) as proxy,
    ):
        esme = await proxy.esme()
        esme.send(submit(text, data_coding=8), None)
        esme.send(submit(b"plain"), None)
        await wait_until(lambda: len(esme.answers) == 2)
        smsc.deliver(receipt(b"77"), "dlr")
        smsc.deliver(reply(), "mo")
        await wait_until(lambda: len(smsc.acknowledged) == 2)
        first, second = proxy.recorder.submitted
        arrived = proxy.recorder.received
    assert (first.subject, first.account) == (TOKENIZER.token(PERSON.decode()), "shop")
    assert (first.content_tag, second.content_tag) == ("coupon", None)
    assert (first.outcome, first.smsc_message_id, first.encoding) == ("accepted", "77", "ucs2")
    assert first.message_id != second.message_id
    assert {type(event) for event in arrived} == {ReceiptReceived, InboundReceived}
    shown = repr([first, second, *arrived])
    assert "13800000001" not in shown
    assert "secret-words" not in shown


async def test_parts_of_a_long_message_share_its_name_and_tag(tmp_path: Path) -> None:
    """The worker counts one message; a part that is sent again is part of it."""
    tags = (ContentTag(tag="coupon", text=re.compile("coupon")),)
    parts = [
        submit(b"\x05\x00\x03\x07\x02" + bytes((number,)) + text, esm_class=0x40)
        for number, text in ((1, b"a coupon"), (2, b"for you"), (2, b"for you"))
    ]
    async with (
        run_smsc(Smsc()) as smsc,
        run_proxy({"c": smsc.port}, tmp_path, content_tags=tags) as proxy,
    ):
        esme = await proxy.esme()
        for part in parts:
            esme.send(part, None)
        await wait_until(lambda: len(esme.answers) == 3)
        events = proxy.recorder.submitted
    assert [(event.part, event.parts, event.content_tag) for event in events] == [
        (1, 2, "coupon"),
        (2, 2, "coupon"),
        (2, 2, "coupon"),
    ]
    assert len({event.message_id for event in events}) == 1
    assert len({event.event_id for event in events}) == 3


async def test_answers_wait_for_kafka_both_ways(tmp_path: Path) -> None:
    """The promise: no answer to ESME or SMSC before Kafka has the event."""
    recorder = HeldRecorder(holds=True)
    async with (
        run_smsc(Smsc(answer=lambda _: (CommandStatus.ROK, b"77"))) as smsc,
        run_proxy({"c": smsc.port}, tmp_path, recorder=recorder) as proxy,
    ):
        esme = await proxy.esme()
        esme.send(submit(), None)
        await wait_until(lambda: len(recorder.waiting) == 1)
        await asyncio.sleep(0.05)
        assert esme.answers == []
        recorder.store()
        await wait_until(lambda: len(esme.answers) == 1)
        smsc.deliver(receipt(b"77"), "dlr")
        await wait_until(lambda: len(recorder.waiting) == 1)
        await asyncio.sleep(0.05)
        assert (smsc.acknowledged, esme.delivered) == ([], [])
        recorder.store()
        await wait_until(lambda: len(smsc.acknowledged) == 1)
        assert len(esme.delivered) == 1
        smsc.deliver(reply(), "mo")
        await wait_until(lambda: len(recorder.waiting) == 1)
        recorder.store(PublishError("down"))
        await wait_until(lambda: len(smsc.acknowledged) == 2)
    assert smsc.acknowledged == [("dlr", CommandStatus.ROK), ("mo", CommandStatus.RX_T_APPN)]
    assert len(esme.delivered) == 1


async def test_a_receipt_does_not_overtake_the_answer_before_it(tmp_path: Path) -> None:
    """Kafka stores the receipt first: the ESME still reads the id before the receipt of it."""
    recorder = HeldRecorder(holds=True)
    async with (
        run_smsc(Smsc(answer=lambda _: (CommandStatus.ROK, b"id-1"))) as smsc,
        run_proxy({"c": smsc.port}, tmp_path, recorder=recorder) as proxy,
    ):
        esme = await proxy.esme()
        esme.send(submit(), None)
        await wait_until(lambda: len(recorder.waiting) == 1)
        smsc.deliver(receipt(b"id-1"), "dlr")
        await wait_until(lambda: len(recorder.waiting) == 2)
        answered, received = recorder.waiting
        received(None)
        await asyncio.sleep(0.05)
        assert (esme.answers, esme.delivered) == ([], [])
        answered(None)
        recorder.waiting.clear()
        await wait_until(lambda: bool(esme.delivered))
        assert len(esme.answers) == 1


async def test_the_esmes_own_refusal_reaches_the_smsc(tmp_path: Path) -> None:
    """The SMSC keeps what the ESME does not want yet."""
    async with (
        run_smsc(Smsc(answer=lambda _: (CommandStatus.ROK, b"77"))) as smsc,
        run_proxy({"c": smsc.port}, tmp_path, account(senders=("1069*",))) as proxy,
    ):
        await proxy.esme(status=CommandStatus.RMSGQFUL)
        smsc.deliver(reply(), "mo")
        await wait_until(lambda: len(smsc.acknowledged) == 1)
    assert smsc.acknowledged == [("mo", CommandStatus.RMSGQFUL)]


@pytest.mark.parametrize(
    ("system_id", "password", "cls", "keys", "status"),
    [
        ("shop", "wrong", pdu.BindTransceiver, {}, CommandStatus.RINVPASWD),
        ("shop", "", pdu.BindTransceiver, {}, CommandStatus.RINVPASWD),
        ("nobody", "secret", pdu.BindTransceiver, {}, CommandStatus.RINVPASWD),
        ("", "", pdu.BindTransceiver, {}, CommandStatus.RINVPASWD),
        ("shop", "secret", pdu.BindTransceiver, {"max_binds": 1}, CommandStatus.RALYBND),
        (
            "shop",
            "secret",
            pdu.BindReceiver,
            {"binds": ("transceiver", "transmitter")},
            CommandStatus.RBINDFAIL,
        ),
    ],
)
async def test_binds_are_refused_without_effect_on_other_sessions(
    tmp_path: Path,
    system_id: str,
    password: str,
    cls: type[pdu.Bind],
    keys: dict[str, Any],
    status: CommandStatus,
) -> None:
    """Each reason has its status, the connection is closed, and the ESME beside it works on."""
    async with (
        run_smsc(Smsc()) as smsc,
        run_proxy({"c": smsc.port}, tmp_path, account(**keys)) as proxy,
    ):
        good = await proxy.esme()
        refused = await proxy.esme(system_id, password, cls=cls)
        assert refused.refused_with == status
        await wait_until(lambda: refused.is_closed)
        good.send(submit(), None)
        await wait_until(lambda: len(good.answers) == 1)
    assert good.answers[0][1] == CommandStatus.ROK


async def test_an_address_that_is_not_allowed_is_refused(tmp_path: Path) -> None:
    """Even with the right password."""
    elsewhere = account(allow=(ip_network("10.0.0.0/8"),))
    here = account("here", allow=(ip_network("127.0.0.0/8"), ip_network("::1/128")))
    async with (
        run_smsc(Smsc()) as smsc,
        run_proxy({"c": smsc.port}, tmp_path, elsewhere, here) as proxy,
    ):
        assert (await proxy.esme()).refused_with == CommandStatus.RBINDFAIL
        assert (await proxy.esme("here")).is_bound


async def test_a_bind_is_free_again_when_its_session_ends(tmp_path: Path) -> None:
    """RALYBND is no trap: whoever drops may come back at once."""
    async with (
        run_smsc(Smsc()) as smsc,
        run_proxy({"c": smsc.port}, tmp_path, account(max_binds=1)) as proxy,
    ):
        first = await proxy.esme()
        first.drop()
        await wait_until(lambda: proxy.desk.clients["shop"].bound == 0)
        assert (await proxy.esme()).is_bound


@pytest.mark.parametrize(
    ("keys", "status"),
    [({"rate_per_s": 0.01}, CommandStatus.RTHROTTLED), ({"window": 1}, CommandStatus.RMSGQFUL)],
)
async def test_limits_of_an_account_hold_for_it_alone(
    tmp_path: Path, keys: dict[str, Any], status: CommandStatus
) -> None:
    """The first message passes, more are refused for now; another account is not touched."""
    async with (
        run_smsc(Smsc()) as smsc,
        run_proxy({"c": smsc.port}, tmp_path, account(**keys), account("other")) as proxy,
    ):
        limited, other = await proxy.esme(), await proxy.esme("other")
        for number in range(3):
            limited.send(submit(), number)
            other.send(submit(), number)
        await wait_until(lambda: len(limited.answers) == len(other.answers) == 3)
        refused = proxy.desk.clients["shop"].refused
    assert sorted(answer[:2] for answer in limited.answers) == [(0, 0), (1, status), (2, status)]
    assert {answer[1] for answer in other.answers} == {CommandStatus.ROK}
    assert refused == {status: 2}


async def test_receipts_go_to_the_account_that_sent_and_replies_to_the_last(
    tmp_path: Path,
) -> None:
    """By id however it is spelt, then by person and sender; each on its own connection, too."""
    async with (
        run_smsc(Smsc(answer=lambda _: (0, b"10C8F40D"))) as one,
        run_smsc(Smsc(answer=lambda _: (0, b"9"))) as two,
        run_proxy(
            {"c": one.port, "d": two.port},
            tmp_path,
            account("a"),
            account("b"),
            account("other", "d"),
        ) as proxy,
    ):
        a, b, other = [await proxy.esme(name) for name in ("a", "b", "other")]
        a.send(submit(), None)
        await wait_until(lambda: len(a.answers) == 1)
        one.answer = lambda _: (0, b"8")
        b.send(submit(), None)
        other.send(submit(), None)
        await wait_until(lambda: len(b.answers) == len(other.answers) == 1)
        one.deliver(receipt(b"281605133"), "dlr of a, decimal")
        one.deliver(receipt(b"8"), "dlr of b")
        one.deliver(reply(b"hello"), "mo to b")
        two.deliver(receipt(b"unheard-of"), "dlr of other")
        await wait_until(lambda: len(one.acknowledged) == 3 and len(two.acknowledged) == 1)
    assert [each.short_message[:12] for each in a.delivered] == [b"id:281605133"]  # type: ignore[union-attr]
    assert [each.short_message[:5] for each in b.delivered] == [b"id:8 ", b"hello"]  # type: ignore[union-attr]
    assert len(other.delivered) == 1
    assert (len(one.submitted), len(two.submitted)) == (2, 1)


@pytest.mark.parametrize(
    ("keys", "status"),
    [
        ({}, CommandStatus.RX_T_APPN),
        ({"unrouted": "refuse"}, CommandStatus.RX_T_APPN),
        ({"unrouted": "drop"}, CommandStatus.ROK),
    ],
)
async def test_a_deliver_sm_of_nobody_is_recorded_counted_and_answered_by_the_policy(
    tmp_path: Path, keys: dict[str, Any], status: CommandStatus, caplog: pytest.LogCaptureFixture
) -> None:
    """Refused, so that it comes again, or dropped; the log line names no number."""
    async with (
        run_smsc(Smsc()) as smsc,
        run_proxy({"c": smsc.port}, tmp_path, account("a"), account("b"), **keys) as proxy,
    ):
        esmes = [await proxy.esme(name) for name in "ab"]
        smsc.deliver(reply(destination_addr=b"12345"), "mo")
        smsc.deliver(receipt(b"unheard-of"), "dlr")
        await wait_until(lambda: len(smsc.acknowledged) == 2)
        assert proxy.relays["c"].unrouted == 2
        assert len(proxy.recorder.received) == 2
    assert smsc.acknowledged == [("mo", status), ("dlr", status)]
    assert [esme.delivered for esme in esmes] == [[], []]
    assert "12345" not in caplog.text
    assert PERSON.decode() not in caplog.text


async def test_the_only_account_of_a_connection_gets_what_is_of_nobody_else(tmp_path: Path) -> None:
    """Without `senders`, right after a start, whatever it is."""
    async with run_smsc(Smsc()) as smsc, run_proxy({"c": smsc.port}, tmp_path) as proxy:
        esme = await proxy.esme()
        smsc.deliver(reply(destination_addr=b"12345"), "mo")
        smsc.deliver(receipt(b"of-yesterday"), "dlr")
        await wait_until(lambda: len(smsc.acknowledged) == 2)
        assert proxy.relays["c"].unrouted == 0
    assert smsc.acknowledged == [("mo", CommandStatus.ROK), ("dlr", CommandStatus.ROK)]
    assert len(esme.delivered) == 2


async def test_a_killed_proxy_still_knows_whose_receipts_and_replies_come(tmp_path: Path) -> None:
    """Two accounts without `senders` share a connection; what was on disk at SIGKILL decides."""
    accounts = (account("a"), account("b"))
    async with run_smsc(Smsc(answer=lambda _: (0, b"10C8F40D"))) as smsc:
        async with run_proxy({"c": smsc.port}, tmp_path / "one", *accounts) as proxy:
            esmes = {name: await proxy.esme(name) for name in "ab"}
            esmes["a"].send(submit(), None)
            await wait_until(lambda: len(esmes["a"].answers) == 1)
            smsc.answer = lambda _: (0, b"8")
            esmes["b"].send(submit(), None)
            await wait_until(lambda: len(esmes["b"].answers) == 1)
            shutil.copytree(tmp_path / "one", tmp_path / "two")
        async with run_proxy({"c": smsc.port}, tmp_path / "two", *accounts) as proxy:
            esmes = {name: await proxy.esme(name) for name in "ab"}
            smsc.deliver(receipt(b"281605133"), "dlr of a, decimal")
            smsc.deliver(receipt(b"8"), "dlr of b")
            smsc.deliver(receipt(b""), "dlr of b, without id")
            smsc.deliver(reply(b"hello"), "mo to b")
            await wait_until(lambda: len(smsc.acknowledged) == 4)
    assert {status for _, status in smsc.acknowledged} == {CommandStatus.ROK}
    assert [each.short_message[:6] for each in esmes["a"].delivered] == [b"id:281"]  # type: ignore[union-attr]
    assert len(esmes["b"].delivered) == 3


@pytest.mark.parametrize(
    ("policy", "status", "arrives"),
    [
        ("refuse", CommandStatus.RX_T_APPN, 0),
        ("drop", CommandStatus.ROK, 0),
        ("queue", CommandStatus.ROK, 3),
    ],
)
@pytest.mark.parametrize("first", ["transmitter only", "nobody"])
async def test_while_no_session_receives_the_policy_decides(
    tmp_path: Path, policy: Any, status: CommandStatus, arrives: int, first: str
) -> None:
    """Refused (it comes again), dropped after recording, or queued in order until one binds."""
    async with (
        run_smsc(Smsc()) as smsc,
        run_proxy(
            {"c": smsc.port}, tmp_path, account(senders=("1069*",), when_unbound=policy)
        ) as proxy,
    ):
        if first == "transmitter only":
            await proxy.esme(cls=pdu.BindTransmitter)
        for number in range(3):
            smsc.deliver(reply(b"%d" % number), number)
        await wait_until(lambda: len(smsc.acknowledged) == 3)
        assert {answer for _, answer in smsc.acknowledged} == {status}
        esme = await proxy.esme()
        await wait_until(lambda: len(esme.delivered) == arrives)
        assert proxy.desk.clients["shop"].dropped == (3 if policy == "drop" else 0)
    assert [each.short_message for each in esme.delivered] == [  # type: ignore[union-attr]
        b"%d" % number for number in range(arrives)
    ]


async def test_an_esme_that_drops_with_deliver_sm_in_flight_loses_none(tmp_path: Path) -> None:
    """Those it had not acknowledged are refused towards the SMSC, which sends them again."""
    async with (
        run_smsc(Smsc()) as smsc,
        run_proxy({"c": smsc.port}, tmp_path, account(senders=("1069*",))) as proxy,
    ):
        esme = await proxy.esme(status=None)
        for number in range(150):  # more than its window of 100
            smsc.deliver(reply(b"%d" % number), number)
        await wait_until(lambda: len(esme.delivered) == 100)
        assert smsc.acknowledged == []
        esme.drop()
        await wait_until(lambda: len(smsc.acknowledged) == 150)
    assert {status for _, status in smsc.acknowledged} == {CommandStatus.RX_T_APPN}


async def test_while_kafka_is_away_nothing_is_forwarded_unrecorded(tmp_path: Path) -> None:
    """The configured status, for now; afterwards traffic flows again."""
    async with (
        run_smsc(Smsc()) as smsc,
        run_proxy({"c": smsc.port}, tmp_path, kafka_away_status=CommandStatus.RMSGQFUL) as proxy,
    ):
        esme = await proxy.esme()
        proxy.recorder.is_away = True
        esme.send(submit(), 1)
        await wait_until(lambda: len(esme.answers) == 1)
        proxy.recorder.is_away = False
        esme.send(submit(), 2)
        await wait_until(lambda: len(esme.answers) == 2)
    assert [answer[:2] for answer in esme.answers] == [(1, CommandStatus.RMSGQFUL), (2, 0)]
    assert len(smsc.submitted) == 1


async def test_what_was_cut_off_is_unknown_to_kafka_and_to_the_esme(tmp_path: Path) -> None:
    """The SMSC drops with messages in its hands: recorded, and told as RUNKNOWNERR."""
    async with (
        run_smsc(Smsc(answer=lambda _: None)) as smsc,
        run_proxy({"c": smsc.port}, tmp_path) as proxy,
    ):
        esme = await proxy.esme()
        for number in range(5):
            esme.send(submit(), number)
        await wait_until(lambda: len(smsc.submitted) == 5)
        smsc.peers[0]._transport.abort()
        await wait_until(lambda: len(esme.answers) == 5)
        assert {event.outcome for event in proxy.recorder.submitted} == {"unknown"}
        assert proxy.log.pending == {}
    assert {answer[1] for answer in esme.answers} == {CommandStatus.RUNKNOWNERR}


async def test_without_the_smsc_messages_are_refused_for_now(tmp_path: Path) -> None:
    """RMSGQFUL, also for those that waited for a slot when it went."""
    async with (
        run_smsc(Smsc(answer=lambda _: None)) as smsc,
        run_proxy({"c": smsc.port}, tmp_path, connection={"window": 1}) as proxy,
    ):
        esme = await proxy.esme()
        for number in range(3):
            esme.send(submit(), number)
        await wait_until(lambda: len(smsc.submitted) == 1)
        smsc.password = b"changed"
        smsc.peers[0]._transport.abort()
        await wait_until(lambda: not proxy.relays["c"].links.bound)
        proxy.relays["c"].tick()
        esme.send(submit(), 3)
        await wait_until(lambda: len(esme.answers) == 4)
    assert sorted(answer[:2] for answer in esme.answers) == [
        (0, CommandStatus.RUNKNOWNERR),
        (1, CommandStatus.RMSGQFUL),
        (2, CommandStatus.RMSGQFUL),
        (3, CommandStatus.RMSGQFUL),
    ]


async def test_a_destination_that_cannot_be_recorded_is_refused(tmp_path: Path) -> None:
    """Nothing is forwarded that Kafka will not know."""
    async with run_smsc(Smsc()) as smsc, run_proxy({"c": smsc.port}, tmp_path) as proxy:
        esme = await proxy.esme()
        esme.send(submit(destination_addr=b"SHOP"), None)
        await wait_until(lambda: len(esme.answers) == 1)
    assert esme.answers[0][1] == CommandStatus.RINVDSTADR
    assert smsc.submitted == []


async def test_after_a_crash_pending_messages_become_unknown_once(tmp_path: Path) -> None:
    """The transit log names what the SMSC may have; its second reading finds nothing."""
    recorder = HeldRecorder(holds=True)
    async with run_smsc(Smsc()) as smsc:
        async with run_proxy({"c": smsc.port}, tmp_path, recorder=recorder) as proxy:
            esme = await proxy.esme()
            esme.send(submit(), None)
            await wait_until(lambda: len(recorder.waiting) == 1)
            crashed = (tmp_path / "transit.log").read_bytes()
        (tmp_path / "transit.log").write_bytes(crashed + b"\x00\x00\x01\x00btorn")
        async with run_proxy({"c": smsc.port}, tmp_path) as proxy:
            await wait_until(lambda: proxy.log.pending == {})
            (cut,) = proxy.recorder.submitted
        async with run_proxy({"c": smsc.port}, tmp_path) as proxy:
            assert proxy.recorder.submitted == []
    (real,) = recorder.submitted
    assert (cut.outcome, real.outcome) == ("unknown", "accepted")
    assert cut.message_id == real.message_id
    assert cut.event_id != real.event_id


async def test_a_slow_account_does_not_hold_up_the_others(tmp_path: Path) -> None:
    """Beyond the half that is free its deliver_sm are refused; the link goes on for the rest."""
    async with (
        run_smsc(Smsc()) as smsc,
        run_proxy(
            {"c": smsc.port},
            tmp_path,
            account("slow", senders=("1",)),
            account("fast", senders=("2",)),
        ) as proxy,
    ):
        await proxy.esme("slow", status=None)
        fast = await proxy.esme("fast")
        for number in range(1500):
            smsc.deliver(reply(b"%d" % number, destination_addr=b"1"), "slow")
        smsc.deliver(reply(destination_addr=b"2"), "fast")
        await wait_until(lambda: ("fast", 0) in smsc.acknowledged)
        assert len(fast.delivered) == 1
        assert smsc.acknowledged.count(("slow", CommandStatus.RX_T_APPN)) == 1000


async def test_slow_accounts_together_do_not_make_the_link_rest(tmp_path: Path) -> None:
    """Each within its share, and all of them within a quarter of what rests the link."""
    names = ("1", "2", "3")
    async with (
        run_smsc(Smsc()) as smsc,
        run_proxy(
            {"c": smsc.port},
            tmp_path,
            *(account(name, senders=(name,)) for name in names),
            connection={"max_unacknowledged": 40},
        ) as proxy,
    ):
        for name in names[:2]:
            await proxy.esme(name, status=None)
        fast = await proxy.esme("3")
        for number in range(100):
            for name in names[:2]:
                smsc.deliver(reply(b"%d" % number, destination_addr=name.encode()), "slow")
        await wait_until(lambda: len(smsc.acknowledged) == 194)
        for number in range(50):
            smsc.deliver(reply(b"%d" % number, destination_addr=b"3"), "fast")
            await wait_until(lambda: smsc.acknowledged.count(("fast", 0)) == number + 1)  # noqa: B023
        assert len(fast.delivered) == 50
        assert smsc.acknowledged.count(("slow", CommandStatus.RX_T_APPN)) == 194


async def test_a_late_rok_takes_a_message_out_of_the_queue(tmp_path: Path) -> None:
    """The ESME has it; sent once more, its customer would see it twice."""
    async with (
        run_smsc(Smsc()) as smsc,
        run_proxy(
            {"c": smsc.port},
            tmp_path,
            account(when_unbound="queue"),
            response_timeout_s=0.2,
        ) as proxy,
    ):
        client = proxy.desk.clients["shop"]
        smsc.deliver(reply(b"1"), 1)
        await wait_until(lambda: smsc.acknowledged == [(1, 0)])
        esme = await proxy.esme(status=None)
        await wait_until(lambda: len(esme.delivered) == 1)
        (front,) = client.fronts
        front._is_writable = False  # it cannot be sent again before the answer is here
        await wait_until(lambda: len(client.waiting) == 1)
        esme.session.respond(esme.delivered[0])
        esme.flush()
        await wait_until(lambda: not client.waiting)
        front.resume_writing()
        smsc.deliver(reply(b"2"), 2)
        await wait_until(lambda: len(esme.delivered) == 2)
        assert [request.short_message for request in esme.delivered] == [b"1", b"2"]
        assert (client.delivered, proxy.desk.deliveries.kept.messages) == (1, 0)
