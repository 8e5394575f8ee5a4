"""What an operator holds of messages, without sockets; and a foreign ESME that asks."""

from __future__ import annotations

import asyncio

import smpplib.client
from hypothesis import given
from hypothesis import strategies as st

from simulator.held import Held
from smpp_bridge.protocol.constants import CommandStatus
from smpp_bridge.protocol.pdu import CancelSm, QuerySm, QuerySmResp, ReplaceSm, SubmitSm
from tests.support.ledger_operator import PASSWORD, SYSTEM_ID, run_operator

OURS = {"source_addr": b"10690001"}
ACTS = st.lists(st.sampled_from(["finish", "cancel", "replace", "query"]), max_size=8)


@given(ACTS)
def test_the_first_of_delivery_and_cancellation_wins(acts: list[str]) -> None:
    """A final state never changes, and only what is on its way can be changed or taken back."""
    held = Held(may_replace=True)
    held.accept(b"1", SubmitSm(**OURS))
    state = "ENROUTE"
    for act in acts:
        is_open = state == "ENROUTE"
        if act == "finish":
            assert held.finish(b"1", "DELIVERED", 0) == (state != "DELETED")
            state = "DELIVERED" if is_open else state
        elif act == "cancel":
            status, _ = held.manage(CancelSm(message_id=b"1", **OURS), 0)
            assert status == (CommandStatus.ROK if is_open else CommandStatus.RCANCELFAIL)
            state = "DELETED" if is_open else state
        elif act == "replace":
            status, _ = held.manage(ReplaceSm(message_id=b"1", short_message=b"x", **OURS), 0)
            assert status == (CommandStatus.ROK if is_open else CommandStatus.RREPLACEFAIL)
        status, fields = held.manage(QuerySm(message_id=b"1", **OURS), 0)
        assert status == CommandStatus.ROK
        assert bool(QuerySmResp(**fields).final_date) == (state != "ENROUTE")
        message = held.get(b"1")
        assert message is not None
        assert message.state == state


def test_the_oldest_is_forgotten_and_is_unknown() -> None:
    """Memory is bounded."""
    held = Held(may_replace=False, size=2)
    for name in (b"1", b"2", b"3"):
        held.accept(name, SubmitSm(**OURS))
    answers = [held.manage(QuerySm(message_id=name, **OURS), 0)[0] for name in (b"1", b"2", b"3")]
    assert answers == [CommandStatus.RINVMSGID, CommandStatus.ROK, CommandStatus.ROK]
    assert held.finish(b"1", "DELIVERED", 0)


async def test_a_foreign_esme_reads_the_answer_to_query_sm() -> None:
    """Asked by smpplib for the message it has sent."""
    seen: dict[str, object] = {}

    def script(port: int) -> None:
        client = smpplib.client.Client("127.0.0.1", port, timeout=10, allow_unknown_opt_params=True)
        client.set_message_sent_handler(lambda pdu: seen.update(id=pdu.message_id))
        client.set_query_resp_handler(lambda pdu: seen.update(state=pdu.message_state))
        client.connect()
        client.bind_transceiver(system_id=SYSTEM_ID, password=PASSWORD)
        client.send_message(
            source_addr="10690001", destination_addr="8613800000001", short_message=b"hi"
        )
        client.read_once()
        client.query_message(
            message_id="1", source_addr_ton=0, source_addr_npi=0, source_addr="10690001"
        )
        client.read_once()
        client.unbind()
        client.disconnect()

    with run_operator() as port:
        await asyncio.to_thread(script, port)
    assert seen == {"id": b"1", "state": 1}
