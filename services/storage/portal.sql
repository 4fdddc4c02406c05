-- name: lately
-- What a subscriber was owed, newest first; of what was sent once more, the latest.
-- $1 subscriber id, $2 before delivery id (null: from the newest), $3 subscription id (null: any), $4 limit
SELECT d.id, d.event_id, d.subscription_id, d.channel, d.state::text, d.reason, d.attempts, d.next_attempt_at,
  d.match, d.created_at, d.settled_at, d.replay, s.target, s.destination, s.cadence,
  e.subject, e.type, e.version, e.deadline, e.data -> 'title' AS title, e.data ->> 'url' AS url,
  e.data #>> '{buyer,name}' AS buyer,
  ARRAY(SELECT r.kind FROM receipts r WHERE r.delivery_id = d.id ORDER BY r.at) AS receipts
FROM deliveries d JOIN subscriptions s ON s.id = d.subscription_id JOIN events e ON e.id = d.event_id
WHERE d.subscriber_id = $1
  AND ($2::uuid IS NULL OR d.id < $2)
  AND ($3::uuid IS NULL OR d.subscription_id = $3)
  AND NOT EXISTS (SELECT FROM deliveries newer WHERE newer.event_id = d.event_id
                    AND newer.subscription_id = d.subscription_id AND newer.replay > d.replay)
ORDER BY d.id DESC LIMIT $4

-- name: subscriptions
-- A subscriber's subscriptions, the live ones first, each with what ails it.
-- $1 subscriber id, $2 subscription id (null: all)
SELECT s.id, s.channel, s.target, s.destination, s.filter, s.cadence, s.quiet_from, s.quiet_until, s.reminders, s.language,
  s.status::text, s.status_reason, s.created_at, s.ended_at, s.ended_reason, p.until AS suppressed_until,
  (SELECT kind FROM webhook_secrets w WHERE w.subscription_id = s.id ORDER BY w.created_at DESC LIMIT 1) AS algorithm,
  (SELECT max(d.settled_at) FROM deliveries d
   WHERE d.subscriber_id = s.subscriber_id AND d.subscription_id = s.id AND d.state = 'sent') AS last_sent_at
FROM subscriptions s
LEFT JOIN suppressions p ON p.subscription_id = s.id AND p.released_at IS NULL
WHERE s.subscriber_id = $1 AND ($2::uuid IS NULL OR s.id = $2)
ORDER BY s.status = 'ended', s.id

-- name: delivery
-- One delivery of a subscriber, with its event.
-- $1 subscriber id, $2 delivery id
SELECT d.id, d.event_id, d.subscription_id, d.channel, d.state::text, d.reason, d.attempts, d.next_attempt_at,
  d.match, d.created_at, d.settled_at, d.replay, s.target, s.destination, s.cadence, s.status::text AS subscription_status,
  e.subject, e.type, e.version, e.deadline, coalesce(e.time, e.accepted_at) AS occurred_at, e.data,
  e.data -> 'title' AS title, e.data ->> 'url' AS url, e.data #>> '{buyer,name}' AS buyer,
  ARRAY(SELECT r.kind FROM receipts r WHERE r.delivery_id = d.id ORDER BY r.at) AS receipts
FROM deliveries d JOIN subscriptions s ON s.id = d.subscription_id JOIN events e ON e.id = d.event_id
WHERE d.subscriber_id = $1 AND d.id = $2

-- name: secrets
-- With what a webhook signs, newest first, without what it signs with.
-- $1 subscription id
SELECT kind, created_at, expires_at FROM webhook_secrets
WHERE subscription_id = $1 AND (expires_at IS NULL OR expires_at > now()) ORDER BY created_at DESC

-- name: feed_token
-- $1 subscriber id
SELECT sealed, created_at FROM feed_tokens WHERE subscriber_id = $1

-- name: by_token
-- A subscription for whoever holds a link of one of its messages.
-- $1 hash of the unsubscribe token
SELECT s.id, s.subscriber_id, s.channel, s.target, s.destination, s.cadence, s.quiet_from, s.quiet_until, s.reminders, s.language,
  s.status::text, s.status_reason, s.ended_at, r.name AS subscriber, r.timezone, r.digest_hour, r.digest_weekday
FROM subscriptions s JOIN subscribers r ON r.id = s.subscriber_id
WHERE s.unsubscribe_hash = $1
