-- name: about
-- Who may tell, and of what; no row when the subscriber has ended.
-- $1 subscriber id, $2 event id
SELECT r.slug, r.name, r.language, e.subject,
  -- a notice need not have a title: the last version that does
  coalesce(
    (SELECT w.data -> 'title' FROM events w WHERE w.subject = e.subject AND w.data ? 'title'
     ORDER BY w.version DESC, w.accepted_at DESC LIMIT 1),
    'null') AS title,
  (SELECT w.data #>> '{buyer,name}' FROM events w WHERE w.subject = e.subject AND w.data ? 'buyer'
   ORDER BY w.version DESC, w.accepted_at DESC LIMIT 1) AS buyer
FROM subscribers r CROSS JOIN events e
WHERE r.id = $1 AND r.ended_at IS NULL AND e.id = $2

-- name: tell
-- Keep what is told; the same way again corrects what was told before.
-- $1 subscriber id, $2 event id, $3 way, $4 about how many start-ups (null: not known), $5 door
INSERT INTO passings AS p (subscriber_id, subject, event_id, way, startups, door)
SELECT r.id, e.subject, e.id, $3, $4::integer, $5 FROM subscribers r CROSS JOIN events e
WHERE r.id = $1 AND r.ended_at IS NULL AND e.id = $2
ON CONFLICT (subscriber_id, subject, way) DO UPDATE SET
  startups = EXCLUDED.startups, event_id = EXCLUDED.event_id, door = EXCLUDED.door,
  corrected_at = CASE WHEN p.startups IS DISTINCT FROM EXCLUDED.startups THEN clock_timestamp()
    ELSE p.corrected_at END
RETURNING subject, event_id, way, startups, door, at, corrected_at

-- name: told
-- What a subscriber told of an opportunity, first to last.
-- $1 subscriber id, $2 subject
SELECT way, startups, at, corrected_at FROM passings WHERE subscriber_id = $1 AND subject = $2 ORDER BY id

-- name: page
-- Newest first.
-- $1 event id, whose opportunity is meant (null: any), $2 subscriber slug (null: any), $3 before id (null: from
-- the newest), $4 limit
SELECT p.id, r.slug AS subscriber, p.subject, p.event_id, p.way, p.startups, p.door, p.at, p.corrected_at
FROM passings p JOIN subscribers r ON r.id = p.subscriber_id
WHERE ($1::uuid IS NULL OR p.subject = (SELECT subject FROM events WHERE id = $1))
  AND ($2::text IS NULL OR r.slug = $2)
  AND ($3::uuid IS NULL OR p.id < $3)
ORDER BY p.id DESC LIMIT $4

-- name: by_subscriber
-- Each subscriber that told of an opportunity: to how many start-ups by the way that reached most of them,
-- and whether it was passed on at all.
-- $1 subject
SELECT r.slug, coalesce(max(p.startups), 0) AS startups, bool_or(p.startups IS DISTINCT FROM 0) AS passed_on,
  array_agg(p.way ORDER BY p.way) FILTER (WHERE p.startups IS DISTINCT FROM 0) AS ways
FROM passings p JOIN subscribers r ON r.id = p.subscriber_id
WHERE p.subject = $1 GROUP BY r.id

-- name: proposals
-- What came of an opportunity: of each fact the last that was said, as far as it is one.
-- $1 subject
SELECT
  (SELECT (data ->> 'proposals')::integer FROM events
   WHERE subject = $1 AND type IN ('opportunity.closed', 'opportunity.awarded')
     AND data ->> 'proposals' ~ '^[0-9]{1,6}$'
   ORDER BY accepted_at DESC, id DESC LIMIT 1) AS received,
  (SELECT (data ->> 'startup_won')::boolean FROM events
   WHERE subject = $1 AND type IN ('opportunity.closed', 'opportunity.awarded')
     AND data ->> 'startup_won' IN ('true', 'false')
   ORDER BY accepted_at DESC, id DESC LIMIT 1) AS startup_won
