"""What one ESME of the proxy does to the others, and to the operator behind it."""

from __future__ import annotations

from pathlib import Path

from smpp_bridge.protocol import pdu
from smpp_bridge.protocol.constants import CommandStatus, Tag
from tests.smpp_bridge.test_proxy import reply
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
