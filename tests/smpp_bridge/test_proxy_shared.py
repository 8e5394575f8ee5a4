"""What one ESME of the proxy does to the others, and to the operator behind it."""

from __future__ import annotations

from pathlib import Path

import pytest

from smpp_bridge.protocol import pdu
from smpp_bridge.protocol.codec import encode
from smpp_bridge.protocol.constants import CommandStatus, Tag
from tests.smpp_bridge.test_proxy import PERSON, SENDER, reply, submit
from tests.support.proxy import account, run_proxy
from tests.support.smsc import Smsc, run_smsc
from tests.support.topics import wait_until


async def test_tlvs_of_an_esmes_answer_reach_the_smsc(tmp_path: Path) -> None:
    """Why the ESME did not take it (§5.3.2.11), for instance."""
    tlvs = ((Tag.DELIVERY_FAILURE_REASON, b"\x03"), (0x1403, b"vendor"))
    data_sm = pdu.DataSm(destination_addr=b"1", tlvs=((Tag.MESSAGE_PAYLOAD, b"hi"),))
    async with (
        run_smsc(Smsc()) as smsc,
        run_proxy({"c": smsc.port}, tmp_path, account(senders=("1*",))) as proxy,
    ):
        esme = await proxy.esme(status=CommandStatus.RX_P_APPN)
        esme.tlvs = tlvs
        smsc.deliver(reply(), "deliver_sm")
        smsc.deliver(data_sm, "data_sm")
        await wait_until(lambda: len(smsc.responses) == 2)
    assert {(type(each), each.tlvs) for each in smsc.responses} == {
        (pdu.DeliverSmResp, tlvs),
        (pdu.DataSmResp, tlvs),
    }
    assert {each.command_status for each in smsc.responses} == {CommandStatus.RX_P_APPN}


@pytest.mark.parametrize("status", [CommandStatus.RTHROTTLED, CommandStatus.RMSGQFUL])
async def test_an_answer_that_asks_for_another_try_is_no_result(
    tmp_path: Path, status: CommandStatus
) -> None:
    """The ESME tries again and that try has a result; a rejection would be counted for nothing."""
    smsc = Smsc(answer=lambda _: (status, b""))
    async with run_smsc(smsc), run_proxy({"c": smsc.port}, tmp_path) as proxy:
        esme = await proxy.esme()
        esme.send(submit(), 1)
        await wait_until(lambda: len(esme.answers) == 1)
        smsc.answer = None
        esme.send(submit(), 2)
        await wait_until(lambda: len(esme.answers) == 2)
        counts = proxy.relays["c"].counts
        assert (counts.throttled, counts.statuses[status], counts.rejected) == (1, 1, 0)
        assert (proxy.relays["c"].in_flight, proxy.log.pending) == (0, {})
    assert [answer[1] for answer in esme.answers] == [status, CommandStatus.ROK]
    assert [event.outcome for event in proxy.recorder.submitted] == ["accepted"]


async def test_a_late_refusal_corrects_what_was_unknown(tmp_path: Path) -> None:
    """After its timeout the ESME was told RUNKNOWNERR: that it was throttled is the result then."""
    smsc = Smsc(answer=lambda _: None)
    keys = {"response_timeout_s": 0.1}
    async with run_smsc(smsc), run_proxy({"c": smsc.port}, tmp_path, connection=keys) as proxy:
        esme = await proxy.esme()
        esme.send(submit(), 1)
        await wait_until(lambda: len(esme.answers) == 1)
        ((peer, request),) = smsc.held
        peer.session.respond(request, CommandStatus.RTHROTTLED)
        peer.flush()
        await wait_until(lambda: len(proxy.recorder.submitted) == 2)
    assert [event.outcome for event in proxy.recorder.submitted] == ["unknown", "rejected"]
    assert [answer[1] for answer in esme.answers] == [CommandStatus.RUNKNOWNERR]


MESSAGE = encode(submit(), 7)
SAR = pdu.SubmitSm(
    source_addr=SENDER,
    destination_addr=PERSON,
    short_message=b"part",
    tlvs=(
        (Tag.SAR_MSG_REF_NUM, b"\0\1"),
        (Tag.SAR_TOTAL_SEGMENTS, b"\xff" * 40),
        (Tag.SAR_SEGMENT_SEQNUM, b"\xff" * 40),
    ),
)


def with_tail(tail: bytes) -> bytes:
    """A submit_sm with these octets as its optional parameters."""
    return (len(MESSAGE) + len(tail)).to_bytes(4, "big") + MESSAGE[4:] + tail


@pytest.mark.parametrize(
    ("frame", "status"),
    [
        (with_tail(b"\x14\x03\x00\x03\x01\x02"), CommandStatus.RINVPARLEN),
        (with_tail(b"\x04\x24\xff\xffhello"), CommandStatus.RINVPARLEN),
        (with_tail(b"\x14\x03\x00\x01\x01\x14\x03\x00"), CommandStatus.RINVOPTPARSTREAM),
        (with_tail(b"\0"), CommandStatus.RINVOPTPARSTREAM),
        (encode(SAR, 7), CommandStatus.RINVPARLEN),
    ],
    ids=["value cut", "payload cut", "header cut", "odd octet", "place of a part"],
)
async def test_a_message_whose_tlvs_lie_is_refused_and_counted(
    tmp_path: Path, frame: bytes, status: CommandStatus
) -> None:
    """§5.1.3: neither repaired nor passed on; the session goes on with the next message."""
    async with run_smsc(Smsc()) as smsc, run_proxy({"c": smsc.port}, tmp_path) as proxy:
        esme = await proxy.esme()
        esme.session.window.add(7, "lying", 0)
        esme.transport.write(frame)
        await wait_until(lambda: len(esme.answers) == 1)
        esme.send(submit(), "good")
        await wait_until(lambda: len(esme.answers) == 2)
        assert proxy.desk.clients["shop"].refused == {status: 1}
        assert len(smsc.submitted) == 1
    assert [answer[:2] for answer in esme.answers] == [("lying", status), ("good", 0)]


async def test_an_answer_with_an_odd_tail_still_counts(tmp_path: Path) -> None:
    """Some ESMEs append octets to deliver_sm_resp: the SMSC must have its answer all the same."""
    async with run_smsc(Smsc()) as smsc, run_proxy({"c": smsc.port}, tmp_path) as proxy:
        esme = await proxy.esme(status=None)
        smsc.deliver(reply(), "mo")
        await wait_until(lambda: len(esme.delivered) == 1)
        answer = encode(pdu.DeliverSmResp(sequence_number=esme.delivered[0].sequence_number))
        esme.transport.write((len(answer) + 1).to_bytes(4, "big") + answer[4:] + b"\0")
        await wait_until(lambda: len(smsc.acknowledged) == 1)
    assert smsc.acknowledged == [("mo", CommandStatus.ROK)]
