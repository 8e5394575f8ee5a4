"""Cuts the TCP stream into whole frames, bounded (SMPP 3.4 §3.2)."""

from __future__ import annotations

import struct
from typing import Final

_LENGTH: Final = struct.Struct(">I")
MIN_LENGTH: Final = 16
MAX_LENGTH: Final = 131_072
"""message_payload alone may have 65,535 octets; twice that is no PDU but lost framing."""


class FramingError(ValueError):
    """A command_length that cannot be true: where the next PDU starts is unknown. Closes."""

    def __init__(self, length: int, max_length: int = MAX_LENGTH) -> None:
        super().__init__(f"command_length == {length}, must be {MIN_LENGTH}-{max_length}.")
        self.length = length


class FrameBuffer:
    """Bytes in, frames out; any PDU may be split or joined at any octet."""

    __slots__ = ("_buffer", "_max_length")

    def __init__(self, max_length: int = MAX_LENGTH) -> None:
        self._buffer = bytearray()
        self._max_length = max_length

    def __len__(self) -> int:
        return len(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """Add octets; return every frame that is now whole.

        Raises:
            FramingError: At an impossible length that no whole frame precedes; frames before
                it are returned first, so call again (with no data) until none comes.
        """
        self._buffer += data
        frames: list[bytes] = []
        buffer, position, end = self._buffer, 0, len(self._buffer)
        while end - position >= 4:
            (length,) = _LENGTH.unpack_from(buffer, position)
            if not MIN_LENGTH <= length <= self._max_length:
                if frames:
                    break  # hand out what was whole; the next call raises
                raise FramingError(length, self._max_length)
            if end - position < length:
                break
            frames.append(bytes(buffer[position : position + length]))
            position += length
        del buffer[:position]
        return frames
