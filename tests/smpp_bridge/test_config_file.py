"""The configuration file: what it means, and sentences for what is wrong."""

from __future__ import annotations

import math

import pytest
from msgspec import UNSET

from smpp_bridge.config_file import ConfigError, parse_config
from smpp_bridge.configuration import Addressing, Tls
from smpp_bridge.protocol.constants import CommandStatus

ENVIRON = {"CMCC": "secret", "CT": "geheim", "SHOP": "pw"}
GATEWAY = """
connections:
  cmcc-1:
    host: smsc.example
    system_id: shop
    password_env: CMCC
    rate_per_s: 100
    resend: [otp]
    accepted_is_final: true
    default_region: CN
    failed_publish_status: RSYSERR
    tls: {ca: ca.pem, server_name: smsc.example}
  ct-1: {host: 10.0.0.2, port: 2776, system_id: shop2, password_env: CT, binds: 2}
"""
PROXY = """
mode: proxy
connections:
  cmcc-1: {host: smsc.example, system_id: shop, password_env: CMCC}
listen: {port: 2790, kafka_away_status: RMSGQFUL}
accounts:
  app:
    {password_env: SHOP, connection: cmcc-1, allow: [127.0.0.1, 10.0.0.0/8], binds: [transmitter]}
content_tags:
  - {tag: coupon, text: "优惠券|coupon"}
"""


def problems_of(source: str, environ: dict[str, str] = ENVIRON) -> list[str]:
    """What is said about a file."""
    with pytest.raises(ConfigError) as error:
        parse_config(source, environ)
    return error.value.problems


def test_a_gateway_file_gives_connections_with_their_passwords() -> None:
    """Values as written, defaults otherwise; the password comes from the environment."""
    file = parse_config(GATEWAY, ENVIRON)
    first, second = file.config.connections
    assert (file.config.mode, file.secrets) == ("gateway", {"CMCC", "CT"})
    assert (first.name, first.password, first.rate_per_s) == ("cmcc-1", "secret", 100)
    assert (first.resend, first.receipts.is_accepted_final) == ({"otp"}, True)
    assert first.failed_publish_status is CommandStatus.RSYSERR
    assert first.tls == Tls(ca="ca.pem", server_name="smsc.example")
    assert (second.port, second.binds, second.window, second.tls) == (2776, 2, 64, None)
    assert second.resend == {"transactional", "otp"}
    assert "geheim" not in repr(file)


def test_a_proxy_file_gives_accounts_and_tags() -> None:
    """The listener, who may bind, and how texts are named."""
    proxy = parse_config(PROXY, ENVIRON).config.proxy
    assert proxy is not None
    (account,) = proxy.accounts
    assert (account.system_id, account.password, account.connection) == ("app", "pw", "cmcc-1")
    assert [str(network) for network in account.allow] == ["127.0.0.1/32", "10.0.0.0/8"]
    assert (proxy.port, proxy.kafka_away_status) == (2790, CommandStatus.RMSGQFUL)
    assert proxy.content_tags[0].text is not None


def test_connections_of_one_account_share_a_group() -> None:
    """A group that is the connection's own name is none."""
    source = GATEWAY.replace("binds: 2}", "binds: 2, group: cmcc-1}")
    source = source.replace("rate_per_s: 100", "group: cmcc-1")
    assert [each.group for each in parse_config(GATEWAY, ENVIRON).config.connections] == [UNSET] * 2
    assert [each.group for each in parse_config(source, ENVIRON).config.connections] == [
        UNSET,
        "cmcc-1",
    ]


@pytest.mark.parametrize("group", ["CMCC", "a b", "''", "[cmcc-1]", "7", "x" * 65])
def test_a_group_is_named_like_a_connection(group: str) -> None:
    """Or the file is refused."""
    (problem,) = problems_of(GATEWAY.replace("rate_per_s: 100", f"group: {group}"))
    assert problem.startswith("connections.cmcc-1.group: ")
    assert problem.endswith(" must be 1-64 of a-z, 0-9, dot, dash, underscore.")


DIALECT = """
connections:
  old-1:
    host: smsc.example
    system_id: shop
    password_env: LONG
    allow_long_password: true
    interface_version: 3.3
    addr_ton: 1
    addr_npi: 8
    address_range: "^1069"
    inactivity_s: 600
    default_encoding: latin1
    source_addr_ton: 3
    source_addr_npi: 0
    dest_addr_ton: 0
    dest_addr_npi: 9
    service_type: WAP
"""


def test_what_an_smsc_insists_on_can_be_said() -> None:
    """Versions, address types, service type, long passwords, what data_coding 0 means."""
    (one,) = parse_config(DIALECT, {"LONG": "a-long-password"}).config.connections
    assert (one.password, one.interface_version, one.inactivity_s) == ("a-long-password", 0x33, 600)
    assert (one.addr_ton, one.addr_npi, one.address_range) == (1, 8, "^1069")
    assert one.default_encoding == "latin1"
    assert one.addressing == Addressing(
        source_addr_ton=3,
        source_addr_npi=0,
        dest_addr_ton=0,
        dest_addr_npi=9,
        service_type="WAP",
    )


def test_without_it_everything_is_as_the_specification_says() -> None:
    """Version 3.4, no address range, types by the address, for ever."""
    (one,) = parse_config(
        "connections: {c: {host: h, system_id: s, password_env: CT}}", ENVIRON
    ).config.connections
    assert (one.interface_version, one.address_range, one.inactivity_s) == (0x34, "", math.inf)
    assert (one.addressing, one.default_encoding) == (Addressing(), "gsm7")


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (
            DIALECT.replace("allow_long_password: true", ""),
            "connections.old-1.password_env: the password in LONG must be at most 8 octets; if",
        ),
        (
            DIALECT.replace("3.3", "3.5"),
            "connections.old-1.interface_version: 3.5 must be one of 3.3, 3.4, 5.0.",
        ),
        (
            DIALECT.replace("service_type: WAP", "service_type: LONGER"),
            "connections.old-1.service_type: 'LONGER' must be at most 5 octets.",
        ),
        (
            DIALECT.replace("latin1", "koi8"),
            "connections.old-1.default_encoding: 'koi8' must be one of gsm7, latin1",
        ),
    ],
)
def test_a_dialect_has_limits_too(source: str, sentence: str) -> None:
    """Each with its rule."""
    (problem,) = problems_of(source, {"LONG": "a-long-password"})
    assert problem.startswith(sentence)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("[", "the file is not YAML"),
        ("{}", "connections: is missing."),
        ("connections: {}", "connections: must be a mapping of names, with at least one."),
        (
            GATEWAY.replace("rate_per_s: 100", "rate_per_s: fast"),
            "connections.cmcc-1.rate_per_s: 'fast' must be a number from 0.01 to 1e+06.",
        ),
        (
            GATEWAY.replace("rate_per_s", "rate_per_second"),
            "connections.cmcc-1.rate_per_second: is not a known key; did you mean rate_per_s?",
        ),
        (
            GATEWAY.replace("ca: ca.pem", "cert: c.pem"),
            "connections.cmcc-1.tls: needs cert and key together; add the other one.",
        ),
        (
            GATEWAY.replace("ct-1", "CT 1"),
            "connections.CT 1: must be 1-64 of a-z, 0-9, dot, dash, underscore.",
        ),
        (
            GATEWAY + "accounts: {}",
            "accounts: is for mode: proxy; add that, or take this out.",
        ),
        (
            PROXY.replace("connection: cmcc-1", "connection: cmcc-2"),
            "accounts.app.connection: 'cmcc-2' is not among connections; known: cmcc-1.",
        ),
        (
            PROXY.replace("{host: smsc", "{bind: receiver, host: smsc"),
            "accounts.app.binds: connection 'cmcc-1' binds as receiver, so nothing",
        ),
        (
            PROXY.replace("优惠券|coupon", "["),
            "content_tags.0.text: '[' must be a regular expression",
        ),
        (
            PROXY.replace("text:", "language:"),
            "content_tags.0: needs text or source_addr to match; add one.",
        ),
        (
            PROXY.replace("10.0.0.0/8", "10.0.0.0/99"),
            "accounts.app.allow: ['127.0.0.1', '10.0.0.0/99'] must be a list of addresses",
        ),
        (
            PROXY.replace("listen: {", "listen: {tls: true, "),
            "listen.tls: a listener needs cert and key; add them.",
        ),
        (
            PROXY + "accounts: {}\nmode: gateway\n",
            "mode: stands twice, in lines 2 and ",
        ),
        (
            GATEWAY.replace("ct-1:", "cmcc-1:"),
            "cmcc-1: stands twice, in lines ",
        ),
    ],
)
def test_every_mistake_has_a_sentence_with_its_path(source: str, sentence: str) -> None:
    """A person can mend the file without reading the code."""
    assert any(problem.startswith(sentence) for problem in problems_of(source))


def test_all_mistakes_are_told_at_once() -> None:
    """Nobody mends one line per start; no secret is shown."""
    source = GATEWAY.replace("port: 2776", "port: 0").replace("system_id: shop\n", "system: x\n")
    problems = problems_of(source, {"CMCC": "longer than eight"})
    assert [problem.split(": ")[0] for problem in problems] == [
        "connections.cmcc-1.system",
        "connections.cmcc-1.system_id",
        "connections.cmcc-1.password_env",
        "connections.ct-1.port",
        "connections.ct-1.password_env",
    ]
    assert "longer than eight" not in " ".join(problems)
    assert "the environment variable CT is not set; set it." in problems[-1]
