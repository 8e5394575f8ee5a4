"""`smslab trace` on the command line."""

from __future__ import annotations

import os
import ssl
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeVar, get_args

import click

from runtime.process import CannotRun, ExitCode
from smpp_bridge.protocol import pdu
from smpp_bridge.protocol.text import CODINGS, Encoding
from smpp_bridge.wire import Tls, client_context
from smslab.options import JSON
from smslab.screen import Sentence, warn
from smslab.trace.advice import with_options
from smslab.trace.masks import Mask
from smslab.trace.messages import digits_of, parts_of, would_send
from smslab.trace.model import ENDS, BindKind, Frame, Message, Outcome, Target
from smslab.trace.run import run_trace
from smslab.trace.show import JsonLines, Lines, print_frames

PASSWORD: Final = "SMS_BRIDGE_PASSWORD"  # noqa: S105 - the name of a variable
_FIELD_OPTIONS: Final = {
    "system_id": "--system-id",
    "password": "the password",
    "system_type": "--system-type",
    "source_addr": "--from",
}
_F = TypeVar("_F", bound=Callable[..., Any])
_OPTIONS: Final[tuple[Callable[[Any], Any], ...]] = (
    click.option(
        "--host",
        envvar="SMS_BRIDGE_HOST",
        show_envvar=True,
        default="127.0.0.1",
        show_default=True,
        help="Host of the SMSC.",
    ),
    click.option(
        "--port",
        envvar="SMS_BRIDGE_PORT",
        show_envvar=True,
        default=2775,
        show_default=True,
        type=click.IntRange(1, 65535),
        help="Port of the SMSC.",
    ),
    click.option(
        "--system-id",
        envvar="SMS_BRIDGE_SYSTEM_ID",
        show_envvar=True,
        required=True,
        help="The account.",
    ),
    click.option(
        "--password-env",
        metavar="NAME",
        default=PASSWORD,
        show_default=True,
        help="The variable that holds the password; asked for when it is not set.",
    ),
    click.option("--system-type", envvar="SMS_BRIDGE_SYSTEM_TYPE", default="", help="If wanted."),
    click.option(
        "--bind",
        type=click.Choice(get_args(BindKind)),
        default="transceiver",
        show_default=True,
        help="A transmitter gets no receipt, a receiver sends nothing.",
    ),
    click.option(
        "--tls", "is_tls", is_flag=True, help="SMPP over TLS; any --tls-… option says so."
    ),
    click.option("--tls-ca", metavar="FILE", help="Authority of the SMSC; default: the system's."),
    click.option("--tls-cert", metavar="FILE", help="Our certificate, if the SMSC wants one."),
    click.option("--tls-key", metavar="FILE", help="Its key."),
    click.option(
        "--tls-server-name", metavar="NAME", help="Name in its certificate, if not --host."
    ),
    click.option("--from", "sender", help="Sender: a number, or up to 11 characters."),
    click.option("--to", "number", help="The phone; without it only the bind is tried."),
    click.option("--text", help="The text."),
    click.option(
        "--text-file", type=click.File(encoding="utf-8"), help="A file with it; - is stdin."
    ),
    click.option(
        "--encoding",
        type=click.Choice(["auto", *CODINGS]),
        default="auto",
        show_default=True,
    ),
    click.option("--no-receipt", is_flag=True, help="Ask for none, wait for none."),
    click.option(
        "--timeout",
        "timeout_s",
        type=click.FloatRange(0.1, 3600),
        default=30.0,
        show_default=True,
        help="Seconds to wait for each: connection, answer, receipt.",
    ),
    click.option(
        "--window",
        type=click.IntRange(1, 10_000),
        default=10,
        show_default=True,
        help="Most parts without an answer.",
    ),
    click.option("--pdu", "shows_pdus", is_flag=True, help="Show each PDU, field by field."),
    click.option(
        "--dry-run", is_flag=True, help="Show the PDUs that would be sent; no connection."
    ),
    click.option("--show-number", is_flag=True, help="Show numbers and text in clear."),
    JSON,
)


def _with_options(command: _F) -> _F:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.command()
@_with_options
def trace(
    *, shows_pdus: bool, dry_run: bool, show_number: bool, as_json: bool, **given: Any
) -> None:
    """Send one message through an SMSC and see every step with its time.

    Connect, TLS, bind, submit, answer, receipt: milliseconds since the start and of the step
    alone (answer and receipt: since their submit_sm). A failed step tells what to do. Without
    --to only connection and bind are tried, and nothing is sent. What belongs to other sessions
    of the account is not taken: it goes back to the SMSC. Settings of a bridge in the
    environment are used. Numbers and text are masked, the password is never shown.

    Exit code 1: the SMSC said no, or no receipt came; 2: wrong use; 3: no session with the SMSC.

    \b
    examples:
      smslab trace --host smsc.example --system-id shop
      smslab trace --system-id shop --from 10690001 --to 8613800000001 --text "hello"
      smslab trace --system-id shop --tls-ca ca.pem --from Shop --to 4915112345678 \\
          --text-file long.txt --pdu
      smslab trace --system-id shop --from 1 --to 8613800000001 --text 你好 --dry-run --show-number
      smslab trace --system-id shop --to 8613800000001 --from 1 --text x --json | jq .took_ms
    """
    mask = Mask(shows_number=show_number)
    try:
        message = _message(given)
        parts = [] if message is None else parts_of(message, time.time_ns() & 0xFF)
        target = _target(given, os.environ, asks=not dry_run)
        frames = [Frame("sent", octets, 0) for octets in would_send(target, parts)]
        tls = _context(target)
        if dry_run:
            print_frames(frames, mask, as_json=as_json)
            return
    except CannotRun as error:
        raise Sentence(error) from error
    except ValueError as error:  # a field or the text does not fit
        raise Sentence(CannotRun(_with_option(str(error)))) from error
    _run(target, tls, parts, message, mask, shows_pdus=shows_pdus, as_json=as_json)


def _run(
    target: Target,
    tls: ssl.SSLContext | None,
    parts: list[pdu.SubmitSm],
    message: Message | None,
    mask: Mask,
    *,
    shows_pdus: bool,
    as_json: bool,
) -> None:
    audience: Lines | JsonLines
    if as_json:
        audience = JsonLines(mask, shows_pdus=shows_pdus)
    else:
        audience = Lines(mask, parts=len(parts), shows_pdus=shows_pdus)
        audience.head(message)
    outcome: Outcome = "interrupted"
    with suppress(KeyboardInterrupt):
        outcome = run_trace(target, tls, parts, audience)
    audience.end(outcome)
    if ENDS[outcome].code is not ExitCode.DONE:
        raise SystemExit(ENDS[outcome].code)


def _with_option(sentence: str) -> str:
    """The codec names the field, a person needs the option."""
    field, _, rule = sentence.partition(" == ")
    return f"{_FIELD_OPTIONS[field]} == {rule}" if field in _FIELD_OPTIONS else sentence


def _message(given: Mapping[str, Any]) -> Message | None:
    texts = [given[name] for name in ("text", "text_file") if given[name] is not None]
    if given["number"] is None:
        if texts or given["sender"]:
            raise CannotRun("--to is not set: give the phone, or neither --from nor a text.")
        return None
    if given["bind"] == "receiver":
        raise CannotRun("--bind receiver sends nothing: leave --to out, or bind as transceiver.")
    if len(texts) != 1:
        raise CannotRun("Give --text or --text-file, one of them.")
    if not given["sender"]:
        raise CannotRun("--from is not set: give a sender that the operator has admitted.")
    if any(ord(character) > 0xFF for character in given["sender"]):
        raise CannotRun("--from has characters that SMPP cannot carry: Latin letters and digits.")
    try:
        to = digits_of(given["number"])
    except ValueError as error:
        raise CannotRun(f"--to {error}.") from error
    text = texts[0] if given["text_file"] is None else _read(given["text_file"])
    encoding: Encoding | None = None if given["encoding"] == "auto" else given["encoding"]
    return Message(
        sender=given["sender"],
        to=to,
        text=text,
        encoding=encoding,
        wants_receipt=not given["no_receipt"] and given["bind"] == "transceiver",
    )


def _read(file: Any) -> str:
    """All but the newline that editors put at the end."""
    try:
        return str(file.read()).removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise CannotRun("--text-file is not a text in UTF-8: save it as UTF-8.") from error


def _target(given: Mapping[str, Any], environ: Mapping[str, str], *, asks: bool) -> Target:
    files = {name: given[f"tls_{name}"] for name in ("ca", "cert", "key", "server_name")}
    if bool(files["cert"]) != bool(files["key"]):
        raise CannotRun("--tls-cert and --tls-key belong together: give both.")
    has_tls = given["is_tls"] or any(files.values())
    password, setting = _password(given["password_env"], environ, asks=asks)
    return Target(
        host=given["host"],
        port=given["port"],
        system_id=given["system_id"],
        password=password,
        password_setting=setting,
        system_type=given["system_type"],
        bind=given["bind"],
        tls=Tls(**files) if has_tls else None,
        timeout_s=given["timeout_s"],
        window=given["window"],
    )


def _password(name: str, environ: Mapping[str, str], *, asks: bool) -> tuple[str, str]:
    """(password, where it is from)."""
    if environ.get(name):
        return environ[name], name
    if not asks:
        warn(f"{name} is not set: the bind is shown with an empty password.")
        return "", name
    if not sys.stdin.isatty():
        raise CannotRun(f"{name} is not set: set it, or name another variable by --password-env.")
    return click.prompt("password", hide_input=True, err=True), "what you typed"


def _context(target: Target) -> ssl.SSLContext | None:
    if target.tls is None:
        return None
    for name in (target.tls.ca, target.tls.cert, target.tls.key):
        if name is not None and not Path(name).is_file():
            raise CannotRun(f"{name} is no file: check the --tls-… options.")
    try:
        return client_context(target.tls, "tls")
    except CannotRun as error:
        raise CannotRun(with_options(str(error))) from error
