-- One statement per table of a flush; `delta_…` are Arrow tables of what changed.

-- name: cohorts
MERGE INTO cohorts USING delta_cohorts AS d
ON cohorts.campaign_id = d.campaign_id AND cohorts.variant_id = d.variant_id
    AND cohorts.cohort_start_ms = d.cohort_start_ms
    AND cohorts.cohort_width_ms = d.cohort_width_ms
    AND cohorts.dimension = d.dimension AND cohorts."value" = d."value"
WHEN MATCHED THEN UPDATE SET {vector_sums}
WHEN NOT MATCHED THEN INSERT VALUES (
    d.campaign_id, d.variant_id, d.cohort_start_ms, d.cohort_width_ms, d.dimension, d."value",
    {vector_values}
);

-- name: deliverability
MERGE INTO deliverability AS t USING delta_deliverability AS d
ON t.connection = d.connection AND t.hour_start_ms = d.hour_start_ms
    AND t.state = d.state AND t.err = d.err
WHEN MATCHED THEN UPDATE SET receipts = t.receipts + d.receipts
WHEN NOT MATCHED THEN INSERT;

-- name: receipt_latency
MERGE INTO receipt_latency AS t USING delta_receipt_latency AS d
ON t.connection = d.connection AND t.hour_start_ms = d.hour_start_ms AND t.up_to_ms = d.up_to_ms
WHEN MATCHED THEN UPDATE SET parts = t.parts + d.parts
WHEN NOT MATCHED THEN INSERT;

-- name: activity
MERGE INTO activity AS t USING delta_activity AS d
ON t.bucket_start_ms = d.bucket_start_ms AND t.topic = d.topic
WHEN MATCHED THEN UPDATE SET events = t.events + d.events
WHEN NOT MATCHED THEN INSERT;

-- name: activity_old
DELETE FROM activity WHERE bucket_start_ms < ?;

-- name: join_health
MERGE INTO join_health AS t USING delta_join_health AS d
ON t.campaign_id = d.campaign_id
WHEN MATCHED THEN UPDATE SET double_assigned = t.double_assigned + d.double_assigned,
    receipts = t.receipts + d.receipts,
    unmatched_receipts = t.unmatched_receipts + d.unmatched_receipts
WHEN NOT MATCHED THEN INSERT;

-- name: unmatched_gone
DELETE FROM unmatched_receipts WHERE event_id IN (SELECT event_id FROM delta_unmatched_gone);

-- name: unmatched_receipts
INSERT INTO unmatched_receipts BY NAME SELECT * FROM delta_unmatched_receipts;

-- name: state_log
INSERT INTO state_log BY NAME SELECT * FROM delta_state_log;

-- name: history_gone
DELETE FROM history WHERE subject IN (SELECT subject FROM delta_history);

-- name: history
INSERT INTO history BY NAME SELECT * FROM delta_history;

-- name: history_old
DELETE FROM history WHERE rowid IN (SELECT rowid FROM history WHERE aside_ms < ? LIMIT ?);

-- name: shelf_emptied
INSERT INTO shelf_emptied BY NAME SELECT * FROM delta_shelf_emptied;

-- name: state_log_old
DELETE FROM state_log WHERE "sequence" < ?;

-- name: definitions_gone
DELETE FROM definitions WHERE event_id IN (SELECT event_id FROM delta_definitions);

-- name: definitions
INSERT INTO definitions BY NAME SELECT * FROM delta_definitions;

-- name: allocations_gone
DELETE FROM allocations WHERE event_id IN (SELECT event_id FROM delta_allocations);

-- name: allocations
INSERT INTO allocations BY NAME SELECT * FROM delta_allocations;

-- name: connections
MERGE INTO connections AS t USING delta_connections AS d ON t.connection = d.connection
WHEN MATCHED AND d.occurred_at_ms >= t.occurred_at_ms
    THEN UPDATE SET occurred_at_ms = d.occurred_at_ms, event = d.event
WHEN NOT MATCHED THEN INSERT;

-- name: dead_letters
INSERT INTO dead_letters BY NAME SELECT * FROM delta_dead_letters;

-- name: event_log
INSERT INTO event_log BY NAME SELECT * FROM delta_event_log;

-- name: event_log_old
DELETE FROM event_log WHERE "round" < ? AND NOT waits;

-- name: event_log_left
UPDATE event_log SET "round" = NULL WHERE "round" < ?;

-- name: fact_files
INSERT INTO fact_files BY NAME SELECT * FROM delta_fact_files;

-- name: gaps
INSERT INTO gaps BY NAME
SELECT *, (SELECT caught_up_ms FROM progress) AS written_after_ms FROM delta_gaps
ANTI JOIN gaps USING (topic, "partition", first_offset, next_offset);

-- name: offsets
UPDATE offsets SET next_offset = coalesce(
    map(?::VARCHAR[], ?::BIGINT[])[topic || '/' || "partition"], next_offset
);

-- name: offsets_new
INSERT INTO offsets SELECT unnest(?::VARCHAR[]), unnest(?::BIGINT[]), unnest(?::BIGINT[]);

-- name: progress
UPDATE progress SET sequence = sequence + 1, events_applied = events_applied + ?,
    duplicates_ignored = duplicates_ignored + ?, watermark_ms = greatest(watermark_ms, ?);
