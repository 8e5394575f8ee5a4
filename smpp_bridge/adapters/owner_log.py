"""Whose message it was: digest → account, in memory and in two append-only files.

Entries go to the current generation. When that is full or old it becomes the one before, and
what was the one before is forgotten, or goes by itself when it is twice as old: no file is ever
rewritten, and an entry lives through between one and two generations. Written to the page cache
before the socket: it survives SIGKILL of the process, not of the machine. Digests only, no ids
and no numbers.
A file is: when it was begun (8 octets, Unix ms), then records of digest, length, account.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from smpp_bridge.adapters.append_file import AppendFile
from smpp_bridge.adapters.clock import now_ms

MAX_OWNED: Final = 200_000
"""Entries of a generation, two per message: about 100 B each in memory, 15-25 B on disk."""
MAX_AGE_MS: Final = 7 * 86_400_000
"""Of a generation: receipts come up to some days late, replies later."""
_DATE: Final = 8
_DIGEST: Final = 8


class _Generation:
    """One file's entries."""

    __slots__ = ("begun_ms", "entries")

    def __init__(self, begun_ms: int) -> None:
        self.begun_ms = begun_ms
        self.entries: dict[bytes, str] = {}


class OwnerLog:
    """The log of one connection. `path` is of the current file; no file before the first entry.

    Raises:
        OSError: If a file cannot be read or cut.
    """

    def __init__(
        self,
        path: Path,
        *,
        size: int = MAX_OWNED,
        age_ms: int = MAX_AGE_MS,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._path = path
        self._path_before = path.with_name(path.name + ".before")
        self._size = size
        self._age_ms = age_ms
        self._clock = clock
        self._names: dict[str, str] = {}
        self._buffer = bytearray()
        self._file: AppendFile | None = None
        self._before = self._load(self._path_before)
        self._current = self._load(path)

    def get(self, digest: bytes) -> str | None:
        """The account, or `None`."""
        return self._current.entries.get(digest) or self._before.entries.get(digest)

    def put(self, digest: bytes, account: str) -> None:
        """Note in memory; the caller calls `write` before it sends."""
        if self._current.entries.get(digest) == account:
            return
        self._remember(self._current, digest, account)
        name = account.encode()
        self._buffer += digest + bytes((len(name),)) + name

    def write(self) -> None:
        """Put the notes on disk.

        Raises:
            OSError: If the disk is full or gone; nothing may be sent then.
        """
        if not self._buffer:
            return
        data, self._buffer = self._buffer, bytearray()
        if self._file is None:
            self._file = AppendFile(self._path)
        if not self._file.size:
            data[:0] = self._current.begun_ms.to_bytes(_DATE, "big")
        self._file.append(data)
        if len(self._current.entries) >= self._size:
            self._turn()

    def tick(self) -> None:
        """Let time pass: a generation that is old becomes the one before, and goes at last.

        Raises:
            OSError: If a file cannot be moved or removed.
        """
        now = self._clock()
        if now - self._current.begun_ms >= self._age_ms:
            self.write()  # which may have turned
        if self._current.entries and now - self._current.begun_ms >= self._age_ms:
            self._turn()
        if self._before.entries and now - self._before.begun_ms >= 2 * self._age_ms:
            self._path_before.unlink(missing_ok=True)
            self._before = _Generation(now)

    def close(self) -> None:
        """Write what can be written, and close."""
        with suppress(OSError):  # a full disk has been reported; nothing was done since
            self.write()
        if self._file is not None:
            self._file.close()

    def _turn(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None
        self._path.replace(self._path_before)
        self._before, self._current = self._current, _Generation(self._clock())

    def _remember(self, generation: _Generation, digest: bytes, account: str) -> None:
        # one string per account, however many entries
        generation.entries[digest] = self._names.setdefault(account, account)

    def _load(self, path: Path) -> _Generation:
        """Read a file; a record torn by a crash was never acted on and is cut off."""
        now = self._clock()
        data = path.read_bytes() if path.exists() else b""
        begun_ms = int.from_bytes(data[:_DATE], "big") if len(data) >= _DATE else 0
        if now - begun_ms >= 2 * self._age_ms:
            path.unlink(missing_ok=True)
            return _Generation(now)
        generation = _Generation(begun_ms)
        end = _DATE
        while end + _DIGEST < len(data):
            start = end + _DIGEST + 1
            until = start + data[start - 1]
            if until > len(data):
                break
            name = data[start:until].decode("utf-8", "replace")
            self._remember(generation, data[end : end + _DIGEST], name)
            end = until
        if end < len(data):
            os.truncate(path, end)
        return generation
