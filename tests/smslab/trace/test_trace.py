"""`smslab trace` against the simulator's SMSC, over real sockets."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from click.testing import CliRunner, Result

from simulator.messages import receipt_sm, reply_sm
from simulator.smsc import Peer, Smsc
from smpp_bridge.protocol.codec import decode
from smpp_bridge.protocol.constants import CommandStatus
from smpp_bridge.protocol.pdu import BindTransceiver, SubmitSm, Unbind
from smslab.cli import main
from tests.support import smsc as scripted
from tests.support.sockets import free_port

PASSWORD = "secret"
NUMBER = "8613800000001"
TEXT = "hello"
MESSAGE = ("--from", "10690001", "--to", NUMBER, "--text", TEXT)
OnSubmit = Callable[[Smsc, Peer, SubmitSm], None]


def run(port: int, *arguments: str, password: str | None = PASSWORD) -> Result:
    """One call; the settings of this shell are taken away."""
    names = ("HOST", "PORT", "SYSTEM_ID", "SYSTEM_TYPE")
    environment: dict[str, str | None] = {f"SMS_BRIDGE_{name}": None for name in names}
    environment["SMS_BRIDGE_PASSWORD"] = password
    fixed = ("trace", "--port", str(port), "--system-id", "shop")
    return CliRunner(env=environment).invoke(main, (*fixed, *arguments))


def lines(result: Result) -> list[dict[str, Any]]:
    """The objects of `--json`."""
    return [json.loads(line) for line in result.stdout.splitlines()]


def steps(result: Result) -> list[str]:
    """The names of the steps, failed ones with a bang."""
    return [line["step"] + "!" * (not line["ok"]) for line in lines(result) if "step" in line]


def receipt(request: SubmitSm, message_id: str, *, is_delivered: bool = True) -> Any:
    """A receipt of the simulator."""
    return receipt_sm(request, message_id, now_s=0, is_delivered=is_delivered, err="27")


@asynccontextmanager
async def operator(on_submit: OnSubmit) -> AsyncIterator[tuple[Smsc, int]]:
    """The simulator's SMSC while the block runs."""
    smsc = Smsc(system_id="shop", password=PASSWORD)
    yield smsc, await smsc.start("127.0.0.1", 0, lambda peer, sm: on_submit(smsc, peer, sm))
    await smsc.stop()


async def traced(on_submit: OnSubmit, *arguments: str, password: str = PASSWORD) -> Result:
    """One trace with JSON against an operator of this kind."""
    async with operator(on_submit) as (_, port):
        return await asyncio.to_thread(run, port, "--json", *arguments, password=password)


def accept(smsc: Smsc, peer: Peer, request: SubmitSm) -> None:
    """Accept with an id in hexadecimal, deliver a receipt with it in decimal."""
    peer.answer(request, CommandStatus.ROK, b"AB%02X" % request.sequence_number)
    smsc.deliver(receipt(request, str(0xAB00 + request.sequence_number)), lambda: None)


def refuse_with(status: CommandStatus) -> OnSubmit:
    """Refuse everything."""
    return lambda _, peer, request: peer.answer(request, status)


def silent(smsc: Smsc, peer: Peer, request: SubmitSm) -> None:
    """Say nothing."""


async def test_a_delivered_message_shows_every_step_with_its_times() -> None:
    """In order, since the start and per step, and the id in both spellings."""
    result = await traced(accept, *MESSAGE)
    assert result.exit_code == 0, result.output
    assert steps(result) == ["connect", "bind", "submit", "answer", "receipt", "unbind", "end"]
    found = {line["step"]: line for line in lines(result)}
    ends = [line["at_ms"] for line in lines(result) if "at_ms" in line]
    assert ends == sorted(ends)
    assert all(0 <= line["took_ms"] <= line["at_ms"] for line in lines(result) if "at_ms" in line)
    assert found["answer"]["message_id"] == "AB02"
    assert (found["receipt"]["smsc_message_id"], found["receipt"]["state"]) == (
        str(0xAB02),
        "DELIVERED",
    )
    assert found["end"] == {"step": "end", "outcome": "delivered", "ok": True, "exit_code": 0}


async def test_several_parts_are_one_message() -> None:
    """Each has its submit, answer and receipt; a window of one is enough."""
    text = "优惠券" * 60
    arguments = ("--from", "Shop", "--to", "+86 138-0000-0001", "--text", text, "--window", "1")
    result = await traced(accept, *arguments)
    assert result.exit_code == 0, result.output
    for name in ("submit", "answer", "receipt"):
        parts = [line["part"] for line in lines(result) if line["step"] == name]
        assert sorted(parts) == [1, 2, 3]


async def test_a_receipt_that_the_answer_waits_for_is_taken() -> None:
    """Some SMSCs answer only after the acknowledgement of the receipt."""

    def late_answer(smsc: Smsc, peer: Peer, request: SubmitSm) -> None:
        def taken() -> None:
            peer.answer(request, CommandStatus.ROK, b"7")
            peer.flush()

        smsc.deliver(receipt(request, "7"), taken)

    result = await traced(late_answer, *MESSAGE)
    assert result.exit_code == 0, result.output
    (found,) = [line for line in lines(result) if line["step"] == "receipt"]
    assert found["came_before_answer"]


@pytest.mark.parametrize(
    ("status", "outcome", "fix"),
    [
        (CommandStatus.RINVDSTADR, "rejected", "--to"),
        (CommandStatus.RINVSRCADR, "rejected", "--from"),
        (CommandStatus.RTHROTTLED, "throttled", "rate_per_s"),
        (CommandStatus.RMSGQFUL, "throttled", "--window"),
        (CommandStatus(0x8), "rejected", "ask the operator"),
    ],
)
async def test_a_refused_message_is_named_with_what_to_do(
    status: CommandStatus, outcome: str, fix: str
) -> None:
    """Name, meaning and the option; the answer is no."""
    result = await traced(refuse_with(status), *MESSAGE)
    assert result.exit_code == 1
    assert steps(result) == ["connect", "bind", "submit", "answer!", "unbind", "end!"]
    answer = lines(result)[3]
    assert answer["problem"].startswith(f"ESME_{status.name}: ")
    assert fix in answer["fix"]
    assert lines(result)[-1]["outcome"] == outcome


async def test_silence_says_that_the_message_may_be_out() -> None:
    """Nobody sends it twice without knowing."""
    result = await traced(silent, *MESSAGE, "--timeout", "0.3")
    assert result.exit_code == 1
    assert lines(result)[3]["problem"] == "no answer within 0.3 s"
    assert "may have been sent" in lines(result)[3]["fix"]


async def test_a_full_window_of_silence_is_told() -> None:
    """The parts that were not sent are not forgotten."""
    long = ("--from", "1", "--to", NUMBER, "--text", "x" * 400, "--window", "1")
    result = await traced(silent, *long, "--timeout", "0.3")
    assert result.exit_code == 1
    assert steps(result)[2:4] == ["submit", "submit!"]
    assert "window" in lines(result)[3]["problem"]


async def test_without_a_receipt_the_answer_is_no() -> None:
    """Accepted is not delivered; asked for none, it is enough."""
    only_accept: OnSubmit = lambda _, peer, sm: peer.answer(sm, CommandStatus.ROK, b"1")  # noqa: E731
    result = await traced(only_accept, *MESSAGE, "--timeout", "0.3")
    assert (result.exit_code, lines(result)[-1]["outcome"]) == (1, "no receipt")
    assert lines(result)[4]["problem"] == "none came within 0.3 s"
    result = await traced(only_accept, *MESSAGE, "--no-receipt")
    assert (result.exit_code, lines(result)[-1]["outcome"]) == (0, "accepted")
    result = await traced(only_accept, *MESSAGE, "--bind", "transmitter")
    assert (result.exit_code, lines(result)[-1]["outcome"]) == (0, "accepted")


async def test_an_undelivered_message_tells_state_and_error() -> None:
    """Final, and not what was hoped for."""

    def undelivered(smsc: Smsc, peer: Peer, request: SubmitSm) -> None:
        peer.answer(request, CommandStatus.ROK, b"1")
        smsc.deliver(receipt(request, "1", is_delivered=False), lambda: None)

    result = await traced(undelivered, *MESSAGE)
    assert (result.exit_code, lines(result)[-1]["outcome"]) == (1, "undelivered")
    assert lines(result)[4]["problem"] == "UNDELIVERABLE (UNDELIV), err 27"


async def test_messages_of_others_go_back_to_the_smsc() -> None:
    """The account may be in use: a reply and a foreign receipt are not swallowed."""

    def with_others(smsc: Smsc, peer: Peer, request: SubmitSm) -> None:
        other = SubmitSm(source_addr=b"1", destination_addr=b"8613899999999")
        smsc.deliver(reply_sm(request, "stop"), lambda: None)
        smsc.deliver(receipt(other, "99"), lambda: None)
        accept(smsc, peer, request)

    async with operator(with_others) as (smsc, port):
        result = await asyncio.to_thread(run, port, "--json", *MESSAGE)
        assert result.exit_code == 0, result.output
        assert lines(result)[-2]["returned"] == 2
        assert (smsc.taken, smsc.undelivered) == (1, 2)


async def test_a_receipt_with_a_foreign_id_is_the_hint_when_none_comes() -> None:
    """The commonest trouble of all: the ids do not belong together."""

    def other_id(smsc: Smsc, peer: Peer, request: SubmitSm) -> None:
        peer.answer(request, CommandStatus.ROK, b"uuid-1")
        smsc.deliver(receipt(request, "4711"), lambda: None)

    result = await traced(other_id, *MESSAGE, "--timeout", "0.3")
    assert result.exit_code == 1
    assert "has the id 4711" in lines(result)[4]["fix"]


async def test_a_refused_bind_names_status_meaning_and_setting() -> None:
    """The password itself is nowhere."""
    result = await traced(accept, *MESSAGE, password="wrong-pw")
    assert result.exit_code == 1
    assert steps(result) == ["connect", "bind!", "end!"]
    assert lines(result)[1]["problem"] == "ESME_RINVPASWD: invalid password"
    assert "SMS_BRIDGE_PASSWORD" in lines(result)[1]["fix"]
    assert "wrong-pw" not in result.output


@pytest.mark.parametrize("kind", ["transceiver", "transmitter", "receiver"])
async def test_without_a_number_only_the_bind_is_tried(kind: str) -> None:
    """Credentials can be checked without sending anything."""
    sent: list[SubmitSm] = []
    result = await traced(lambda _, __, sm: sent.append(sm), "--bind", kind)
    assert (result.exit_code, lines(result)[-1]["outcome"], sent) == (0, "bound", [])


def test_nobody_there_is_told_with_the_options() -> None:
    """Refused, unknown name, silent: exit code 3."""
    port = free_port()
    result = run(port, "--json")
    assert (result.exit_code, steps(result)) == (3, ["connect!", "end!"])
    assert lines(result)[0]["problem"] == f"nothing listens at 127.0.0.1:{port}"
    assert "--port" in lines(result)[0]["fix"]
    result = run(port, "--json", "--host", "nowhere.invalid")
    assert (result.exit_code, "--host" in lines(result)[0]["fix"]) == (3, True)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        result = run(mute.getsockname()[1], "--json", "--timeout", "0.3")
    assert (result.exit_code, steps(result)) == (3, ["connect", "bind!", "end!"])
    assert "no answer within 0.3 s" in result.stdout


async def test_an_smsc_that_hangs_up_is_told() -> None:
    """In the middle of a message: what is unanswered may have been sent."""
    result = await traced(lambda _, peer, __: peer.close(), *MESSAGE)
    assert (result.exit_code, lines(result)[-1]["outcome"]) == (3, "connection lost")
    assert steps(result)[3] == "answer!"


async def test_tls_shows_its_step_and_its_troubles(tmp_path: Path) -> None:
    """A handshake that works, an authority that is not known, a port without TLS, and a file."""
    authority, other = trustme.CA(), trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("smsc.example").configure_cert(context)
    for name, each in (("ca", authority), ("other", other)):
        each.cert_pem.write_to_path(str(tmp_path / f"{name}.pem"))
    trusted = ("--tls-ca", str(tmp_path / "ca.pem"), "--tls-server-name", "smsc.example")
    stranger = ("--tls-ca", str(tmp_path / "other.pem"), "--tls-server-name", "smsc.example")
    async with scripted.run_smsc(scripted.Smsc(), tls=context) as smsc:
        good = await asyncio.to_thread(run, smsc.port, "--json", *trusted)
        bad = await asyncio.to_thread(run, smsc.port, "--json", *stranger)
        plain = await asyncio.to_thread(run, smsc.port, "--json", "--timeout", "2")
    assert (good.exit_code, steps(good)) == (0, ["connect", "tls", "bind", "unbind", "end"])
    assert lines(good)[1]["version"].startswith("TLSv1.")
    assert (bad.exit_code, steps(bad)) == (3, ["connect", "tls!", "end!"])
    assert "--tls-ca" in lines(bad)[1]["fix"]
    assert (plain.exit_code, "--tls" in lines(plain)[1]["fix"]) == (3, True)
    async with operator(accept) as (_, port):
        wrong = await asyncio.to_thread(run, port, "--json", "--tls")
    assert "does not speak TLS" in lines(wrong)[1]["problem"]
    missing = run(1, "--tls-ca", "/nowhere.pem")
    assert (missing.exit_code, "/nowhere.pem" in missing.output) == (2, True)


async def test_number_and_text_are_masked_unless_asked_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """On the screen and as JSON, PDUs too; and nothing is logged."""
    caplog.set_level(logging.DEBUG)
    async with operator(accept) as (_, port):
        for form in ((), ("--json",)):
            hidden = await asyncio.to_thread(run, port, *MESSAGE, "--pdu", *form)
            shown = await asyncio.to_thread(run, port, *MESSAGE, "--pdu", "--show-number", *form)
            assert (hidden.exit_code, shown.exit_code) == (0, 0), hidden.output + shown.output
            for secret in (NUMBER, TEXT, NUMBER.encode().hex(), TEXT.encode().hex()):
                assert secret not in hidden.output
                assert secret in shown.output
            for secret in (PASSWORD, PASSWORD.encode().hex()):
                assert secret not in hidden.output + shown.output
    assert [r for r in caplog.records if r.name.split(".")[0] in {"smslab", "smpp_bridge"}] == []


async def test_a_person_sees_lines_without_colour_in_a_pipe() -> None:
    """Marks, times and words; what to do below."""
    async with operator(accept) as (_, port):
        good = await asyncio.to_thread(run, port, *MESSAGE)
    assert good.exit_code == 0
    assert "\x1b" not in good.output
    assert "✓" in good.output
    assert "DELIVERED (DELIVRD), err 000; id spelt" in good.output
    bad = run(free_port(), *MESSAGE)
    assert "✕" in bad.output
    assert "what to do: check --host and --port" in bad.output
    assert "hidden" in bad.output


def test_a_dry_run_shows_the_octets_and_connects_to_nobody() -> None:
    """They decode to what was asked for; without --show-number they say nothing."""
    result = run(1, *MESSAGE, "--dry-run", "--json", "--show-number")
    assert result.exit_code == 0, result.output
    bind, submit, unbind = lines(result)
    assert bind["pdu"]["command"] == "bind_transceiver"
    assert PASSWORD.encode().hex() not in bind["hex"]
    sent = decode(bytes.fromhex(submit["hex"]))
    assert isinstance(sent, SubmitSm)
    assert (sent.destination_addr, sent.short_message) == (NUMBER.encode(), TEXT.encode())
    assert isinstance(decode(bytes.fromhex(unbind["hex"])), Unbind)
    masked = run(1, *MESSAGE, "--dry-run", password=None)
    assert masked.exit_code == 0
    assert "SMS_BRIDGE_PASSWORD is not set" in masked.output
    assert NUMBER not in masked.output


async def test_a_dry_run_is_what_is_sent() -> None:
    """The same octets, up to the reference that only long messages have."""
    async with operator(accept) as (_, port):
        real = await asyncio.to_thread(run, port, *MESSAGE, "--json", "--pdu", "--show-number")
    dry = run(1, *MESSAGE, "--json", "--dry-run", "--show-number")
    sent = [line["hex"] for line in lines(real) if line.get("direction") == "sent"]
    promised = [line["hex"] for line in lines(dry)]
    assert sent[:2] == promised[:2]
    assert BindTransceiver.command_id == int(sent[0][8:16], 16)


def test_a_text_may_come_from_a_file_or_stdin(tmp_path: Path) -> None:
    """Without the newline that an editor puts at its end; not UTF-8 is a sentence."""
    path = tmp_path / "text.txt"
    path.write_text("你好\n", "utf-8")
    fixed = ("--from", "1", "--to", NUMBER, "--dry-run", "--json", "--show-number")
    assert lines(run(1, *fixed, "--text-file", str(path)))[1]["pdu"]["message"]["text"] == "你好"
    path.write_bytes(b"\xff\xfe")
    wrong = run(1, *fixed, "--text-file", str(path))
    assert (wrong.exit_code, "UTF-8" in wrong.output) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--from", "1", "--text", "x"), "--to is not set"),
        (("--to", NUMBER, "--text", "x"), "--from is not set"),
        (("--to", NUMBER, "--from", "1"), "--text or --text-file"),
        (("--to", "13a", "--from", "1", "--text", "x"), "--to must be a phone number"),
        (("--to", "0086138", "--from", "1", "--text", "x"), "without 00"),
        (("--to", NUMBER, "--from", "店", "--text", "x"), "--from has characters"),
        (("--to", NUMBER, "--from", "1" * 30, "--text", "x"), "--from == 30 octets"),
        (("--to", NUMBER, "--from", "1", "--text", "你", "--encoding", "gsm7"), "GSM alphabet"),
        (("--to", NUMBER, "--from", "1", "--text", "x", "--bind", "receiver"), "sends nothing"),
        (("--tls-cert", "x.pem"), "--tls-key"),
        (("--system-id", "x" * 16), "--system-id == 16 octets"),
    ],
)
def test_wrong_use_is_one_sentence(arguments: tuple[str, ...], sentence: str) -> None:
    """Exit code 2, before anything is connected."""
    result = run(1, *arguments)
    assert result.exit_code == 2, result.output
    assert sentence in result.output
    assert "Traceback" not in result.output


def test_a_password_is_never_an_argument() -> None:
    """It is in a variable or typed; neither is told, nor what is too long."""
    missing = run(1, password=None)
    assert (missing.exit_code, "SMS_BRIDGE_PASSWORD is not set" in missing.output) == (2, True)
    long = run(1, password="much-too-long")
    assert (long.exit_code, "much-too-long" in long.output) == (2, False)
    assert "the password" in long.output
