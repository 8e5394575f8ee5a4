"""The subject token: a phone number made opaque by a secret key, and its Kafka partition.

Token = key id + "." + base64url(first 16 bytes of HMAC-SHA256(key, E.164 digits)), no padding.
A plain hash of a phone number is brute-forced in minutes (10^10 numbers), hence the key;
still personal data in law, because whoever holds the key can test a number.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from dataclasses import dataclass, field

from schemas.topics import SUBJECT_PARTITIONS

MIN_KEY_BYTES = 16
TOKEN_BYTES = 16
_ENCODED = 22
"""Characters of 16 bytes in base64 without padding."""
_TO_URLSAFE = bytes.maketrans(b"+/", b"-_")  # RFC 4648 §5; base64's own function costs twice that
_BLOCK = 64  # SHA-256 block size, RFC 2104
_KEY_ID = re.compile(r"[a-z0-9]{1,8}")
_E164 = re.compile(r"[1-9][0-9]{6,14}")  # E.164: at most 15 digits, no leading zero


@dataclass(frozen=True, slots=True)
class SubjectKey:
    """The secret behind tokens, with a public id that tells which key made a token.

    Raises:
        ValueError: If the id is not 1-8 of a-z0-9 or the secret is shorter than 16 bytes.
    """

    key_id: str
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not _KEY_ID.fullmatch(self.key_id):
            raise ValueError(f"key_id == {self.key_id!r}, must be 1-8 characters of a-z0-9.")
        if len(self.secret) < MIN_KEY_BYTES:
            raise ValueError(
                f"subject key has {len(self.secret)} bytes, must have at least {MIN_KEY_BYTES}."
            )


class Tokenizer:
    """Turns E.164 digits into subject tokens.

    Holds the two padded SHA-256 states of HMAC and copies them per number: the same
    value as `hmac.digest`, 2.6 times faster (RFC 2104 §4 allows the precomputation).
    """

    __slots__ = ("_inner", "_outer", "_prefix")

    def __init__(self, key: SubjectKey) -> None:
        secret = key.secret if len(key.secret) <= _BLOCK else hashlib.sha256(key.secret).digest()
        padded = secret.ljust(_BLOCK, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in padded))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in padded))
        self._prefix = f"{key.key_id}."

    def token(self, msisdn: str) -> str:
        """The subject token of a phone number given as E.164 digits without `+`.

        Raises:
            ValueError: If it is not 7-15 digits without leading zero (the number is not named).
        """
        if not _E164.fullmatch(msisdn):
            raise ValueError("msisdn must be 7-15 digits, international, without '+' or leading 0.")
        return self.digest(msisdn.encode())

    def digest(self, data: bytes) -> str:
        """The same of any octets: whoever has no key cannot try which octets they were."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(data)
        outer.update(inner.digest())
        encoded = binascii.b2a_base64(outer.digest()[:TOKEN_BYTES])[:_ENCODED]
        return self._prefix + encoded.translate(_TO_URLSAFE).decode()


def partition_of(subject: str, partitions: int = SUBJECT_PARTITIONS) -> int:
    """The Kafka partition of a subject: first 4 bytes of the token, big-endian, modulo.

    The token is already a uniform hash, so no second hash is needed; every producer of
    subject-keyed events passes this partition explicitly.

    Raises:
        ValueError: If `subject` is not a token.
    """
    encoded = subject.partition(".")[2]
    try:
        # 8 characters are 6 whole bytes
        head = binascii.a2b_base64(encoded[:8].replace("-", "+").replace("_", "/"))
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"subject == {subject!r}, must be '<key id>.<22 base64url>'.") from error
    if len(head) < 4 or len(encoded) != _ENCODED:
        raise ValueError(f"subject == {subject!r}, must be '<key id>.<22 base64url>'.")
    return int.from_bytes(head[:4], "big") % partitions
