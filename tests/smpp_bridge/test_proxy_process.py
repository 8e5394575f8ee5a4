"""The proxy as a process: TLS listener, real Kafka, metrics, a stop that says goodbye."""

from __future__ import annotations

import re
import ssl
import uuid
from pathlib import Path
from typing import Any

import pytest
import trustme

from schemas.events import MessageSubmitted
from schemas.topics import MESSAGE_SUBMITTED
from smpp_bridge.adapters import account_metrics
from smpp_bridge.protocol import pdu
from smpp_bridge.protocol.constants import ESM_RECEIPT
from tests.support.bridge import TOKENIZER, connection_config, file_environment, of_connection
from tests.support.esme import Esme, connect
from tests.support.metrics import samples_at
from tests.support.processes import process, sentence_of
from tests.support.smsc import Smsc, run_smsc
from tests.support.sockets import free_port
from tests.support.topics import TopicReader, wait_until

pytestmark = pytest.mark.kafka
NAME = "proxy.example"


def proxy_config(name: str, smsc_port: int, listen: dict[str, Any]) -> dict[str, Any]:
    """One account and one connection."""
    return {
        "mode": "proxy",
        "connections": {name: connection_config(smsc_port)},
        "listen": {"host": "127.0.0.1", **listen},
        "accounts": {
            "shop": {"password_env": "SMS_BRIDGE_TEST_PASSWORD", "connection": name, "window": 1}
        },
        "content_tags": [{"tag": "greeting", "text": "hi"}],
    }


async def test_through_tls_to_kafka_and_goodbye(kafka: str, tmp_path: Path) -> None:
    """A bind over TLS, a message, a refused one, metrics of the account, SIGTERM: unbound, 0."""
    name = f"p-{uuid.uuid4().hex[:8]}"
    port, health = free_port(), free_port()
    ca = trustme.CA()
    paper = ca.issue_cert(NAME)
    paths = {"cert": str(tmp_path / "cert.pem"), "key": str(tmp_path / "key.pem")}
    paper.cert_chain_pems[0].write_to_path(paths["cert"])
    paper.private_key_pem.write_to_path(paths["key"])
    trusting = ssl.create_default_context()
    ca.configure_trust(trusting)
    async with run_smsc(Smsc()) as smsc:
        config = proxy_config(name, smsc.port, {"port": port, "tls": paths})
        settings = file_environment(kafka, tmp_path, config)
        async with (
            process("smpp_bridge", settings | {"SMS_BRIDGE_HEALTH_PORT": str(health)}) as bridge,
            TopicReader(kafka, MESSAGE_SUBMITTED.name) as results,
        ):
            await wait_until(lambda: smsc.is_bound)
            esme: Esme = await connect(port, tls=trusting, server_name=NAME)
            await wait_until(lambda: esme.is_bound)
            esme.submit("8613800000001", "hi")
            esme.submit("8613800000001", "over the window of one")
            await wait_until(lambda: len(esme.answers) == 2)
            await wait_until(lambda: len(of_connection(results, name)) == 1)
            found = await samples_at(health)
            bridge.terminate()
            assert await bridge.wait() == 0
            await wait_until(lambda: esme.is_closed)
    (event,) = of_connection(results, name)
    assert isinstance(event, MessageSubmitted)
    assert event.subject == TOKENIZER.token("8613800000001")
    assert (event.account, event.content_tag, event.outcome) == ("shop", "greeting", "accepted")
    assert not smsc.is_bound
    account = frozenset({("account", "shop")})
    assert found["smslab_bridge_account_bound", account] == 1
    assert found["smslab_bridge_account_submits_total", account] == 1
    refused = frozenset({("account", "shop"), ("command_status", "0x00000014")})
    assert found["smslab_bridge_account_refused_total", refused] == 1
    documented = set(re.findall(r"`(smslab_bridge_\w+)`", str(account_metrics.__doc__)))
    assert documented <= {sample for sample, _ in found}


async def test_after_sigkill_a_receipt_still_finds_its_account(kafka: str, tmp_path: Path) -> None:
    """Two accounts without `senders` on one connection; the new process has only the disk."""
    port = free_port()
    async with run_smsc(Smsc(answer=lambda _: (0, b"10C8F40D"))) as smsc:
        name = f"p-{uuid.uuid4().hex[:8]}"
        config = proxy_config(name, smsc.port, {"port": port})
        config["accounts"]["other"] = config["accounts"]["shop"]
        settings = file_environment(kafka, tmp_path, config)
        async with process("smpp_bridge", settings) as bridge:
            await wait_until(lambda: smsc.is_bound)
            esme = await connect(port)
            await wait_until(lambda: esme.is_bound)
            esme.submit("8613800000001", "hi")
            await wait_until(lambda: len(esme.answers) == 1)
            bridge.kill()
            await bridge.wait()
        smsc.peers.clear()
        async with process("smpp_bridge", settings):
            await wait_until(lambda: smsc.is_bound)
            bind = pdu.BindTransceiver(system_id=b"other", password=b"secret")
            other, esme = await connect(port, bind=bind), await connect(port)
            await wait_until(lambda: esme.is_bound and other.is_bound)
            body = b"id:281605133 stat:DELIVRD err:000"
            smsc.deliver(
                pdu.DeliverSm(
                    source_addr=b"8613800000009", esm_class=ESM_RECEIPT, short_message=body
                ),
                "dlr",
            )
            await wait_until(lambda: len(smsc.acknowledged) == 1)
    assert smsc.acknowledged == [("dlr", 0)]
    assert (len(esme.delivered), other.delivered) == (1, [])


async def test_a_taken_port_gives_one_sentence(kafka: str, tmp_path: Path) -> None:
    """Which key of the file to change."""
    async with run_smsc(Smsc()) as smsc:
        config = proxy_config("p", smsc.port, {"port": smsc.port})
        code, said = await sentence_of("smpp_bridge", file_environment(kafka, tmp_path, config))
    assert code == 3
    assert f"listen.port == {smsc.port}: cannot listen on 127.0.0.1" in said
    assert "Traceback" not in said


async def test_a_certificate_that_is_not_there_gives_one_sentence(
    kafka: str, tmp_path: Path
) -> None:
    """Before anything is bound."""
    tls = {"cert": "/nowhere.pem", "key": "/nowhere.key"}
    config = proxy_config("p", 2775, {"port": 0, "tls": tls})
    code, said = await sentence_of("smpp_bridge", file_environment(kafka, tmp_path, config))
    assert code == 2
    assert "listen.tls.cert == /nowhere.pem with /nowhere.key cannot be used: No such file" in said
