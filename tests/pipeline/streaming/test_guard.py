"""The batch transport stands on private names of a pinned Faust: the guard knows them."""

from __future__ import annotations

import inspect
import re

import pytest
from faust.transport.consumer import Consumer

from pipeline.streaming import guard, transport


def test_the_installed_versions_have_every_name() -> None:
    """The locked faust-streaming and aiokafka fit the transport."""
    guard.check_private_names()


def test_a_missing_name_is_one_clear_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """After an upgrade that drops a name, the start fails and says which versions to install."""
    monkeypatch.delattr(Consumer, "_wait_next_records")
    with pytest.raises(guard.TransportError, match=r"_wait_next_records.*requirements\.lock"):
        guard.check_private_names()


def test_every_private_name_in_use_is_guarded() -> None:
    """A private name that the transport touches is on the list of the guard."""
    used = set(re.findall(r"self\.(_[a-z]\w+)", inspect.getsource(transport)))
    own = {name for name in vars(transport.BatchConsumer) if name not in vars(Consumer)}
    own |= {"_delivered", "_thread", "_stopped", "_seek", "_times"}
    guarded = (*guard.PRIVATE_NAMES, *guard.PRIVATE_FIELDS)
    assert used - own <= {name for _, _, names in guarded for name in names}
