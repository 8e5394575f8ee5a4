-- What a snapshot reads from the private database.

-- name: cohorts
SELECT campaign_id, variant_id, cohort_start_ms, cohort_width_ms, dimension, "value", {vector}
FROM cohorts ORDER BY ALL;

-- name: join_health
SELECT campaign_id, double_assigned, receipts, unmatched_receipts FROM join_health;

-- name: activity
SELECT bucket_start_ms, topic, events FROM activity ORDER BY ALL;

-- name: deliverability
SELECT connection, hour_start_ms, state, err, receipts FROM deliverability
WHERE receipts <> 0 ORDER BY ALL;

-- name: receipt_latency
SELECT connection, hour_start_ms, up_to_ms, parts FROM receipt_latency
WHERE parts <> 0 ORDER BY ALL;

-- name: allocations
SELECT event FROM allocations ORDER BY event_id;

-- name: fact_files
SELECT file, topic, "day", events, first_position, next_position, written_at_ms, "partition"
FROM fact_files ORDER BY topic, "partition", first_position, "day";

-- name: gaps
SELECT topic, "partition", first_offset, next_offset, missing, seen_at_ms, written_after_ms,
    written_before_ms
FROM gaps ORDER BY ALL;

-- name: unmatched_receipts
SELECT connection, smsc_message_id, subject, state, received_at_ms, reason,
    (SELECT watermark_ms FROM progress) - received_at_ms AS age_ms
FROM unmatched_receipts ORDER BY received_at_ms DESC LIMIT {limit};

-- name: dead_letters
SELECT topic, "partition", record_offset, reason, seen_at_ms
FROM dead_letters ORDER BY seen_at_ms DESC LIMIT {limit};

-- name: connections
SELECT event FROM connections ORDER BY connection;

-- name: verdicts
SELECT verdict FROM verdicts ORDER BY decided_at_ms;

-- name: snapshot
UPDATE progress
SET snapshot = snapshot + 1, caught_up_ms = greatest(caught_up_ms, $at::BIGINT);

-- name: progress
SELECT sequence, snapshot, events_applied, duplicates_ignored, watermark_ms, cluster_id, facts_from
FROM progress;

-- name: caught_up
UPDATE progress SET caught_up_ms = greatest(caught_up_ms, $at::BIGINT);
