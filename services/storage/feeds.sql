-- name: nothing_waits
-- The time, when nothing is to be appended; null while something is.
SELECT now() WHERE NOT EXISTS (SELECT FROM stream_waiting)

-- name: append_turn
-- One appends at a time; the lock goes with the transaction.
SELECT pg_advisory_xact_lock(hashtext('omroeper.stream'))

-- name: append
-- Append what waits, in the order in which it was accepted, each a millisecond after the one before:
-- no member is ever stamped before another that was there already (LDES, timestampPath), and readers whose
-- clocks know no smaller part of a second (JavaScript's) still tell any two apart. When more come in than
-- that for a while, the stamps run ahead of the clock for as long.
-- $1 how many at most
WITH taken AS (
  DELETE FROM stream_waiting
  WHERE event_id IN (
    SELECT event_id FROM stream_waiting JOIN events e ON e.id = event_id ORDER BY e.accepted_at, e.id LIMIT $1)
  RETURNING event_id
),
fresh AS (
  SELECT event_id, row_number() OVER (ORDER BY e.accepted_at, e.id) AS place
  FROM taken JOIN events e ON e.id = event_id
  WHERE NOT EXISTS (SELECT FROM stream_members m WHERE m.event_id = taken.event_id)
),
last AS (SELECT position, appended_at FROM stream_members ORDER BY position DESC LIMIT 1)
INSERT INTO stream_members (position, event_id, appended_at)
SELECT coalesce(last.position, 0) + place, event_id,
  greatest(statement_timestamp(), last.appended_at + interval '1 millisecond')
    + (place - 1) * interval '1 millisecond'
FROM fresh LEFT JOIN last ON true
RETURNING position

-- name: redraw
-- Draw each opportunity again that these members tell of. A notice stands unless a higher version came
-- after it; a withdrawal is stronger than an award, and an award than a closing.
-- $1 positions
WITH touched AS (
  SELECT DISTINCT e.subject FROM stream_members m JOIN events e ON e.id = m.event_id
  WHERE m.position = ANY ($1::bigint[])
),
history AS (
  SELECT e.subject, e.source, e.id, e.type, e.version, e.deadline, e.m_regions, e.m_cpv, e.m_themes,
    e.m_audience, e.m_procedure, e.m_value, e.m_currency, e.m_text, m.position, m.appended_at,
    e.type IN ('opportunity.published', 'opportunity.updated') AS whole
  FROM touched JOIN events e USING (subject) JOIN stream_members m ON m.event_id = e.id
),
latest AS (
  SELECT DISTINCT ON (subject) * FROM history WHERE whole ORDER BY subject, version DESC, position DESC
),
notice AS (
  SELECT DISTINCT ON (h.subject) h.* FROM history h JOIN latest l USING (subject)
  WHERE NOT h.whole AND (h.version >= l.version OR h.position > l.position)
  ORDER BY h.subject, h.type = 'opportunity.withdrawn' DESC, h.type = 'opportunity.awarded' DESC, h.position
),
summed AS (
  SELECT subject, (array_agg(source ORDER BY position))[1] AS source, array_agg(DISTINCT type) AS types,
    min(appended_at) FILTER (WHERE whole) AS published_at
  FROM history GROUP BY subject
)
INSERT INTO feed_opportunities AS o (subject, source, types, whole_id, status, version, deadline,
  published_at, changed_at, position,
  m_regions, m_cpv, m_themes, m_audience, m_procedure, m_value, m_currency, m_text)
SELECT s.subject, s.source, s.types, l.id,
  replace(coalesce(n.type, l.type), 'opportunity.', ''), greatest(l.version, n.version), l.deadline,
  s.published_at, greatest(l.appended_at, n.appended_at), greatest(l.position, n.position),
  l.m_regions, l.m_cpv, l.m_themes, l.m_audience, l.m_procedure, l.m_value, l.m_currency, l.m_text
FROM summed s LEFT JOIN latest l USING (subject) LEFT JOIN notice n USING (subject)
ON CONFLICT (subject) DO UPDATE SET types = EXCLUDED.types, whole_id = EXCLUDED.whole_id,
  status = EXCLUDED.status, version = EXCLUDED.version, deadline = EXCLUDED.deadline,
  published_at = EXCLUDED.published_at, changed_at = EXCLUDED.changed_at, position = EXCLUDED.position,
  m_regions = EXCLUDED.m_regions, m_cpv = EXCLUDED.m_cpv, m_themes = EXCLUDED.m_themes,
  m_audience = EXCLUDED.m_audience, m_procedure = EXCLUDED.m_procedure, m_value = EXCLUDED.m_value,
  m_currency = EXCLUDED.m_currency, m_text = EXCLUDED.m_text

-- name: head
-- The last member of the stream.
SELECT position, appended_at FROM stream_members ORDER BY position DESC LIMIT 1

-- name: subscriber
-- Whose token it is.
-- $1 hash of the token
SELECT t.subscriber_id FROM feed_tokens t JOIN subscribers r ON r.id = t.subscriber_id
WHERE t.hash = $1 AND r.ended_at IS NULL

-- name: filters
-- What a subscriber wants to hear of.
-- $1 subscriber id
SELECT DISTINCT filter::text FROM subscriptions WHERE subscriber_id = $1 AND status = 'active' ORDER BY filter

-- name: set_token
-- Give a subscriber a token, in the place of the one it had.
-- $1 subscriber id, $2 hash, $3 the token, sealed
INSERT INTO feed_tokens (subscriber_id, hash, sealed) VALUES ($1, $2, $3)
ON CONFLICT (subscriber_id) DO UPDATE
SET hash = EXCLUDED.hash, sealed = EXCLUDED.sealed, created_at = clock_timestamp()

-- name: newest
-- Opportunities, last changed first.
-- $1 subscriber id (null: everything), $2 before this position (null: from the newest), $3 limit
WITH wanted AS MATERIALIZED (SELECT * FROM subscriptions WHERE subscriber_id = $1 AND status = 'active'),
page AS (
  SELECT o.* FROM feed_opportunities o
  WHERE o.position < coalesce($2::bigint, 9223372036854775807)
    AND ($1::uuid IS NULL OR EXISTS (
          SELECT FROM wanted s WHERE (s.f_types = '{}' OR s.f_types && o.types)
            AND meets(s.f_regions, s.f_cpv, s.f_themes, s.f_audience, s.f_procedures, s.f_min_value, s.f_max_value,
              s.f_currency, s.f_words, o.m_regions, o.m_cpv, o.m_themes, o.m_audience, o.m_procedure, o.m_value,
              o.m_currency, o.m_text)))
  ORDER BY o.position DESC LIMIT $3
)
SELECT o.subject, o.source, o.status, o.version, o.deadline, o.published_at, o.changed_at, o.position,
  o.whole_id AS event_id, w.data
FROM page o JOIN events w ON w.id = o.whole_id
ORDER BY o.position DESC

-- name: following
-- Opportunities that changed after a position, in that order.
-- $1 subscriber id (null: everything), $2 after this position, $3 limit
WITH wanted AS MATERIALIZED (SELECT * FROM subscriptions WHERE subscriber_id = $1 AND status = 'active'),
page AS (
  SELECT o.* FROM feed_opportunities o
  WHERE o.position > $2
    AND ($1::uuid IS NULL OR EXISTS (
          SELECT FROM wanted s WHERE (s.f_types = '{}' OR s.f_types && o.types)
            AND meets(s.f_regions, s.f_cpv, s.f_themes, s.f_audience, s.f_procedures, s.f_min_value, s.f_max_value,
              s.f_currency, s.f_words, o.m_regions, o.m_cpv, o.m_themes, o.m_audience, o.m_procedure, o.m_value,
              o.m_currency, o.m_text)))
  ORDER BY o.position LIMIT $3
)
SELECT o.subject, o.source, o.status, o.version, o.deadline, o.published_at, o.changed_at, o.position,
  o.whole_id AS event_id, w.data
FROM page o JOIN events w ON w.id = o.whole_id
ORDER BY o.position

-- name: deadlines
-- Opportunities by deadline, soonest first.
-- $1 subscriber id (null: everything), $2 the earliest deadline, $3 limit
WITH wanted AS MATERIALIZED (SELECT * FROM subscriptions WHERE subscriber_id = $1 AND status = 'active'),
page AS (
  SELECT o.* FROM feed_opportunities o
  WHERE o.deadline >= $2
    AND ($1::uuid IS NULL OR EXISTS (
          SELECT FROM wanted s WHERE (s.f_types = '{}' OR s.f_types && o.types)
            AND meets(s.f_regions, s.f_cpv, s.f_themes, s.f_audience, s.f_procedures, s.f_min_value, s.f_max_value,
              s.f_currency, s.f_words, o.m_regions, o.m_cpv, o.m_themes, o.m_audience, o.m_procedure, o.m_value,
              o.m_currency, o.m_text)))
  ORDER BY o.deadline, o.position LIMIT $3
)
SELECT o.subject, o.source, o.status, o.version, o.deadline, o.published_at, o.changed_at, o.position,
  o.whole_id AS event_id, w.data
FROM page o JOIN events w ON w.id = o.whole_id
ORDER BY o.deadline, o.position

-- name: members
-- The members of the stream between two positions. A notice goes with the versions before it.
-- $1 subscriber id (null: everything), $2 first position, $3 last position
WITH wanted AS MATERIALIZED (SELECT * FROM subscriptions WHERE subscriber_id = $1 AND status = 'active')
SELECT m.position, m.appended_at, e.id, e.type, e.version, e.subject, o.source, e.data
FROM stream_members m JOIN events e ON e.id = m.event_id JOIN feed_opportunities o USING (subject)
WHERE m.position BETWEEN $2 AND $3
  AND CASE WHEN $1::uuid IS NULL THEN true
      WHEN e.type IN ('opportunity.published', 'opportunity.updated') THEN EXISTS (
        SELECT FROM wanted s WHERE (s.f_types = '{}' OR e.type = ANY (s.f_types))
          AND meets(s.f_regions, s.f_cpv, s.f_themes, s.f_audience, s.f_procedures, s.f_min_value, s.f_max_value,
            s.f_currency, s.f_words, e.m_regions, e.m_cpv, e.m_themes, e.m_audience, e.m_procedure, e.m_value,
            e.m_currency, e.m_text))
      ELSE EXISTS (
        SELECT FROM events told JOIN stream_members t ON t.event_id = told.id CROSS JOIN wanted s
        WHERE told.subject = e.subject AND t.position < m.position
          AND told.type IN ('opportunity.published', 'opportunity.updated')
          AND (s.f_types = '{}' OR e.type = ANY (s.f_types))
          AND meets(s.f_regions, s.f_cpv, s.f_themes, s.f_audience, s.f_procedures, s.f_min_value, s.f_max_value,
            s.f_currency, s.f_words, told.m_regions, told.m_cpv, told.m_themes, told.m_audience, told.m_procedure,
            told.m_value, told.m_currency, told.m_text)) END
ORDER BY m.position

-- name: member
-- One member of the stream.
-- $1 event id
SELECT m.position, m.appended_at, e.id, e.type, e.version, e.subject, o.source, e.data
FROM stream_members m JOIN events e ON e.id = m.event_id JOIN feed_opportunities o USING (subject)
WHERE m.event_id = $1

-- name: stamps
-- When the members at these positions were appended.
-- $1 positions
SELECT position, appended_at FROM stream_members WHERE position = ANY ($1::bigint[]) ORDER BY position
