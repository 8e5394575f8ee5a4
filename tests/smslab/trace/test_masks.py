"""Nothing secret is shown, in fields or in octets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from smpp_bridge.protocol import pdu
from smpp_bridge.protocol.codec import encode
from smpp_bridge.protocol.constants import Tag
from smpp_bridge.protocol.describe import describe, to_json
from smslab.trace.masks import Mask

NUMBER = b"8613800000001"
SUBMIT = pdu.SubmitSm(
    source_addr=b"10690001",
    destination_addr=NUMBER,
    short_message=b"hello",
    tlvs=((Tag.MESSAGE_PAYLOAD, b"secret"), (Tag.USER_MESSAGE_REFERENCE, b"\0\7")),
)


def test_number_and_text_are_hidden_and_all_else_is_there() -> None:
    """As many dots as octets; the sender of an operator is no secret."""
    frame = encode(SUBMIT, 1)
    shown = Mask().hex(frame)
    assert len(shown) == 2 * len(frame)
    assert shown.count("..") == len(NUMBER) + len(b"hello") + len(b"secret")
    assert b"10690001".hex() in shown
    found = str(to_json(Mask().description(describe(frame)[0])))
    assert "***********01" in found
    for secret in (NUMBER, b"hello", b"secret"):
        assert secret.decode() not in found
        assert secret.hex() not in found


def test_show_number_shows_all_but_the_password() -> None:
    """The password is hidden always."""
    mask = Mask(shows_number=True)
    assert mask.hex(encode(SUBMIT, 1)) == encode(SUBMIT, 1).hex()
    assert mask.text("hello") == "hello"
    bind = encode(pdu.BindReceiver(system_id=b"shop", password=b"secret"), 1)
    assert b"secret".hex() not in mask.hex(bind)
    assert mask.hex(bind).count("..") == 6
    assert "secret" not in str(to_json(mask.description(describe(bind)[0])))


@given(st.binary(max_size=80))
def test_of_a_frame_that_cannot_be_read_only_the_header_is_shown(body: bytes) -> None:
    """Whatever a peer sends: the length stays, nothing raises."""
    frame = (16 + len(body)).to_bytes(4, "big") + bytes.fromhex("000007770000000000000001") + body
    assert Mask().hex(frame) == frame[:16].hex() + ".." * len(body)


@given(st.binary(max_size=60).filter(lambda value: 0 not in value), st.binary(max_size=60))
def test_any_message_is_hidden_wherever_it_stands(address: bytes, text: bytes) -> None:
    """Octets of a text are never in the hexadecimal, even when they equal other fields."""
    request = pdu.DeliverSm(source_addr=address[:20], short_message=text)
    frame = encode(request, 1)
    shown = Mask().hex(frame)
    end = len(frame)
    assert shown[2 * (end - len(text)) :] == ".." * len(text)
