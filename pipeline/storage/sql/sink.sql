-- name: shards
SELECT "partition", chain, "sequence", worker, counted_at_ms, definitions_offset, watermark_ms
FROM shards ORDER BY "partition";

-- name: shard_gone
DELETE FROM shards WHERE "partition" = ?;

-- name: shard
INSERT INTO shards VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: offset_gone
DELETE FROM offsets WHERE topic = ? AND "partition" = ?;

-- name: offset
INSERT INTO offsets VALUES (?, ?, ?);

-- name: piece_gone
DELETE FROM delta_pieces WHERE "partition" = ? AND ("sequence" < ? OR piece = ?);

-- name: piece
INSERT INTO delta_pieces VALUES (?, ?, ?, ?);

-- name: pieces
SELECT body FROM delta_pieces WHERE "partition" = ? ORDER BY piece;

-- name: pieces_gone
DELETE FROM delta_pieces WHERE "partition" = ?;
