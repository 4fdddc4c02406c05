-- name: lines
-- Of several subscriptions of one target only the first: a file cannot tell them apart.
WITH told AS (
  SELECT DISTINCT ON (subscriber_id, channel, target) id, subscriber_id, channel, target, filter, cadence, quiet_from,
    quiet_until, reminders, language
  FROM subscriptions WHERE status = 'active' ORDER BY subscriber_id, channel, target, id
)
SELECT r.slug, r.name, r.kind, r.region, r.language, r.contact, r.timezone, r.digest_hour, r.digest_weekday,
  r.reminder_days,
  coalesce((SELECT jsonb_agg(jsonb_build_array(p.name, p.email) ORDER BY p.email)
            FROM people p WHERE p.subscriber_id = r.id), '[]') AS people,
  t.channel, t.target, t.filter, t.cadence, t.quiet_from, t.quiet_until, t.reminders,
  t.language AS subscription_language
FROM subscribers r LEFT JOIN told t ON t.subscriber_id = r.id
WHERE r.ended_at IS NULL ORDER BY r.slug COLLATE "C", t.channel, t.target COLLATE "C"

-- name: left_out
SELECT count(*) FILTER (WHERE s.status <> 'ended')
  - count(DISTINCT (s.subscriber_id, s.channel, s.target)) FILTER (WHERE s.status = 'active')
FROM subscriptions s JOIN subscribers r ON r.id = s.subscriber_id WHERE r.ended_at IS NULL

-- name: deliveries
-- $1 subscriber id
SELECT d.id, d.event_id, e.type, e.subject AS opportunity, d.carries AS mailing, d.subscription_id, d.channel,
  d.destination, d.match, d.state::text, d.reason, d.attempts, d.created_at, d.settled_at, d.expires_at
FROM deliveries d LEFT JOIN events e ON e.id = d.event_id
WHERE d.subscriber_id = $1 ORDER BY d.id

-- name: attempts
-- $1 subscriber id
SELECT a.delivery_id, a.number, a.started_at, a.duration_ms, a.outcome, a.code, a.error, a.excerpt
FROM attempts a JOIN deliveries d ON d.id = a.delivery_id WHERE d.subscriber_id = $1 ORDER BY a.id

-- name: receipts
-- $1 subscriber id
SELECT c.delivery_id, c.kind, c.at, c.status, c.detail
FROM receipts c JOIN deliveries d ON d.id = c.delivery_id WHERE d.subscriber_id = $1 ORDER BY c.at, c.id

-- name: passings
-- $1 subscriber id
SELECT subject AS opportunity, way, startups, door, at, corrected_at FROM passings WHERE subscriber_id = $1 ORDER BY id

-- name: probes
-- $1 subscriber id
SELECT p.id, p.subscription_id, p.kind, p.asked_at, p.done_at, p.ok, p.code, p.error, p.duration_ms, p.request, p.answer
FROM probes p JOIN subscriptions s ON s.id = p.subscription_id WHERE s.subscriber_id = $1 ORDER BY p.id

-- name: confirmations
-- $1 subscriber id
SELECT subscription_id, created_at, expires_at, settled_at, outcome FROM confirmations
WHERE subscriber_id = $1 ORDER BY id
