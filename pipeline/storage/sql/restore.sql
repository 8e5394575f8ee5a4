-- name: log
SELECT "round", topic, size, body, file, start, octets, checksum FROM event_log
WHERE "round" IS NOT NULL AND events > 0
UNION ALL
SELECT "sequence", NULL, size, body, file, start, octets, checksum FROM state_log
ORDER BY "round", topic NULLS LAST;

-- name: definitions
SELECT event FROM definitions
QUALIFY row_number() OVER (
    PARTITION BY campaign_id ORDER BY plan_version DESC, occurred_at_ms DESC, event_id DESC
) = 1;

-- name: log_size
SELECT coalesce((SELECT sum(facts) FROM state_log), 0)
    + coalesce((SELECT sum(events) FROM event_log WHERE "round" IS NOT NULL), 0);

-- name: log_empty
DELETE FROM state_log;

-- name: events_empty
DELETE FROM event_log WHERE NOT waits;

-- name: events_left
UPDATE event_log SET "round" = NULL WHERE "round" IS NOT NULL;
