-- People on the shelf: names and places here, facts in the files.

-- name: sizes
SELECT place // ? AS file, list(size ORDER BY place) AS sizes FROM shelf
GROUP BY ALL ORDER BY ALL;

-- name: assigned
SELECT campaign_id, count(*) FROM (
    SELECT unnest(campaigns) AS campaign_id FROM shelf ANTI JOIN shelf_emptied USING (place)
) GROUP BY ALL;

-- name: people
SELECT subject, place FROM shelf ANTI JOIN shelf_emptied USING (place)
WHERE place >= ? AND place < ? ORDER BY place;

-- name: assigned_to
SELECT subject, place FROM shelf
WHERE place >= ? AND place < ? AND list_contains(campaigns, ?) ORDER BY place;

-- name: drop
DELETE FROM shelf WHERE place >= ? AND place < ?;

-- name: drop_emptied
DELETE FROM shelf_emptied WHERE place >= ? AND place < ?;
