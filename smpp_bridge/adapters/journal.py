"""The journal: which parts were attempted, what was answered, what is durable. Append-only, by day.

Written to the page cache before the socket: it survives SIGKILL of the process. After a
restart "attempted" means: the SMSC may have it, nobody knows; never resent silently.
"Answered" means: the answer was here, but perhaps not yet in Kafka; it is published again.
A record is: kind, 16-octet hash of the part's id, length, payload. No personal data.
In memory the unfinished are kept whole, the finished as 8 octets each.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal, NamedTuple

import msgspec

from schemas.events import SubmitOutcome
from smpp_bridge.adapters.append_file import AppendFile
from smpp_bridge.digests import DigestSet

Kind = Literal["attempted", "released", "answered", "done"]
_LETTERS: Final[dict[Kind, bytes]] = {
    "attempted": b"a",
    "released": b"r",
    "answered": b"s",
    "done": b"d",
}
"""released: the SMSC said that it did not take the part (throttling); it may be sent again."""
_KINDS: Final = {letter: kind for kind, letter in _LETTERS.items()}
_HASH: Final = 16
_HEAD: Final = 1 + _HASH + 1
_LENGTHS: Final = [bytes((length,)) for length in range(256)]
KEPT_DAYS: Final = 3
"""Longer than requests stay in Kafka (2 days), so that no re-read request is forgotten."""


class Answer(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What the SMSC answered, as far as its result needs it."""

    outcome: SubmitOutcome
    command_status: int
    smsc_message_id: str | None


class Fate(NamedTuple):
    """The last note about a part; `answer` only for "answered"."""

    kind: Kind | Literal["new"]
    answer: Answer | None = None


NEW: Final = Fate("new")
_ATTEMPTED: Final = Fate("attempted")
_DONE: Final = Fate("done")
_encode_answer = msgspec.msgpack.Encoder().encode
_decode_answer = msgspec.msgpack.Decoder(Answer).decode


class JournalInUse(Exception):  # noqa: N818 - it names the situation
    """Another process writes this journal: both would send the same messages."""


def part_key(part_id: str) -> bytes:
    """The name of a part in the journal."""
    return hashlib.blake2b(part_id.encode(), digest_size=_HASH).digest()


class _Day:
    """What one day's file says: the fates of the unfinished, and who is finished."""

    __slots__ = ("done", "unfinished")

    def __init__(self) -> None:
        self.unfinished: dict[bytes, Fate] = {}
        self.done = DigestSet()


class Journal:
    """The journal of one folder. `write` puts everything noted since the last call on disk.

    Raises:
        JournalInUse: If another process has it open.
        OSError: If the folder cannot be made or read.
    """

    def __init__(self, folder: Path, *, day: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(folder / "lock")
        self._folder = folder
        self._days: dict[int, _Day] = {}
        self._buffer = bytearray()
        for path in sorted(folder.glob("*.journal")):
            if int(path.stem) <= day - KEPT_DAYS:
                path.unlink()
            else:
                self._load(path)
        self._begin(day)

    def fate(self, key: bytes) -> Fate:
        """What was noted last about a part (`part_key`)."""
        for day in self._days.values():
            found = day.unfinished.get(key)
            if found is not None:
                return found
        return _DONE if any(key in day.done for day in self._days.values()) else NEW

    def note(self, key: bytes, kind: Kind, answer: Answer | None = None) -> None:
        """Note in memory; the caller calls `write` before it acts on it."""
        payload = b"" if answer is None else _encode_answer(answer)
        self._apply(self._days[self._day], key, kind, answer)
        self._buffer += _LETTERS[kind] + key + _LENGTHS[len(payload)] + payload

    def write(self) -> None:
        """Put the notes on disk.

        Raises:
            OSError: If the disk is full or gone; nothing may be sent then.
        """
        data, self._buffer = self._buffer, bytearray()
        if data:
            self._file.append(data)

    def turn_day(self, day: int) -> None:
        """Begin a new file and forget what is too old."""
        if day == self._day:
            return
        self.write()
        self._file.close()
        self._begin(day)
        for old in [known for known in self._days if known <= day - KEPT_DAYS]:
            del self._days[old]
            (self._folder / f"{old}.journal").unlink(missing_ok=True)

    def close(self) -> None:
        """Write what can be written, and close."""
        with suppress(OSError):  # a full disk has been reported; nothing was done since
            self.write()
        self._file.close()
        os.close(self._lock)

    def _begin(self, day: int) -> None:
        self._day = day
        self._days.setdefault(day, _Day())
        self._file = AppendFile(self._folder / f"{day}.journal")

    def _apply(self, today: _Day, key: bytes, kind: Kind, answer: Answer | None) -> None:
        for day in self._days.values():
            day.unfinished.pop(key, None)
        if kind == "done":
            today.done.add(key)
        elif kind != "released":
            today.unfinished[key] = _ATTEMPTED if answer is None else Fate(kind, answer)

    def _load(self, path: Path) -> None:
        """Read a file; a record torn by a crash was never acted on and is cut off."""
        data = path.read_bytes()
        today = self._days[int(path.stem)] = _Day()
        end = 0
        for key, kind, answer, end in _records(data):  # noqa: B007 - the last end is needed below
            self._apply(today, key, kind, answer)
        if end < len(data):
            os.truncate(path, end)


def _lock(path: Path) -> int:
    """Held as long as the process lives, SIGKILL included."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(file)
        raise JournalInUse(
            "another bridge uses this folder. Stop it, or give this one a folder of its own."
        ) from error
    return file


def _records(data: bytes) -> Iterator[tuple[bytes, Kind, Answer | None, int]]:
    """(key, kind, answer, where it ends) of every whole record."""
    start = 0
    while start + _HEAD <= len(data):
        end = start + _HEAD + data[start + _HEAD - 1]
        if end > len(data):
            return
        payload = data[start + _HEAD : end]
        answer = _decode_answer(payload) if payload else None
        yield data[start + 1 : start + 1 + _HASH], _KINDS[data[start : start + 1]], answer, end
        start = end
