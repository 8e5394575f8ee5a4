-- name: states
SELECT subject, arg_max(facts, sequence) AS facts FROM state_log GROUP BY subject;

-- name: definitions
SELECT event FROM definitions
QUALIFY row_number() OVER (
    PARTITION BY campaign_id ORDER BY plan_version DESC, occurred_at_ms DESC, event_id DESC
) = 1;

-- name: log_size
SELECT count(*), count(DISTINCT subject) FROM state_log;

-- name: compact
CREATE TABLE compacted AS
SELECT subject, max(sequence) AS sequence, arg_max(facts, sequence) AS facts
FROM state_log GROUP BY subject;

-- name: compact_drop
DROP TABLE state_log;

-- name: compact_rename
ALTER TABLE compacted RENAME TO state_log;
