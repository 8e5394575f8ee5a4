-- name: shards
SELECT "partition", chain, "sequence", worker, counted_at_ms, definitions_offset, watermark_ms
FROM shards ORDER BY "partition";

-- name: shards_gone
DELETE FROM shards WHERE "partition" IN ?;

-- name: shards_new
INSERT INTO shards SELECT
    unnest(?), unnest(?), unnest(?), unnest(?), unnest(?), unnest(?), unnest(?);

-- name: piece_gone
DELETE FROM delta_pieces WHERE "partition" = ? AND ("sequence" < ? OR piece = ?);

-- name: piece
INSERT INTO delta_pieces VALUES (?, ?, ?, ?);

-- name: pieces
SELECT body FROM delta_pieces WHERE "partition" = ? ORDER BY piece;

-- name: pieces_gone
DELETE FROM delta_pieces WHERE "partition" = ?;
