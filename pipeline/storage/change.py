"""What a delta carries: changes of the aggregates, as the tables that a flush would change."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import pyarrow as pa

PRIVATE = frozenset(
    {
        "history",
        "shelf_emptied",
        "definitions",
    }
)
"""Tables of a flush that stay with who counted; the others travel."""
PIECE_BYTES = 700_000
"""A third more in JSON, and below what a record may have (`runtime.kafka.MAX_RECORD_BYTES`)."""
_CODEC = "zstd"
_SIZE_BYTES = 8


class Change(msgspec.Struct, frozen=True, array_like=True):
    """What the sink does once. `tables`: name → Arrow stream, in the order to apply them."""

    applied: int
    duplicates: int
    watermark_ms: int
    newest_activity_ms: int
    tables: dict[str, bytes]


_decoder = msgspec.msgpack.Decoder(Change)


def pack(change: Change) -> list[bytes]:
    """Compress and cut into pieces."""
    plain = msgspec.msgpack.encode(change)
    packed = pa.compress(plain, codec=_CODEC, asbytes=True)
    body = len(plain).to_bytes(_SIZE_BYTES) + packed
    return [body[start : start + PIECE_BYTES] for start in range(0, len(body), PIECE_BYTES)]


def unpack(body: bytes) -> Change:
    """The change of all pieces together."""
    size = int.from_bytes(body[:_SIZE_BYTES])
    return _decoder.decode(pa.decompress(body[_SIZE_BYTES:], size, codec=_CODEC, asbytes=True))


def travelling(tables: Mapping[str, pa.Table]) -> dict[str, bytes]:
    """The tables that go to the sink."""
    return {name: _bytes_of(table) for name, table in tables.items() if name not in PRIVATE}


def table_of(stream: bytes) -> pa.Table:
    """A table that travelled."""
    with pa.ipc.open_stream(stream) as reader:
        return reader.read_all()


def _bytes_of(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())
