-- name: log
SELECT "sequence", size, body FROM state_log ORDER BY "sequence";

-- name: definitions
SELECT event FROM definitions
QUALIFY row_number() OVER (
    PARTITION BY campaign_id ORDER BY plan_version DESC, occurred_at_ms DESC, event_id DESC
) = 1;

-- name: log_size
SELECT coalesce(sum(facts), 0) FROM state_log;

-- name: log_empty
DELETE FROM state_log;
