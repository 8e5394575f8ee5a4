"""What one ESME of the proxy does to the others, and to the operator behind it."""

from __future__ import annotations

from pathlib import Path

import pytest

from smpp_bridge.protocol import pdu
from smpp_bridge.protocol.constants import CommandStatus, Tag
from tests.smpp_bridge.test_proxy import reply, submit
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
