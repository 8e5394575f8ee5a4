-- `old` is the database that is put beside.

-- name: began
SELECT o.topic, o."partition", coalesce(max(g.next_offset), 0) AS began
FROM old.offsets AS o
LEFT JOIN old.gaps AS g
    ON g.topic = o.topic AND g."partition" = o."partition" AND g.first_offset = 0
WHERE o.next_offset > 0
GROUP BY ALL;

-- name: keep_verdicts
INSERT INTO verdicts SELECT campaign_id, decided_at_ms, verdict FROM old.verdicts;

-- name: keep_topics
INSERT INTO topics SELECT topic, topic_id FROM old.topics;

-- name: keep_progress
UPDATE progress SET snapshot = before.snapshot, cluster_id = before.cluster_id
FROM old.progress AS before;

-- A loss at the very begin shows again; it was met when it was met.
-- name: keep_gaps
INSERT INTO gaps BY NAME SELECT * FROM old.gaps WHERE first_offset = 0;
