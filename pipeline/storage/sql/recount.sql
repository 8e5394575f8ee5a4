-- The rules of the join once more, in SQL alone: from row-level facts to whole cohorts.
-- Reads one view per kind of event and `campaigns`; shares no code with `pipeline.join`.

-- name: canonical
CREATE OR REPLACE TEMP MACRO canonical(id) AS (
    CASE WHEN ltrim(lower(trim(id)), '0') = '' THEN left(lower(trim(id)), 1)
        ELSE ltrim(lower(trim(id)), '0') END
);

-- name: cohorts
WITH
-- An event that came twice counts as the first time.
assignments AS (
    SELECT subject, event_id, occurred_at_ms AS at_ms, campaign_id, variant_id,
        (eligibility = 'blocked')::BIGINT AS blocked, coalesce(covariate, 0)::HUGEINT AS v
    FROM (FROM recipient_assigned
        QUALIFY row_number() OVER (PARTITION BY subject, event_id ORDER BY occurred_at_ms) = 1)
    QUALIFY row_number() OVER (
        PARTITION BY subject, campaign_id ORDER BY occurred_at_ms, event_id) = 1
),
submits AS (
    SELECT *, coalesce(nullif(connection_group, ''), connection) AS group_name,
        list_position(['accepted', 'rejected', 'expired', 'unknown'], outcome) AS rank
    FROM message_submitted
    QUALIFY row_number() OVER (PARTITION BY subject, event_id ORDER BY occurred_at_ms) = 1
),
parts AS (
    FROM submits
    QUALIFY row_number() OVER (
        PARTITION BY subject, message_id, part ORDER BY rank, occurred_at_ms, event_id) = 1
),
receipts AS (
    SELECT *, coalesce(nullif(connection_group, ''), connection) AS group_name,
        canonical(smsc_message_id) AS id FROM receipt_received
    QUALIFY row_number() OVER (PARTITION BY subject, event_id ORDER BY occurred_at_ms) = 1
),
-- The id itself, then its other spellings: candidates, the other number base.
spellings AS (
    SELECT subject, event_id, 0 AS distance, id AS name FROM receipts
    UNION
    SELECT subject, event_id, 1, canonical(unnest(candidates)) FROM receipts
    UNION
    SELECT subject, event_id, 1, lower(to_hex(TRY_CAST(id AS UHUGEINT)))
    FROM receipts WHERE regexp_full_match(id, '[0-9]{1,39}')
    UNION
    SELECT subject, event_id, 1, TRY_CAST('0x' || id AS UHUGEINT)::VARCHAR
    FROM receipts WHERE regexp_full_match(id, '[0-9a-f]{1,32}')
),
-- Some operators name a message with a suffix in the answer and without in the receipt.
named AS (
    SELECT *, 0 AS apart, canonical(smsc_message_id) AS name FROM submits
    UNION ALL
    SELECT *, 1, split_part(canonical(smsc_message_id), '@', 1)
    FROM submits WHERE contains(smsc_message_id, '@')
),
-- The submit's own connection, or another one of its group.
matched AS (
    SELECT r.subject, r.event_id, s.message_id, s.part
    FROM receipts AS r
    JOIN spellings AS n ON n.subject = r.subject AND n.event_id = r.event_id AND n.name <> ''
    JOIN named AS s ON s.subject = r.subject AND s.name = n.name
        AND (s.connection = r.connection OR s.group_name = r.group_name)
    QUALIFY row_number() OVER (PARTITION BY r.subject, r.event_id ORDER BY
        greatest(n.distance, s.apart), s.smsc_message_id <> r.smsc_message_id,
        s.connection <> r.connection, abs(s.occurred_at_ms - r.occurred_at_ms),
        s.message_id, s.part) = 1
),
waiting AS (
    FROM parts ANTI JOIN matched USING (subject, message_id, part) WHERE outcome = 'unknown'
),
-- A receipt of no submit proves the only one whose answer was cut off.
given AS (
    FROM matched
    UNION ALL
    SELECT r.subject, r.event_id, min(w.message_id), min(w.part)
    FROM (FROM receipts ANTI JOIN matched USING (subject, event_id)) AS r
    JOIN waiting AS w ON w.subject = r.subject
        AND (w.connection = r.connection OR w.group_name = r.group_name)
    GROUP BY ALL HAVING count(*) = 1
),
reports AS (
    SELECT g.subject, g.message_id, g.part,
        arg_min(r.state, (r.done_at_ms IS NULL, coalesce(r.done_at_ms, 0), list_position(
            ['DELIVERED', 'UNDELIVERABLE', 'EXPIRED', 'REJECTED', 'DELETED', 'SKIPPED', 'UNKNOWN',
             'ACCEPTED', 'ENROUTE', 'SCHEDULED'], r.state))) FILTER (r.is_final) AS state,
        count(DISTINCT r.state) FILTER (r.is_final) > 1 AS conflict
    FROM given AS g JOIN receipts AS r ON r.subject = g.subject AND r.event_id = g.event_id
    GROUP BY ALL
),
settled AS (
    SELECT p.subject, p.campaign_id, p.message_id, p.outcome, p.segments,
        p.outcome = 'accepted' OR (p.outcome = 'unknown' AND r.subject IS NOT NULL) AS accepted,
        CASE WHEN accepted THEN r.state END AS state,
        accepted AND coalesce(r.conflict, false) AS conflict
    FROM parts AS p LEFT JOIN reports AS r
        ON r.subject = p.subject AND r.message_id = p.message_id AND r.part = p.part
    WHERE p.campaign_id IS NOT NULL
),
messages AS (
    SELECT s.subject, s.campaign_id,
        bool_or(accepted) AS accepted, bool_or(outcome <> 'unknown') AS answered,
        coalesce(bool_and(state IS NOT DISTINCT FROM 'DELIVERED') FILTER (accepted), false)
            AS complete,
        coalesce(bool_or(state <> 'DELIVERED'), false) AS broken, bool_or(conflict) AS conflict,
        sum(segments) FILTER (
            CASE c.billed_on WHEN 'accepted' THEN accepted WHEN 'delivered' THEN
                state IS NOT DISTINCT FROM 'DELIVERED' ELSE outcome <> 'expired' END) AS segments
    FROM settled AS s LEFT JOIN campaigns AS c ON c.campaign_id = s.campaign_id
    GROUP BY s.subject, s.campaign_id, s.message_id
),
sent AS (
    SELECT subject, campaign_id, bool_or(accepted) AS accepted, bool_or(answered) AS answered,
        bool_or(complete) AS delivered, bool_or(broken) AS broken,
        bool_or(conflict)::BIGINT AS conflicts, coalesce(sum(segments), 0) AS segments
    FROM messages GROUP BY ALL
),
-- A long message is one reply; its parts speak for it as long as nothing tells of the whole.
inbound AS (
    SELECT subject, occurred_at_ms, is_opt_out, coalesce(part, 0) > 0 AS is_part,
        CASE WHEN is_part THEN coalesce(reply_id, event_id) ELSE reply_id END AS long_id,
        coalesce(long_id, ' ' || event_id) AS reply_id
    FROM inbound_received
    QUALIFY row_number() OVER (PARTITION BY subject, event_id ORDER BY occurred_at_ms) = 1
),
messages_in AS (
    SELECT subject, reply_id, min(occurred_at_ms) AS at_ms, coalesce(
        bool_or(is_opt_out) FILTER (NOT is_part), bool_or(is_opt_out)) AS is_opt_out
    FROM inbound GROUP BY subject, reply_id
),
-- A reply belongs to the latest assignment before it that sent something, for a week.
replies AS (
    SELECT a.subject, a.campaign_id, i.is_opt_out
    FROM messages_in AS i
    JOIN assignments AS a ON a.subject = i.subject AND a.variant_id <> 'holdout'
        AND i.at_ms - a.at_ms BETWEEN 0 AND 604799999
    SEMI JOIN sent ON sent.subject = a.subject AND sent.campaign_id = a.campaign_id
    QUALIFY row_number() OVER (
        PARTITION BY i.subject, i.reply_id ORDER BY a.at_ms DESC, a.event_id DESC) = 1
),
replied AS (
    SELECT subject, campaign_id, 1 AS replied, bool_or(is_opt_out)::BIGINT AS opted_out
    FROM replies GROUP BY ALL
),
clicks AS (
    SELECT subject, campaign_id, bool_or(is_human)::BIGINT AS clicked,
        bool_or(NOT is_human)::BIGINT AS bot_clicked,
        min(occurred_at_ms) FILTER (is_human) AS first_ms
    FROM (FROM link_clicked
        QUALIFY row_number() OVER (PARTITION BY subject, event_id ORDER BY occurred_at_ms) = 1)
    GROUP BY ALL
),
conversions AS (
    FROM (FROM conversion_recorded
        QUALIFY row_number() OVER (PARTITION BY subject, event_id ORDER BY occurred_at_ms) = 1)
    QUALIFY row_number() OVER (
        PARTITION BY subject, conversion_id ORDER BY occurred_at_ms, event_id) = 1
),
-- The named campaign's, else the latest whose window holds it; then the currency must fit.
owned AS (
    SELECT v.*, a.campaign_id AS owner, c.currency AS owner_currency
    FROM conversions AS v
    JOIN assignments AS a
        ON a.subject = v.subject AND (v.campaign_id IS NULL OR v.campaign_id = a.campaign_id)
    JOIN campaigns AS c ON c.campaign_id = a.campaign_id
        AND v.occurred_at_ms >= a.at_ms AND v.occurred_at_ms < a.at_ms + c.window_ms
    WHERE v.refund_of IS NULL
    QUALIFY row_number() OVER (
        PARTITION BY v.subject, v.conversion_id ORDER BY a.at_ms DESC, a.event_id DESC) = 1
),
sales AS (FROM owned WHERE currency = owner_currency),
sold AS (
    SELECT s.subject, s.owner, sum(s.value_minor) AS revenue_minor,
        max((k.first_ms <= s.occurred_at_ms)::BIGINT) AS attributed
    FROM sales AS s
    LEFT JOIN clicks AS k ON k.subject = s.subject AND k.campaign_id = s.owner GROUP BY ALL
),
refunded AS (
    SELECT s.subject, s.owner, sum(r.value_minor) AS refunded_minor
    FROM conversions AS r JOIN sales AS s ON s.subject = r.subject
        AND s.conversion_id = r.refund_of AND s.owner_currency = r.currency
    GROUP BY ALL
),
exposures AS (
    SELECT a.campaign_id, a.variant_id, a.at_ms, a.blocked, a.v,
        CASE WHEN c.window_ms >= 43200000 THEN 3600000 WHEN c.window_ms >= 7200000 THEN 600000
            WHEN c.window_ms >= 720000 THEN 60000 WHEN c.window_ms >= 120000 THEN 10000
            ELSE 1000 END AS width_ms,
        (s.subject IS NOT NULL)::BIGINT AS submitted,
        coalesce(s.accepted, false)::BIGINT AS accepted,
        coalesce(NOT s.accepted AND s.answered, false)::BIGINT AS rejected,
        coalesce(NOT s.accepted AND NOT s.answered, false)::BIGINT AS unknown,
        coalesce(s.delivered, false)::BIGINT AS delivered,
        coalesce(s.broken AND NOT s.delivered, false)::BIGINT AS failed,
        coalesce(i.replied, 0) AS replied, coalesce(i.opted_out, 0) AS opted_out,
        coalesce(k.clicked, 0) AS clicked, coalesce(k.bot_clicked, 0) AS bot_clicked,
        (b.subject IS NOT NULL)::BIGINT AS converted, coalesce(b.attributed, 0) AS attributed,
        coalesce(s.conflicts, 0) AS conflicts, coalesce(s.segments, 0) AS segments,
        (coalesce(s.segments, 0) * c.price_per_segment_micro)::HUGEINT AS cost_micro,
        coalesce(b.revenue_minor, 0) AS revenue_minor,
        coalesce(f.refunded_minor, 0) AS refunded_minor,
        (coalesce(b.revenue_minor, 0) - coalesce(f.refunded_minor, 0))::HUGEINT AS r,
        CASE WHEN c.cap_minor IS NULL THEN r
            ELSE greatest(-c.cap_minor::HUGEINT, least(c.cap_minor::HUGEINT, r)) END AS capped,
        CASE c.metric WHEN 'conversion_rate' THEN (b.subject IS NOT NULL)::BIGINT
            WHEN 'click_rate' THEN coalesce(k.clicked, 0)
            WHEN 'reply_rate' THEN coalesce(i.replied, 0) ELSE 0 END AS counted
    FROM assignments AS a
    JOIN campaigns AS c ON c.campaign_id = a.campaign_id
    LEFT JOIN sent AS s ON s.subject = a.subject AND s.campaign_id = a.campaign_id
    LEFT JOIN replied AS i ON i.subject = a.subject AND i.campaign_id = a.campaign_id
    LEFT JOIN clicks AS k ON k.subject = a.subject AND k.campaign_id = a.campaign_id
    LEFT JOIN sold AS b ON b.subject = a.subject AND b.owner = a.campaign_id
    LEFT JOIN refunded AS f ON f.subject = a.subject AND f.owner = a.campaign_id
)
SELECT campaign_id, variant_id, at_ms // width_ms * width_ms AS cohort_start_ms,
    width_ms AS cohort_width_ms, count(*) AS assigned, sum(blocked) AS blocked,
    sum(submitted) AS submitted, sum(accepted) AS accepted, sum(rejected) AS rejected,
    sum(unknown) AS unknown, sum(delivered) AS delivered, sum(failed) AS failed,
    sum(replied) AS replied, sum(opted_out) AS opted_out, sum(clicked) AS clicked,
    sum(bot_clicked) AS bot_clicked, sum(converted) AS converted, sum(attributed) AS attributed,
    sum(conflicts) AS conflicts, sum(segments) AS segments, sum(cost_micro) AS cost_micro,
    sum(revenue_minor) AS revenue_minor, sum(refunded_minor) AS refunded_minor,
    sum(v) AS sum_v, sum(r * r) AS sum_rr, sum(r * cost_micro) AS sum_rc,
    sum(r * opted_out) AS sum_ro, sum(r * v) AS sum_rv, sum(cost_micro * cost_micro) AS sum_cc,
    sum(cost_micro * opted_out) AS sum_co, sum(cost_micro * v) AS sum_cv,
    sum(opted_out * v) AS sum_ov, sum(v * v) AS sum_vv, sum(capped) AS sum_k,
    sum(capped * capped) AS sum_kk, sum(capped * cost_micro) AS sum_kc,
    sum(capped * opted_out) AS sum_ko, sum(capped * v) AS sum_kv, sum(counted * v) AS sum_yv
FROM exposures GROUP BY ALL;
