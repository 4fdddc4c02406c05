-- name: candidates
-- The latest delivery of each event and subscription asked for, with what stands in the way of sending
-- it once more.
-- $1 delivery id, $2 event id, $3 subscriber slug, $4 channel, $5 state, $6 created since, $7 until,
-- $8 limit; null: any
SELECT d.id, d.state::text, r.slug AS subscriber, d.channel, d.event_id,
  CASE
    WHEN d.state NOT IN ('sent', 'failed', 'suppressed', 'expired', 'cancelled') THEN 'owed'
    WHEN s.status = 'ended' OR r.ended_at IS NOT NULL THEN 'unsubscribed'
    WHEN s.status <> 'active' THEN s.status::text
    WHEN d.expires_at <= now() THEN 'deadline'
    WHEN EXISTS (SELECT FROM events w WHERE w.subject = e.subject AND withdraws(w, e)) THEN 'withdrawn'
    WHEN EXISTS (SELECT FROM events n JOIN deliveries o ON o.event_id = n.id
                 WHERE n.subject = e.subject AND precedes(e, n) AND o.subscription_id = d.subscription_id
                   AND o.state NOT IN ('failed', 'suppressed', 'expired', 'cancelled')) THEN 'superseded'
  END AS obstacle
FROM deliveries d
JOIN events e ON e.id = d.event_id
JOIN subscriptions s ON s.id = d.subscription_id
JOIN subscribers r ON r.id = d.subscriber_id
WHERE ($1::uuid IS NULL OR d.id = $1)
  AND ($2::uuid IS NULL OR d.event_id = $2)
  AND ($3::text IS NULL OR r.slug = $3)
  AND ($4::text IS NULL OR d.channel = $4)
  AND ($5::text IS NULL OR d.state = $5::text::delivery_state)
  AND ($6::timestamptz IS NULL OR d.created_at >= $6)
  AND ($7::timestamptz IS NULL OR d.created_at < $7)
  AND NOT EXISTS (SELECT FROM deliveries newer WHERE newer.event_id = d.event_id
                    AND newer.subscription_id = d.subscription_id AND newer.replay > d.replay)
ORDER BY d.id LIMIT $8

-- name: hold
-- Keep the subscriptions of these deliveries from ending until this is committed.
-- $1 delivery ids
SELECT s.id FROM subscriptions s WHERE s.id IN (SELECT subscription_id FROM deliveries WHERE id = ANY ($1::uuid[]))
ORDER BY s.id FOR SHARE

-- name: replay
-- Owe final deliveries once more, as new ones that point back.
-- $1 delivery ids
INSERT INTO deliveries (event_id, subscription_id, subscriber_id, channel, destination, match, replay,
                        replay_of, turn, expires_at)
SELECT d.event_id, d.subscription_id, d.subscriber_id, d.channel, s.destination, d.match, d.replay + 1, d.id,
  clock_timestamp() + row_number() OVER (ORDER BY d.id) * interval '1 millisecond', d.expires_at
FROM deliveries d JOIN subscriptions s ON s.id = d.subscription_id
WHERE d.id = ANY ($1::uuid[]) AND s.status = 'active'
  AND d.state IN ('sent', 'failed', 'suppressed', 'expired', 'cancelled')
ON CONFLICT (event_id, subscription_id, replay) DO NOTHING
RETURNING id, replay_of

-- name: retry_now
-- Make a delivery that waits due at once; one that went with a mailing, by its carrier.
-- $1 delivery id
UPDATE deliveries SET next_attempt_at = now()
WHERE state = 'retrying' AND id IN (
  SELECT $1::uuid UNION ALL
  SELECT c.id FROM deliveries d JOIN deliveries c ON c.carries = d.mailing_id WHERE d.id = $1 AND d.state = 'pending')
RETURNING subscription_id

-- name: not_with_digest
-- Have what waits for its digest go at once, by itself.
-- $1 delivery id
UPDATE deliveries SET gather_until = NULL, reason = NULL
WHERE id = $1 AND state = 'pending' AND gather_until IS NOT NULL AND mailing_id IS NULL

-- name: probe_now
-- Let the next delivery through an open circuit breaker.
-- $1 subscription id
UPDATE endpoint_health SET open_until = now() WHERE subscription_id = $1 AND open_until > now()

-- name: wake_senders
SELECT pg_notify('deliveries_owed', '')
