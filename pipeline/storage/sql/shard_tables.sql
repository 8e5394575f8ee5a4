-- What the database of one partition has besides: its chain, and the deltas not yet in Kafka.
CREATE TABLE IF NOT EXISTS shard (chain VARCHAR, deltas BIGINT);
INSERT INTO shard SELECT uuid(), 0 WHERE NOT EXISTS (SELECT 1 FROM shard);
CREATE TABLE IF NOT EXISTS outbox ("sequence" BIGINT, piece BIGINT, event BLOB);
