-- state.duckdb: private to the worker. No PRIMARY KEY on tables that change often: ART indexes
-- under upserts grow without end, MERGE over a few thousand rows needs none.

CREATE TABLE IF NOT EXISTS cohorts (
    campaign_id VARCHAR, variant_id VARCHAR, cohort_start_ms BIGINT, cohort_width_ms BIGINT,
    dimension VARCHAR, "value" VARCHAR, {vector_columns}
);
CREATE TABLE IF NOT EXISTS deliverability (
    connection VARCHAR, hour_start_ms BIGINT, state VARCHAR, err VARCHAR, receipts BIGINT
);
CREATE TABLE IF NOT EXISTS receipt_latency (
    connection VARCHAR, hour_start_ms BIGINT, up_to_ms BIGINT, parts BIGINT
);
CREATE TABLE IF NOT EXISTS activity (bucket_start_ms BIGINT, topic VARCHAR, events BIGINT);
CREATE TABLE IF NOT EXISTS join_health (
    campaign_id VARCHAR, double_assigned BIGINT, receipts BIGINT, unmatched_receipts BIGINT
);
CREATE TABLE IF NOT EXISTS unmatched_receipts (
    event_id VARCHAR, connection VARCHAR, smsc_message_id VARCHAR, subject VARCHAR,
    state VARCHAR, received_at_ms BIGINT, reason VARCHAR
);
-- What each flush did to people besides what its events say (put aside, fetched back, logged
-- anew), of a small flush also the facts of its events; with `event_log` the state of those at
-- hand. `sequence` is the engine's round. Of both logs a body is compressed from `size` and lies
-- in the folder `log`: `octets` of a file from `start` on, with a CRC-32. `body`: of rows that
-- layout 7 or an older one has left.
CREATE TABLE IF NOT EXISTS state_log ("sequence" BIGINT, facts BIGINT, size BIGINT, body BLOB);
ALTER TABLE state_log ADD COLUMN IF NOT EXISTS file BIGINT;
ALTER TABLE state_log ADD COLUMN IF NOT EXISTS start BIGINT;
ALTER TABLE state_log ADD COLUMN IF NOT EXISTS octets BIGINT;
ALTER TABLE state_log ADD COLUMN IF NOT EXISTS checksum BIGINT;
-- People whose horizon has passed, one row each; a late event fetches them back.
CREATE TABLE IF NOT EXISTS history (subject VARCHAR, campaigns VARCHAR[], facts BLOB);
ALTER TABLE history ADD COLUMN IF NOT EXISTS aside_ms BIGINT;
-- Quiet people, who went on the shelf together: places, and where in the folder `shelf` their
-- facts and names (`octets`, with a CRC-32) lie.
CREATE TABLE IF NOT EXISTS shelf_boards (
    place BIGINT, people BIGINT, file BIGINT, start BIGINT, names_start BIGINT, octets BIGINT,
    checksum BIGINT
);
CREATE TABLE IF NOT EXISTS shelf_emptied (place BIGINT);
CREATE TABLE IF NOT EXISTS definitions (
    campaign_id VARCHAR, plan_version BIGINT, occurred_at_ms BIGINT, event_id VARCHAR, event BLOB
);
CREATE TABLE IF NOT EXISTS allocations (event_id VARCHAR, event BLOB);
CREATE TABLE IF NOT EXISTS connections (connection VARCHAR, occurred_at_ms BIGINT, event BLOB);
CREATE TABLE IF NOT EXISTS dead_letters (
    topic VARCHAR, "partition" INTEGER, record_offset BIGINT, reason VARCHAR, seen_at_ms BIGINT
);
CREATE TABLE IF NOT EXISTS verdicts (campaign_id VARCHAR, decided_at_ms BIGINT, verdict BLOB);
-- Offsets that Kafka did not have any more when they were due (retention), kept for ever.
CREATE TABLE IF NOT EXISTS gaps (
    topic VARCHAR, "partition" INTEGER, first_offset BIGINT, next_offset BIGINT,
    missing BIGINT, seen_at_ms BIGINT
);
ALTER TABLE gaps ADD COLUMN IF NOT EXISTS written_after_ms BIGINT;
ALTER TABLE gaps ADD COLUMN IF NOT EXISTS written_before_ms BIGINT;
CREATE TABLE IF NOT EXISTS offsets (topic VARCHAR, "partition" INTEGER, next_offset BIGINT);
-- Events as they were read: their bytes, one line each. A row stays while
-- the state of those at hand needs it (`round`, the engine's; NULL: it does not) or while it
-- `waits` to be written as Parquet.
ALTER TABLE IF EXISTS pending_facts RENAME TO event_log;
CREATE TABLE IF NOT EXISTS event_log (
    "sequence" BIGINT, topic VARCHAR, "partition" INTEGER, first_offset BIGINT,
    next_offset BIGINT, events BIGINT, size BIGINT, body BLOB
);
ALTER TABLE event_log ADD COLUMN IF NOT EXISTS "round" BIGINT;
ALTER TABLE event_log ADD COLUMN IF NOT EXISTS waits BOOLEAN DEFAULT true;
ALTER TABLE event_log ADD COLUMN IF NOT EXISTS file BIGINT;
ALTER TABLE event_log ADD COLUMN IF NOT EXISTS start BIGINT;
ALTER TABLE event_log ADD COLUMN IF NOT EXISTS octets BIGINT;
ALTER TABLE event_log ADD COLUMN IF NOT EXISTS checksum BIGINT;
CREATE TABLE IF NOT EXISTS fact_offsets (topic VARCHAR, "partition" INTEGER, next_offset BIGINT);
CREATE TABLE IF NOT EXISTS fact_files (
    file VARCHAR, topic VARCHAR, "day" VARCHAR, events BIGINT, first_position BIGINT,
    next_position BIGINT, written_at_ms BIGINT
);
ALTER TABLE fact_files ADD COLUMN IF NOT EXISTS "partition" INTEGER;
-- Files that are off the list and may still be on the disk.
CREATE TABLE IF NOT EXISTS fact_files_pruned (file VARCHAR);
-- While a rebuild has not read this far, nothing is published.
CREATE TABLE IF NOT EXISTS goal (topic VARCHAR, "partition" INTEGER, next_offset BIGINT);
CREATE TABLE IF NOT EXISTS topics (topic VARCHAR, topic_id VARCHAR);
CREATE TABLE IF NOT EXISTS progress (
    layout INTEGER, cluster_id VARCHAR, sequence BIGINT, snapshot BIGINT,
    events_applied BIGINT, duplicates_ignored BIGINT, watermark_ms BIGINT
);
-- The last moment of which it is known that all Kafka had then is stored; NULL: none.
ALTER TABLE progress ADD COLUMN IF NOT EXISTS caught_up_ms BIGINT;
-- UTC day before which facts were pruned; NULL: none were.
ALTER TABLE progress ADD COLUMN IF NOT EXISTS facts_from VARCHAR;
INSERT INTO progress SELECT {layout}, '', 0, 0, 0, 0, 0, NULL, NULL
    WHERE NOT EXISTS (SELECT 1 FROM progress);
UPDATE progress SET layout = {layout} WHERE layout <> {layout};
UPDATE history SET aside_ms = (SELECT least(watermark_ms, epoch_ms(now())) FROM progress)
    WHERE aside_ms IS NULL;
