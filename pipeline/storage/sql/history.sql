-- name: people
SELECT subject, facts FROM history SEMI JOIN wanted USING (subject);

-- name: assigned_to
SELECT subject, facts FROM history WHERE list_contains(campaigns, ?);

-- name: subjects
SELECT subject FROM history;
