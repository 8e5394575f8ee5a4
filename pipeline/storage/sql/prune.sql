-- Row-level facts given up. The last file of each kind stays: it says how far the files go.

-- name: old
CREATE OR REPLACE TEMP TABLE old_files AS
SELECT file FROM (
    SELECT file, "day", next_position,
        max(next_position) OVER (PARTITION BY topic, "partition") AS last_position
    FROM fact_files
) WHERE "day" < ? AND next_position < last_position;

-- name: going
SELECT file FROM old_files UNION SELECT file FROM fact_files_pruned ORDER BY file;

-- name: note
INSERT INTO fact_files_pruned FROM old_files;

-- name: unlist
DELETE FROM fact_files WHERE file IN (SELECT file FROM fact_files_pruned);

-- name: since
UPDATE progress SET "sequence" = "sequence" + 1, facts_from = greatest(facts_from, ?)
WHERE EXISTS (FROM old_files);

-- name: unlist_named
DELETE FROM fact_files WHERE file IN (SELECT unnest(?::VARCHAR[]));

-- name: published_column
ALTER TABLE snapshot_info ADD COLUMN IF NOT EXISTS facts_from VARCHAR;

-- name: published_since
UPDATE snapshot_info SET facts_from = ?;

-- name: done
DELETE FROM fact_files_pruned;
