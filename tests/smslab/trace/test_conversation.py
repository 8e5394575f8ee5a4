"""Which receipt is whose, whatever the order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.messages import receipt_sm
from smpp_bridge.protocol import pdu
from smpp_bridge.protocol.constants import CommandStatus
from smslab.trace.conversation import Conversation

TO = "8613800000001"


def receipt(message_id: str, to: str = TO, *, is_delivered: bool = True) -> pdu.DeliverSm:
    """A receipt as the simulator writes it."""
    request = pdu.SubmitSm(source_addr=b"10690001", destination_addr=to.encode())
    return receipt_sm(request, message_id, now_s=0, is_delivered=is_delivered, err="27")


def accepted(message_id: bytes) -> pdu.SubmitSmResp:
    """An answer with an id."""
    return pdu.SubmitSmResp(message_id=message_id)


@given(st.permutations([*(("answer", n) for n in (1, 2, 3)), *(("receipt", n) for n in (1, 2, 3))]))
def test_any_order_of_answers_and_receipts_ends_the_same(order: list[tuple[str, int]]) -> None:
    """Three parts with hexadecimal ids, receipts in decimal: each is taken once and matched."""
    talk = Conversation(TO, 3)
    matched = []
    for kind, number in order:
        if kind == "answer":
            matched += talk.answered(number, accepted(b"%X" % (0xAB00 + number)))
        else:
            decision, found = talk.offered(receipt(str(0xAB00 + number)))
            assert decision == "take"
            matched += [found] if found else []
    assert sorted((m.part.number, m.receipt.state) for m in matched) == [
        (number, "DELIVERED") for number in (1, 2, 3)
    ]
    assert talk.outcome(wants_receipt=True) == "delivered"


def test_what_is_of_somebody_else_goes_back() -> None:
    """Replies at once; receipts of other numbers once our ids are known; ours never."""
    talk = Conversation(TO, 1)
    reply = pdu.DeliverSm(source_addr=TO.encode(), short_message=b"hi")
    other = receipt("77", to="8613899999999")
    assert talk.offered(reply) == ("return", None)
    assert talk.offered(other) == ("hold", None)
    talk.answered(1, accepted(b"9"))
    assert talk.offered(other) == ("return", None)
    assert talk.offered(receipt("77")) == ("return", None)
    assert talk.other_ids == ["77"]
    assert talk.offered(receipt("9"))[0] == "take"


def test_a_bind_alone_takes_nothing() -> None:
    """Without a message nothing can be ours."""
    assert Conversation("", 0).offered(receipt("1")) == ("return", None)


def test_without_an_answer_to_come_nothing_is_held() -> None:
    """A session that stays silent must not keep the messages of others."""
    talk = Conversation(TO, 1)
    assert talk.offered(receipt("1", to="8613899999999"), is_last_call=True)[0] == "return"


def test_a_national_number_in_the_receipt_is_ours() -> None:
    """Operators take the country code away; a short number proves nothing."""
    talk = Conversation(TO, 1)
    assert talk.offered(receipt("1", to="13800000001"))[0] == "take"
    assert talk.offered(receipt("1", to="0001"))[0] == "hold"


@pytest.mark.parametrize(
    ("statuses", "receipts", "outcome"),
    [
        ([0, 0], [True, True], "delivered"),
        ([0, 0], [True, False], "undelivered"),
        ([0, 0], [True, None], "no receipt"),
        ([0, CommandStatus.RINVDSTADR], [True, None], "rejected"),
        ([CommandStatus.RMSGQFUL, CommandStatus.RINVDSTADR], [None, None], "throttled"),
        ([0, None], [True, None], "not answered"),
    ],
)
def test_the_worst_part_decides(
    statuses: list[int | None], receipts: list[bool | None], outcome: str
) -> None:
    """One message is one answer."""
    talk = Conversation(TO, 2)
    for number, (status, is_delivered) in enumerate(zip(statuses, receipts, strict=True), 1):
        if status is not None:
            response = pdu.SubmitSmResp(command_status=status, message_id=b"%d" % number)
            talk.answered(number, response)
        if is_delivered is not None:
            talk.offered(receipt(str(number), is_delivered=is_delivered))
    assert talk.outcome(wants_receipt=True) == outcome


def test_a_final_state_is_not_undone_and_an_intermediate_one_is_no_end() -> None:
    """Operators send ENROUTE before and after."""
    talk = Conversation(TO, 1)
    talk.answered(1, accepted(b"5"))
    enroute = pdu.DeliverSm(esm_class=4, short_message=b"id:5 stat:ENROUTE err:000")
    talk.offered(enroute)
    assert not talk.is_settled
    assert talk.parts[0].no_receipt_within(2) == (
        "no final one came within 2 s, the last says ENROUTE"
    )
    talk.offered(receipt("5"))
    talk.offered(enroute)
    assert talk.outcome(wants_receipt=True) == "delivered"
