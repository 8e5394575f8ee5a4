-- What the published snapshot says, for the comparison with the facts. `serve` is the snapshot.

-- name: campaigns
CREATE VIEW campaigns AS FROM serve.campaigns;

-- name: since
SELECT max(facts_from) FROM serve.snapshot_info;

-- name: files
SELECT file, events FROM serve.fact_files WHERE topic = ?;

-- name: streamed
SELECT * FROM serve.cohorts WHERE dimension = '';

-- name: waiting
SELECT coalesce(sum(abs(read - covered)), 0) FROM (
    SELECT topic, sum(next_offset) AS read FROM serve.lags
    WHERE topic IN (
        'sms.recipient.assigned.v1', 'sms.message.submitted.v1', 'sms.message.receipt.v1',
        'sms.inbound.received.v1', 'sms.link.clicked.v1', 'sms.conversion.recorded.v1')
    GROUP BY topic
) JOIN (
    SELECT l.topic, coalesce(sum(f.covered), 0) AS covered
    FROM (SELECT DISTINCT topic FROM serve.lags) AS l
    LEFT JOIN (
        SELECT topic, "partition", max(next_position) AS covered
        FROM serve.fact_files GROUP BY ALL
    ) AS f ON f.topic = l.topic GROUP BY ALL
) USING (topic);
