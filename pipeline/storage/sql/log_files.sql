-- Which files of the folder `log` the rows of the logs tell of.

-- name: ends
SELECT file, max(start + octets) FROM (
    SELECT file, start, octets FROM event_log UNION ALL SELECT file, start, octets FROM state_log
) WHERE file IS NOT NULL GROUP BY file;
