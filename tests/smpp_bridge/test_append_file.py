"""What is on disk when the disk is full."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from schemas.events import MessageSubmitted
from smpp_bridge.adapters.append_file import AppendFile
from smpp_bridge.adapters.journal import Answer, Journal, part_key
from smpp_bridge.adapters.transit_log import TransitLog


def result(message_id: str) -> MessageSubmitted:
    """A message on its way."""
    return MessageSubmitted(
        event_id=f"{message_id}/1",
        occurred_at_ms=0,
        subject="k1.AAAAAAAAAAAAAAAAAAAAAA",
        message_id=message_id,
        connection="main",
        source_addr="1069",
        outcome="unknown",
    )


@contextmanager
def room_for(octets: int) -> Iterator[None]:
    """No file of this process may become larger: the kernel cuts a write short, then fails."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (octets, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_piece_that_does_not_fit_leaves_nothing_and_nothing_follows_it(tmp_path: Path) -> None:
    """Half a record with more behind it would be read as something that never happened."""
    file = AppendFile(tmp_path / "file")
    file.append(b"whole")
    with room_for(7), pytest.raises(OSError, match="too large"):
        file.append(b"torn")
    with pytest.raises(OSError, match="earlier"):
        file.append(b"more")
    file.close()
    assert (tmp_path / "file").read_bytes() == b"whole"


def test_a_journal_of_a_full_disk_can_be_opened_again(tmp_path: Path) -> None:
    """What was written before counts; what was noted after the failure was never acted on."""
    journal = Journal(tmp_path, day=5)
    journal.note(part_key("m1/1"), "attempted")
    journal.write()
    journal.note(part_key("m2/1"), "answered", Answer("accepted", 0, "x" * 100))
    with room_for(30), pytest.raises(OSError, match="too large"):
        journal.write()
    journal.note(part_key("m1/1"), "done")
    journal.close()
    again = Journal(tmp_path, day=5)
    fates = [again.fate(part_key(part_id)).kind for part_id in ("m1/1", "m2/1")]
    assert fates == ["attempted", "new"]
    again.close()


def test_a_transit_log_of_a_full_disk_can_be_opened_again(tmp_path: Path) -> None:
    """What was passed on before the disk was full is still known."""
    log = TransitLog(tmp_path / "transit")
    log.begin(result("m1"))
    log.write()
    size = (tmp_path / "transit").stat().st_size
    log.begin(result("m2"))
    with room_for(size + 20), pytest.raises(OSError, match="too large"):
        log.write()
    log.done(result("m1").event_id)
    log.close()
    again = TransitLog(tmp_path / "transit")
    assert set(again.pending) == {result("m1").event_id}
    again.close()


def test_an_entry_that_cannot_be_read_hides_no_other(tmp_path: Path) -> None:
    """Another version may have written what this one refuses; the rest was passed on as well."""
    log = TransitLog(tmp_path / "transit")
    for event in (result("m1"), replace(result("m2"), segments=256), result("m3")):
        log.begin(event)
    log.close()
    again = TransitLog(tmp_path / "transit")
    assert set(again.pending) == {result("m1").event_id, result("m3").event_id}
    again.close()
