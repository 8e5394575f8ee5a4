"""TLS to an SMSC, with an authority of the test's own."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from runtime.process import CannotRun
from smpp_bridge.adapters.tls import client_context, server_context, tls_sentence
from smpp_bridge.configuration import Tls
from tests.support.chaos import Chaos, ChaosPeer
from tests.support.links import Owner, config_for, kept_link
from tests.support.smsc import Smsc, run_smsc
from tests.support.topics import wait_until

NAME = "smsc.example"


@dataclass
class Papers:
    """Certificates as files."""

    folder: Path
    ca: trustme.CA
    other: trustme.CA

    def server(self, name: str = NAME, *, days: int = 30, mutual: bool = False) -> ssl.SSLContext:
        """The context of an SMSC."""
        cert = self.ca.issue_cert(
            name,
            not_before=datetime.now(UTC) - timedelta(days=60),
            not_after=datetime.now(UTC) + timedelta(days=days),
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        cert.configure_cert(context)
        if mutual:
            context.verify_mode = ssl.CERT_REQUIRED
            self.ca.configure_trust(context)
        return context

    def ca_file(self, ca: trustme.CA) -> str:
        """Its certificate as a file."""
        path = self.folder / f"ca-{id(ca)}.pem"
        ca.cert_pem.write_to_path(path)
        return str(path)

    def client(self, ca: trustme.CA, name: str = "client") -> tuple[str, str]:
        """(certificate, key) of an ESME."""
        cert = ca.issue_cert(f"{name}.example")
        paths = str(self.folder / f"{name}.pem"), str(self.folder / f"{name}.key")
        cert.cert_chain_pems[0].write_to_path(paths[0])
        cert.private_key_pem.write_to_path(paths[1])
        return paths


@pytest.fixture
def papers(tmp_path: Path) -> Papers:
    """Two authorities."""
    return Papers(tmp_path, trustme.CA(), trustme.CA())


def _trusting(papers: Papers) -> Tls:
    return Tls(ca=papers.ca_file(papers.ca), server_name=NAME)


def _with_client(papers: Papers, ca: trustme.CA) -> Tls:
    cert, key = papers.client(ca)
    return Tls(ca=papers.ca_file(papers.ca), server_name=NAME, cert=cert, key=key)


@pytest.mark.parametrize("mutual", [False, True])
async def test_a_bind_through_tls(papers: Papers, mutual: bool) -> None:  # noqa: FBT001
    """With SNI and our own CA, and with a client certificate where one is wanted."""
    asked: list[str | None] = []
    context = papers.server(mutual=mutual)
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    tls = _with_client(papers, papers.ca) if mutual else _trusting(papers)
    async with (
        run_smsc(Smsc(), tls=context) as smsc,
        kept_link(config_for(smsc.port, tls=tls), Owner(), client_context(tls, "tls")),
    ):
        await wait_until(lambda: smsc.is_bound)
    assert asked == [NAME]


@contextmanager
def alerting_server(context: ssl.SSLContext) -> Iterator[int]:
    """A TLS server on plain sockets; yields its port. asyncio's own sends no alerts."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection, suppress(OSError):
                    context.wrap_socket(connection, server_side=True).recv(1)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


FAILURES: dict[str, tuple[Callable[[Papers], ssl.SSLContext], Callable[[Papers], Tls], str]]
FAILURES = {
    "unknown authority": (
        Papers.server,
        lambda papers: Tls(ca=papers.ca_file(papers.other), server_name=NAME),
        "unknown authority; set tls.ca",
    ),
    "expired": (lambda papers: papers.server(days=-1), _trusting, "has expired"),
    "wrong name": (
        lambda papers: papers.server("else.example"),
        _trusting,
        "for another name; set tls.server_name",
    ),
    "no client certificate": (
        lambda papers: papers.server(mutual=True),
        _trusting,
        "wants a client certificate; set tls.cert and tls.key",
    ),
    "client certificate refused": (
        lambda papers: papers.server(mutual=True),
        lambda papers: _with_client(papers, papers.other),
        "refused our certificate (unknown authority); check tls.cert",
    ),
}


@pytest.mark.parametrize("case", FAILURES)
async def test_each_failure_has_its_sentence(papers: Papers, case: str) -> None:
    """What is wrong and what to do, in the log, at `/readyz` and in the connection's report."""
    make_context, make_tls, sentence = FAILURES[case]
    tls = make_tls(papers)
    with alerting_server(make_context(papers)) as port:
        assert sentence in await first_error(port, tls)


async def first_error(port: int, tls: Tls | None) -> str:
    """Why the first attempt to bind failed."""
    context = None if tls is None else client_context(tls, "tls")
    async with kept_link(config_for(port, tls=tls), Owner(), context) as keeper:
        await wait_until(lambda: keeper.last_error is not None)
        return str(keeper.last_error)


async def test_a_plain_text_port_is_told(papers: Papers) -> None:
    """An SMSC without TLS closes, or answers with a PDU where TLS was expected."""
    async with run_smsc(Smsc()) as smsc:
        assert "port does not speak TLS" in await first_error(smsc.port, _trusting(papers))


async def test_a_plain_bind_to_a_tls_port_is_told(papers: Papers) -> None:
    """An alert is no PDU, a reset no answer: the person learns what to try."""
    with alerting_server(papers.server()) as port:
        assert "does the port speak TLS" in await first_error(port, None)


async def test_a_peer_that_just_closes_is_told_with_what_it_may_mean(papers: Papers) -> None:
    """Some servers send no alert."""
    async with run_smsc(Smsc(), tls=papers.server(mutual=True)) as smsc:
        assert "admit our address and our client" in await first_error(smsc.port, _trusting(papers))
        assert "does the port speak TLS" in await first_error(smsc.port, None)


def test_files_that_cannot_be_used_are_named(papers: Papers, tmp_path: Path) -> None:
    """Missing, not PEM, a key of another certificate: the path in the file and the reason."""
    cert, key = papers.client(papers.ca)
    _, other_key = papers.client(papers.ca, "other")
    junk = tmp_path / "junk.pem"
    junk.write_text("junk")
    for tls, sentence in (
        (Tls(ca="/nowhere.pem"), "c.tls.ca == /nowhere.pem cannot be used: No such file"),
        (Tls(ca=str(junk)), f"c.tls.ca == {junk} cannot be used: no PEM of that kind"),
        (Tls(cert=cert, key=other_key), "the key does not belong to the certificate"),
    ):
        with pytest.raises(CannotRun) as error:
            client_context(tls, "c.tls")
        assert sentence in str(error.value)
    assert server_context(Tls(cert=cert, key=key), "l").verify_mode is ssl.CERT_NONE
    asking = server_context(Tls(ca=papers.ca_file(papers.ca), cert=cert, key=key), "l")
    assert asking.verify_mode is ssl.CERT_REQUIRED


def test_other_errors_are_no_tls_sentences() -> None:
    """A refused TCP connection stays what it is; an unknown TLS error keeps its words."""
    assert tls_sentence(ConnectionRefusedError()) is None
    assert tls_sentence(None) is None
    assert tls_sentence(ssl.SSLError(1, "[SSL: ODD_THING] odd")) is not None


async def test_a_silent_peer_is_left_without_waiting_for_its_goodbye(papers: Papers) -> None:
    """Asyncio would give the close_notify of a dead peer 30 s, longer than this test waits."""
    tls = _trusting(papers)
    config = config_for(0, tls=tls, response_timeout_s=0.6, enquire_link_s=0.3)
    context = client_context(tls, "tls")
    async with run_smsc(Chaos(is_silent=True), tls=papers.server(), peer=ChaosPeer) as smsc:
        config = replace(config, port=smsc.port)
        async with kept_link(config, Owner(), context) as keeper:
            await wait_until(lambda: keeper.binds == 1)
            for peer in smsc.peers:
                peer._transport.pause_reading()  # type: ignore[attr-defined]
            await wait_until(lambda: len(smsc.peers) > 1)
