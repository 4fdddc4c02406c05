-- name: event
-- $1 event id
SELECT id, source, ce_id, type, subject, version, time, accepted_at, planned_at, deadline, data
FROM events WHERE id = $1

-- name: events_page
-- Newest first.
-- $1 before id (null: from the newest), $2 limit
SELECT id, source, ce_id, type, subject, version, accepted_at, planned_at, deadline, data -> 'title' AS title
FROM events WHERE $1::uuid IS NULL OR id < $1
ORDER BY id DESC LIMIT $2

-- name: matched
-- How many subscriptions each event was owed to.
-- $1 event ids
SELECT event_id, count(*) FILTER (WHERE replay = 0) AS matched FROM deliveries
WHERE event_id = ANY ($1::uuid[]) GROUP BY event_id

-- name: counts
-- $1 event id
SELECT channel, state::text, count(*), count(*) FILTER (WHERE replay = 0) AS matched FROM deliveries
WHERE event_id = $1 GROUP BY channel, state ORDER BY channel, state

-- name: came_back
-- How many of an event's sent deliveries came back, each by the gravest that did.
-- $1 event id
SELECT kind, count(*) FROM (
  SELECT DISTINCT ON (c.delivery_id) c.kind FROM receipts c JOIN deliveries d ON d.id = c.delivery_id
  WHERE d.event_id = $1 AND d.state = 'sent' AND c.kind IN ('complaint', 'hard', 'soft')
  ORDER BY c.delivery_id, array_position(ARRAY['complaint', 'hard', 'soft'], c.kind)
) gravest
GROUP BY kind ORDER BY kind

-- name: deliveries_page
-- Newest first, or oldest first within one event's ledger.
-- What is gathered shows the attempts of its carrier; the carriers themselves are about no event.
-- $1 event id, $2 subscriber slug, $3 channel, $4 state, $5 cursor, $6 oldest first, $7 limit; null: any
SELECT d.id, d.event_id, r.slug AS subscriber, d.subscription_id, d.channel, d.state::text, d.attempts,
  CASE WHEN d.state = 'pending' THEN d.gather_until ELSE d.next_attempt_at END AS next_attempt_at,
  d.match, d.reason, d.replay, d.replay_of, d.created_at, d.settled_at,
  CASE WHEN d.mailing_id IS NULL THEN (SELECT min(started_at) FROM attempts a WHERE a.delivery_id = d.id)
    ELSE (SELECT min(a.started_at) FROM attempts a JOIN deliveries c ON c.id = a.delivery_id
          WHERE c.carries = d.mailing_id AND a.number <= d.attempts) END AS first_attempt_at
FROM deliveries d JOIN subscribers r ON r.id = d.subscriber_id
WHERE d.event_id IS NOT NULL AND ($1::uuid IS NULL OR d.event_id = $1)
  AND ($2::text IS NULL OR r.slug = $2)
  AND ($3::text IS NULL OR d.channel = $3)
  AND ($4::text IS NULL OR d.state = $4::text::delivery_state)
  AND ($5::uuid IS NULL OR CASE WHEN $6 THEN d.id > $5 ELSE d.id < $5 END)
ORDER BY CASE WHEN $6 THEN d.id END, d.id DESC LIMIT $7

-- name: delivery
-- $1 delivery id
SELECT d.id, d.event_id, r.slug AS subscriber, d.subscription_id, d.channel, d.state::text, d.attempts,
  CASE WHEN d.state = 'pending' THEN d.gather_until ELSE d.next_attempt_at END AS next_attempt_at,
  d.match, d.reason, d.replay, d.replay_of, d.created_at, d.settled_at, d.expires_at
FROM deliveries d JOIN subscribers r ON r.id = d.subscriber_id
WHERE d.id = $1 AND d.event_id IS NOT NULL

-- name: attempts
-- Of what went with a mailing: the attempts of its carrier in which it took part.
-- $1 delivery id
SELECT number, started_at, duration_ms, outcome, code, error, excerpt, next_attempt_at, late FROM attempts
WHERE delivery_id = $1 OR delivery_id IN (
    SELECT c.id FROM deliveries d JOIN deliveries c ON c.carries = d.mailing_id
    WHERE d.id = $1 AND number <= d.attempts)
ORDER BY id

-- name: receipts
-- What came back later about these deliveries.
-- $1 delivery ids
SELECT delivery_id, kind, at, status FROM receipts WHERE delivery_id = ANY ($1::uuid[]) ORDER BY at, id
