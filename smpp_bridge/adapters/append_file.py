"""A file that only grows, by whole pieces: a disk that fills never leaves half of one."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


class AppendFile:
    """What is written survives the end of the process (page cache), not of the machine.

    Raises:
        OSError: If the file cannot be opened.
    """

    __slots__ = ("_file", "is_broken", "size")

    def __init__(self, path: Path, *, is_fresh: bool = False) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | (os.O_TRUNC if is_fresh else 0)
        self._file = os.open(path, flags, 0o600)
        self.size = os.fstat(self._file).st_size
        self.is_broken = False
        """A write has failed; nothing more is written, so that nothing stands behind a gap."""

    def append(self, data: bytes | bytearray) -> None:
        """Write all of it or nothing.

        Raises:
            OSError: If the disk is full or gone, and at every call after that.
        """
        if self.is_broken:
            raise OSError("an earlier write has failed")
        written = 0
        try:
            while written < len(data):
                written += os.write(self._file, data[written:])
        except OSError:
            self.is_broken = True
            with suppress(OSError):
                os.ftruncate(self._file, self.size)
            raise
        self.size += written

    def close(self) -> None:
        """Close."""
        os.close(self._file)
