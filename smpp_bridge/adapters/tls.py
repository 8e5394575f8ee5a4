"""TLS contexts of both sides, and one sentence for every way a handshake fails."""

from __future__ import annotations

import ssl
from typing import Final

from runtime.process import CannotRun
from smpp_bridge.configuration import Tls

_UNKNOWN_CA: Final = (18, 19, 20, 21)
"""X509_V_ERR_* of OpenSSL: self-signed (chain), issuer not found, signature not verifiable."""
_VERIFY: Final[dict[int, str]] = {
    **dict.fromkeys(
        _UNKNOWN_CA, "its certificate is from an unknown authority; set tls.ca to the file of it"
    ),
    9: "its certificate is not valid yet; check the clocks of both sides",
    10: "its certificate has expired; the operator has to renew it",
    62: "its certificate is for another name; set tls.server_name to the one it is for",
    64: "its certificate is for another address; set tls.server_name to the name it is for",
}
_REASONS: Final[tuple[tuple[str, str], ...]] = (
    ("WRONG_VERSION_NUMBER", "the port does not speak TLS; use the operator's TLS port"),
    ("RECORD_LAYER_FAILURE", "the port does not speak TLS; use the operator's TLS port"),
    ("UNEXPECTED_EOF", "it closed during the handshake; does the port speak TLS?"),
    ("HTTP_REQUEST", "the port does not speak TLS; use the operator's TLS port"),
    ("CERTIFICATE_REQUIRED", "it wants a client certificate; set tls.cert and tls.key"),
    ("ALERT_UNKNOWN_CA", "it refused our certificate (unknown authority); check tls.cert"),
    ("ALERT_CERTIFICATE_EXPIRED", "it refused our certificate (expired); renew tls.cert"),
    ("ALERT_CERTIFICATE_REVOKED", "it refused our certificate (revoked); renew tls.cert"),
    ("ALERT_BAD_CERTIFICATE", "it refused our certificate; check tls.cert"),
    ("ALERT_ACCESS_DENIED", "it refused our certificate; ask the operator to admit it"),
    ("ALERT_HANDSHAKE_FAILURE", "no common TLS parameters, or it wants a client certificate"),
    ("ALERT_PROTOCOL_VERSION", "no common TLS version; the peer is too old (1.2 is the least)"),
    ("UNSUPPORTED_PROTOCOL", "no common TLS version; the peer is too old (1.2 is the least)"),
    ("UNRECOGNIZED_NAME", "it does not know the name we asked for; set tls.server_name"),
)
"""Part of OpenSSL's reason → what it means here and what to do."""


def client_context(tls: Tls, path: str) -> ssl.SSLContext:
    """The context of a connection to an SMSC; `path` is where `tls` stands in the file.

    Raises:
        CannotRun: If a file cannot be used.
    """
    return _from_files(ssl.Purpose.SERVER_AUTH, tls, path)


def server_context(tls: Tls, path: str) -> ssl.SSLContext:
    """The context of our listener; with `ca`, ESMEs need a certificate of it.

    Raises:
        CannotRun: If a file cannot be used.
    """
    context = _from_files(ssl.Purpose.CLIENT_AUTH, tls, path)
    if tls.ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def tls_sentence(error: BaseException | None) -> str | None:
    """What a TLS failure means and what to do; `None` when it is none."""
    if isinstance(error, ssl.SSLCertVerificationError):
        sentence = _VERIFY.get(error.verify_code)
        return f"TLS: {sentence or error.verify_message}"
    if not isinstance(error, ssl.SSLError):
        return None
    reason = getattr(error, "reason", None) or str(error)
    known = next((sentence for part, sentence in _REASONS if part in reason), None)
    return f"TLS: {known or reason.lower().replace('_', ' ')}"


def _from_files(purpose: ssl.Purpose, tls: Tls, path: str) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(purpose, cafile=tls.ca)
    except OSError as error:  # SSLError is one
        raise _unusable(f"{path}.ca", tls.ca, error) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls.cert is not None:
        try:
            context.load_cert_chain(tls.cert, tls.key)
        except OSError as error:
            raise _unusable(f"{path}.cert", f"{tls.cert} with {tls.key}", error) from error
    return context


def _unusable(path: str, value: str | None, error: OSError) -> CannotRun:
    if isinstance(error, ssl.SSLError):
        mismatch = "MISMATCH" in (error.reason or "")
        why = "the key does not belong to the certificate" if mismatch else "no PEM of that kind"
    else:
        why = error.strerror or str(error)
    return CannotRun(f"{path} == {value} cannot be used: {why}.")
