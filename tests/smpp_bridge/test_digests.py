"""The set of what is finished."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from smpp_bridge.digests import DigestSet

DIGESTS = st.binary(min_size=16, max_size=16) | st.integers(0, 40).map(lambda n: n.to_bytes(16))


@given(st.lists(DIGESTS), st.lists(DIGESTS))
def test_it_holds_what_a_set_of_the_digests_holds(added: list[bytes], asked: list[bytes]) -> None:
    """Neighbours, repetitions and the first and last of a bucket included; ends do not count."""
    digests = DigestSet()
    for digest in added:
        digests.add(digest)
    members = {digest[:10] for digest in added}
    places = {(int.from_bytes(m[:2], "big") >> 4, m[2:]) for m in members}
    for digest in added + asked:
        place = (int.from_bytes(digest[:2], "big") >> 4, digest[2:10])
        assert (digest in digests) == (place in places)
    assert len(digests) == len(places)
