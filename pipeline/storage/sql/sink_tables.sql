-- What the database of the sink has besides: how far it is with the deltas of every partition.
CREATE TABLE IF NOT EXISTS shards (
    "partition" INTEGER, chain VARCHAR, "sequence" BIGINT, worker VARCHAR, counted_at_ms BIGINT,
    definitions_offset BIGINT, watermark_ms BIGINT
);
-- Pieces of deltas whose other pieces have not come yet.
CREATE TABLE IF NOT EXISTS delta_pieces (
    "partition" INTEGER, "sequence" BIGINT, piece BIGINT, body BLOB
);
