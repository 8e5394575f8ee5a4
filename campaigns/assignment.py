"""Who gets which arm: a hash of the campaign's salt and the subject, so anyone can recompute it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

from schemas.events import HOLDOUT

_SCALE: Final = 2**64


def assign(subject: str, *, salt: str, holdout: float, shares: Mapping[str, float]) -> str:
    """The arm of a subject: a variant id, or `HOLDOUT`.

    Holding out and choosing a variant use independent hashes, so a larger holdout moves
    nobody between variants. Same salt and subject, same arm, on any machine.

    Args:
        subject: The subject token.
        salt: The campaign's salt.
        holdout: Share held out, 0-1.
        shares: Variant → share of the rest; adds up to 1.

    Examples:
        >>> assign("k1.abc", salt="spring", holdout=0.0, shares={"A": 0.5, "B": 0.5})
        'B'
    """
    if _uniform(salt, b"holdout", subject) < holdout:
        return HOLDOUT
    point = _uniform(salt, b"variant", subject)
    last = ""
    for variant_id, share in shares.items():
        last = variant_id
        if point < share:
            return variant_id
        point -= share
    return last  # rounding of the shares' sum


def _uniform(salt: str, purpose: bytes, subject: str) -> float:
    """A number in [0, 1), uniform over subjects; BLAKE2b is keyed by the salt (RFC 7693)."""
    key = hashlib.blake2b(salt.encode(), digest_size=32).digest()
    digest = hashlib.blake2b(subject.encode(), key=key, person=purpose, digest_size=8).digest()
    return int.from_bytes(digest, "big") / _SCALE
