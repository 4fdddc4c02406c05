-- name: claim
-- Borrow the notices that are due, with what a mail about them needs.
-- $1 lease in seconds
UPDATE notices n SET attempts = n.attempts + 1, due_at = now() + make_interval(secs => $1)
FROM (SELECT id FROM notices WHERE due_at <= now() ORDER BY due_at LIMIT 50 FOR UPDATE SKIP LOCKED) AS due,
  subscriptions s, subscribers r
WHERE n.id = due.id AND s.id = n.subscription_id AND r.id = s.subscriber_id
RETURNING n.id, n.subscription_id, n.kind, n.attempts, s.channel, s.target, r.name AS subscriber, r.contact, r.language

-- name: settle
-- $1 notice id, $2 what became of it, $3 when to try again (null: never)
UPDATE notices SET outcome = $2, due_at = $3 WHERE id = $1
