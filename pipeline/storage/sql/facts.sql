-- Row-level events: from their bytes to Parquet.

-- name: portion
SELECT max("sequence"), sum(events)::BIGINT,
    (SELECT sum(events)::BIGINT FROM event_log WHERE waits)
FROM (
    SELECT "sequence", events, sum(events) OVER (ORDER BY "sequence" RANGE UNBOUNDED PRECEDING) AS so_far
    FROM event_log WHERE waits
) WHERE so_far <= ? OR "sequence" = (SELECT min("sequence") FROM event_log WHERE waits);

-- name: covered
SELECT coalesce(sum(coalesce(done.next_offset, waiting.first_offset)), 0)::BIGINT,
    coalesce(sum(coalesce(waiting.next_offset, done.next_offset)), 0)::BIGINT
FROM (
    SELECT "partition", min(first_offset) AS first_offset, max(next_offset) AS next_offset
    FROM event_log WHERE waits AND topic = ? AND "sequence" <= ? GROUP BY "partition"
) AS waiting
FULL JOIN (SELECT * FROM fact_offsets WHERE topic = ?) AS done
    ON done."partition" = waiting."partition";

-- name: bodies
SELECT size, body, file, start, octets, checksum FROM event_log
WHERE waits AND topic = ? AND "sequence" <= ? AND events > 0;

-- name: parse
CREATE OR REPLACE TEMP TABLE parsed AS
SELECT strftime(make_timestamp_ms(e.occurred_at_ms), '%Y-%m-%d') AS "day", {columns} FROM (
    SELECT json_transform(line, '{shape}') AS e
    FROM (SELECT unnest(string_split(decode(body), chr(10))) AS line FROM bodies)
);

-- name: days
SELECT "day", count(*) FROM parsed GROUP BY ALL ORDER BY ALL;

-- name: copy
COPY (SELECT * EXCLUDE ("day") FROM parsed WHERE "day" = '{day}' ORDER BY occurred_at_ms, event_id)
TO '{target}' (FORMAT parquet, COMPRESSION zstd);

-- name: positions
MERGE INTO fact_offsets AS t USING (
    SELECT topic, "partition", max(next_offset) AS next_offset
    FROM event_log WHERE waits AND "sequence" <= ? GROUP BY ALL
) AS d
ON t.topic = d.topic AND t."partition" = d."partition"
WHEN MATCHED THEN UPDATE SET next_offset = d.next_offset
WHEN NOT MATCHED THEN INSERT;

-- name: list
INSERT INTO fact_files VALUES (?, ?, ?, ?, ?, ?, ?, ?);

-- name: drop
DELETE FROM event_log WHERE waits AND "sequence" <= ? AND "round" IS NULL;

-- name: keep
UPDATE event_log SET waits = false WHERE waits AND "sequence" <= ?;

-- name: changed
UPDATE progress SET "sequence" = "sequence" + 1;
