-- name: take
-- What is due, with whom to tell, and whether opportunities still reach the subscriber in another way.
-- $1 how many at most
SELECT n.id, n.subscription_id, n.kind, s.channel, s.target, s.status_reason, r.name AS subscriber, r.contact, r.language,
  ARRAY(SELECT p.email FROM people p WHERE p.subscriber_id = r.id ORDER BY p.id) AS people,
  NOT EXISTS (SELECT FROM subscriptions other WHERE other.subscriber_id = r.id AND other.status = 'active') AS alone
FROM notices n
JOIN subscriptions s ON s.id = n.subscription_id
JOIN subscribers r ON r.id = s.subscriber_id
WHERE n.due_at <= clock_timestamp()
ORDER BY n.due_at LIMIT $1 FOR UPDATE OF n SKIP LOCKED

-- name: settle
-- $1 notice id, $2 what became of it
UPDATE notices SET outcome = $2, due_at = NULL, attempts = attempts + 1 WHERE id = $1
