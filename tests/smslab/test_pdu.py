"""`smslab pdu` on the command line."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from smpp_bridge.protocol import pdu as pdus
from smpp_bridge.protocol.codec import encode
from smslab.pdu import pdu

LINK = encode(pdus.EnquireLink(sequence_number=5)).hex()
SUBMIT = encode(pdus.SubmitSm(sequence_number=6, short_message=b"hi")).hex()
UNKNOWN = "00000010" + "00000777" + "00000000" + "00000007"


@pytest.mark.parametrize(
    "form",
    [
        [LINK],
        [LINK.upper()],
        ["0x" + LINK],
        [" ".join(LINK[i : i + 2] for i in range(0, 32, 2))],
        [":".join(LINK[i : i + 2] for i in range(0, 32, 2))],
        [f"0x{LINK[i : i + 8]}" for i in range(0, 32, 8)],
        ["".join(f"\\x{LINK[i : i + 2]}" for i in range(0, 32, 2))],
    ],
)
def test_hexadecimal_is_taken_as_people_paste_it(form: list[str]) -> None:
    """Blanks, colons and 0x, in one argument or many."""
    result = CliRunner().invoke(pdu, ["--json", *form])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["command"] == "enquire_link"


def test_a_person_sees_names_values_and_clauses() -> None:
    """One line per field."""
    result = CliRunner().invoke(pdu, [SUBMIT])
    assert result.exit_code == 0
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["submit_sm", "§4.4.1"] in lines
    assert ["data_coding", "0", "gsm7", "§5.2.19"] in lines
    assert ["text", '"hi"'] in lines


def test_several_pdus_in_one_argument_are_shown_one_by_one() -> None:
    """As copied from a capture."""
    result = CliRunner().invoke(pdu, ["--json", LINK + SUBMIT])
    commands = [json.loads(line)["command"] for line in result.stdout.splitlines()]
    assert commands == ["enquire_link", "submit_sm"]


def test_lines_of_stdin_give_one_object_each() -> None:
    """Blank lines are nothing."""
    result = CliRunner().invoke(pdu, ["--json"], input=f"{LINK}\n\n{SUBMIT}\n")
    assert result.exit_code == 0
    found = [json.loads(line)["sequence_number"] for line in result.stdout.splitlines()]
    assert found == [5, 6]


@pytest.mark.parametrize(
    ("arguments", "given", "sentence"),
    [
        (["xyz"], "", "'x' is no hexadecimal digit."),
        (["123"], "", "3 hexadecimal digits were given, must be an even number."),
        ([], "", "line 1: No hexadecimal digits were given."),
        (["0x"], "", "No hexadecimal digits were given."),
        ([], f"{LINK}\nhello\n", "line 2: 'h' is no hexadecimal digit."),
    ],
)
def test_what_is_no_hexadecimal_is_one_sentence(
    arguments: list[str], given: str, sentence: str
) -> None:
    """Wrong use is exit code 2, without a traceback."""
    result = CliRunner().invoke(pdu, ["--json", *arguments], input=given)
    assert result.exit_code == 2
    assert result.stderr == sentence + "\n"


@pytest.mark.parametrize("digits", [UNKNOWN, SUBMIT[:-2], "00000010", "0000000f" + LINK[8:]])
def test_an_undecodable_pdu_still_shows_its_header(digits: str) -> None:
    """The answer is no, with the reason."""
    result = CliRunner().invoke(pdu, [digits])
    assert result.exit_code == 1
    assert "sequence_number" in result.stdout
    assert "cannot be read: " in result.stdout
    assert json.loads(CliRunner().invoke(pdu, ["--json", digits]).stdout)["problem"]


def test_an_object_is_one_line_whatever_the_text_holds() -> None:
    """U+2028 and U+0085 end lines for Python and for browsers."""
    text = "a\u2028b\u0085c".encode("utf-16-be")
    frame = encode(pdus.DeliverSm(data_coding=8, short_message=text), 1).hex()
    found = CliRunner().invoke(pdu, ["--json", frame])
    assert len(found.output.splitlines()) == 1
    assert json.loads(found.output)["message"]["text"] == "a\u2028b\u0085c"
