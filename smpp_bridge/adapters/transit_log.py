"""What the proxy has passed on and not yet recorded: an append-only file without personal data.

Written before the socket. After a crash every entry becomes an `unknown` result, so that each
message of the operator's record is in Kafka. A record is: length, kind, payload.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Final, cast

from schemas.codec import SchemaError, decode, encode
from schemas.events import MessageSubmitted

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
        self._file = -1
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
        data, self._buffer = self._buffer, bytearray()
        written = 0
        while written < len(data):
            written += os.write(self._file, data[written:])
        self._size += len(data)
        if self._size > _REWRITE_ABOVE:
            self._rewrite()

    def close(self) -> None:
        """Write and close."""
        self.write()
        os.close(self._file)

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
                return
            self.pending[event.event_id] = event

    def _rewrite(self) -> None:
        fresh = self._path.with_suffix(".new")
        file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        kept = bytearray()
        for event in self.pending.values():
            payload = encode(event)
            kept += _HEAD.pack(len(payload), _BEGUN) + payload
        written = 0
        while written < len(kept):
            written += os.write(file, kept[written:])
        fresh.replace(self._path)
        if self._file >= 0:
            os.close(self._file)
        self._file, self._size = file, len(kept)
