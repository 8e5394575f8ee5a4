-- The shelf: which boards its files have. Facts and names of people are in the files.

-- name: boards
SELECT place, people, file, start, names_start, octets, checksum FROM shelf_boards
ORDER BY place;

-- name: add
INSERT INTO shelf_boards (place, people, file, start, names_start, octets, checksum)
VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: emptied
SELECT place FROM shelf_emptied WHERE place >= ? AND place < ?;

-- name: emptied_count
SELECT count(*) FROM shelf_emptied WHERE place >= ? AND place < ?;

-- name: drop
DELETE FROM shelf_boards WHERE file = ?;

-- name: drop_emptied
DELETE FROM shelf_emptied WHERE place >= ? AND place < ?;

-- name: has_old
SELECT count(*) > 0 FROM duckdb_tables() WHERE table_name = 'shelf';

-- name: old_files
SELECT DISTINCT place // ? AS file FROM shelf ORDER BY ALL;

-- name: old
SELECT place, subject, size, campaigns FROM shelf WHERE place >= ? AND place < ? ORDER BY place;

-- name: drop_old
DROP TABLE shelf;
