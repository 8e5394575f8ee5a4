"""What the proxy has passed on and not yet recorded: an append-only file without personal data.

Written before the socket. After a crash every entry becomes an `unknown` result, so that each
message of the operator's record is in Kafka. A record is: length, kind, payload.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path
from typing import Final, cast

from schemas.codec import SchemaError, decode, encode
from schemas.events import MessageSubmitted
from smpp_bridge.adapters.append_file import AppendFile

_HEAD: Final = struct.Struct(">Ic")
_BEGUN: Final = b"b"
_DONE: Final = b"d"
_REWRITE_ABOVE: Final = 64 * 2**20
"""Octets; then only what is pending is kept: less than a window's worth per session."""


class TransitLog:
    """The log of one file.

    Raises:
        OSError: If the file cannot be made or read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.pending: dict[str, MessageSubmitted] = {}
        self._buffer = bytearray()
        if path.exists():
            self._load(path.read_bytes())
        self._file: AppendFile | None = None
        self._rewrite()

    def begin(self, event: MessageSubmitted) -> None:
        """Note in memory; the caller calls `write` before it sends."""
        self.pending[event.event_id] = event
        self._note(_BEGUN, encode(event))

    def done(self, event_id: str) -> None:
        """Its result is in Kafka."""
        if self.pending.pop(event_id, None) is not None:
            self._note(_DONE, event_id.encode())

    def write(self) -> None:
        """Put the notes on disk.

        Raises:
            OSError: If the disk is full or gone; nothing may be sent then.
        """
        assert self._file is not None
        data, self._buffer = self._buffer, bytearray()
        if data:
            self._file.append(data)
        if self._file.size > _REWRITE_ABOVE:
            self._rewrite()

    def close(self) -> None:
        """Write what can be written, and close."""
        assert self._file is not None
        with suppress(OSError):  # a full disk has been reported; nothing was done since
            self.write()
        self._file.close()

    def _note(self, kind: bytes, payload: bytes) -> None:
        self._buffer += _HEAD.pack(len(payload), kind) + payload

    def _load(self, data: bytes) -> None:
        """A record torn by a crash was never acted on."""
        start = 0
        while start + _HEAD.size <= len(data):
            length, kind = _HEAD.unpack_from(data, start)
            payload = data[start + _HEAD.size : start + _HEAD.size + length]
            start += _HEAD.size + length
            if len(payload) < length:
                return
            if kind == _DONE:
                self.pending.pop(payload.decode(), None)
                continue
            try:
                event = cast("MessageSubmitted", decode(payload))
            except SchemaError:
                continue  # of another version; what came after it was passed on all the same
            self.pending[event.event_id] = event

    def _rewrite(self) -> None:
        fresh = self._path.with_suffix(".new")
        kept = bytearray()
        for event in self.pending.values():
            payload = encode(event)
            kept += _HEAD.pack(len(payload), _BEGUN) + payload
        file = AppendFile(fresh, is_fresh=True)
        try:
            file.append(kept)
            fresh.replace(self._path)
        except OSError:
            file.close()
            raise
        if self._file is not None:
            self._file.close()
        self._file = file
