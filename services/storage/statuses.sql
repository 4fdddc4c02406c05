-- name: waiting
-- The oldest changes that Kafka has not been told of.
-- $1 how many at most
SELECT o.id, o.delivery_id, o.event_id, o.subscription_id, o.state, o.attempts, o.reason, o.next_attempt_at,
  o.at, e.subject, e.source, e.ce_id, e.type, s.channel, r.slug AS subscriber
FROM status_outbox o
JOIN events e ON e.id = o.event_id
JOIN subscriptions s ON s.id = o.subscription_id
JOIN subscribers r ON r.id = s.subscriber_id
ORDER BY o.id LIMIT $1

-- name: told
-- $1 outbox ids
DELETE FROM status_outbox WHERE id = ANY ($1::bigint[])

-- name: lock
-- One dispatcher tells at a time, so that the changes of an opportunity stay in order.
SELECT pg_try_advisory_lock(1937006964)
