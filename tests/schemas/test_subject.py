"""The subject token."""

from __future__ import annotations

import base64
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.subject import SubjectKey, Tokenizer, partition_of

KEY = SubjectKey("k1", b"0123456789abcdef" * 2)
msisdns = st.from_regex(r"[1-9][0-9]{6,14}", fullmatch=True)


@given(msisdns, st.binary(min_size=16, max_size=200))
def test_token_is_the_truncated_hmac_of_the_number(msisdn: str, secret: bytes) -> None:
    """The copied hash states give exactly what the standard library's HMAC gives."""
    expected = hmac.digest(secret, msisdn.encode(), "sha256")[:16]
    token = Tokenizer(SubjectKey("k1", secret)).token(msisdn)
    assert token == "k1." + base64.urlsafe_b64encode(expected).decode().rstrip("=")


@given(msisdns, st.integers(min_value=1, max_value=64))
def test_partition_comes_from_the_first_four_bytes_of_the_token(msisdn: str, count: int) -> None:
    """Any producer can compute the partition from the token alone."""
    token = Tokenizer(KEY).token(msisdn)
    digest = base64.urlsafe_b64decode(token.partition(".")[2] + "==")
    assert partition_of(token, count) == int.from_bytes(digest[:4], "big") % count


def test_partitions_are_evenly_used() -> None:
    """12,000 consecutive numbers spread over 12 partitions within 5 standard deviations."""
    tokenizer = Tokenizer(KEY)
    counts = [0] * 12
    for number in range(12_000):
        counts[partition_of(tokenizer.token(str(8613800000000 + number)))] += 1
    assert all(abs(count - 1000) < 5 * 1000**0.5 for count in counts)


@pytest.mark.parametrize("bad", ["", "+8613800000001", "0138000000", "12345", "1" * 16, "86138x"])
def test_bad_number_is_refused_without_being_named(bad: str) -> None:
    """A number that is not E.164 digits raises, and the message does not repeat it."""
    with pytest.raises(ValueError, match="must be 7-15 digits") as error:
        Tokenizer(KEY).token(bad)
    assert not bad or bad not in str(error.value)


@pytest.mark.parametrize("bad", ["", "k1.", "k1.abc", "8613800000001", "k1." + "A" * 23])
def test_partition_of_something_else_is_refused(bad: str) -> None:
    """A phone number or a torn token never gets a partition."""
    with pytest.raises(ValueError, match="must be '<key id>"):
        partition_of(bad)


@pytest.mark.parametrize(("key_id", "secret"), [("K1", b"x" * 16), ("", b"x" * 16), ("k1", b"x")])
def test_weak_or_misnamed_key_is_refused(key_id: str, secret: bytes) -> None:
    """A key shorter than 16 bytes or with a strange id cannot be made."""
    with pytest.raises(ValueError, match="must"):
        SubjectKey(key_id, secret)


def test_secret_is_not_in_the_representation() -> None:
    """Logging a key shows its id only."""
    assert "0123456789abcdef" not in repr(KEY)
