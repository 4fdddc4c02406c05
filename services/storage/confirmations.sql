-- name: subject
-- A mail subscription that waits for its owner.
-- $1 subscription id
SELECT s.subscriber_id, s.target, s.language, s.cadence, r.name AS subscriber
FROM subscriptions s JOIN subscribers r ON r.id = s.subscriber_id
WHERE s.id = $1 AND s.channel = 'email' AND s.status = 'pending'

-- name: turn
-- One at a time asks, so that counting is right; the lock goes with the transaction.
-- $1 mailbox or subscriber
SELECT pg_advisory_xact_lock(hashtextextended('omroeper.confirmations ' || $1, 0))

-- name: add
-- $1 subscription id, $2 subscriber id, $3 hash of the mailbox, $4 hash of the token, $5 good for
INSERT INTO confirmations (subscription_id, subscriber_id, mailbox_hash, token_hash, expires_at)
VALUES ($1, $2, $3, $4, clock_timestamp() + $5::interval)

-- name: said_no
-- Whether the owner of a mailbox said no to a subscriber.
-- $1 subscriber id, $2 hashes of the mailbox
SELECT EXISTS (SELECT FROM confirmations
  WHERE mailbox_hash = ANY ($2::bytea[]) AND subscriber_id = $1 AND outcome = 'refused')

-- name: to_mailbox
-- When a mailbox was asked, newest first.
-- $1 hashes of the mailbox, $2 how many at most
SELECT created_at FROM confirmations WHERE mailbox_hash = ANY ($1::bytea[]) ORDER BY created_at DESC LIMIT $2

-- name: of_subscriber
-- When mailboxes were asked for a subscriber, newest first.
-- $1 subscriber id, $2 how many at most
SELECT created_at FROM confirmations WHERE subscriber_id = $1 ORDER BY created_at DESC LIMIT $2

-- name: find
-- $1 hash of the token
SELECT c.id, c.subscription_id, c.subscriber_id, c.mailbox_hash, c.outcome, s.target, s.destination, s.cadence,
  s.language, s.status::text, r.name AS subscriber, c.expires_at <= clock_timestamp() AS expired
FROM confirmations c
JOIN subscriptions s ON s.id = c.subscription_id
JOIN subscribers r ON r.id = c.subscriber_id
WHERE c.token_hash = $1

-- name: settle
-- Note the answer; the other links to the same subscription are of no use any more. Null when it has one.
-- $1 confirmation id, $2 subscription id, $3 outcome
WITH answered AS (
  UPDATE confirmations SET outcome = $3, settled_at = clock_timestamp() WHERE id = $1 AND outcome IS NULL
  RETURNING id
),
others AS (
  UPDATE confirmations SET outcome = 'replaced', settled_at = clock_timestamp()
  WHERE subscription_id = $2 AND id <> $1 AND outcome IS NULL
)
SELECT id FROM answered

-- name: lapsed
-- Subscriptions that wait for an owner whose last link is no longer good.
-- $1 how many at most
SELECT c.subscription_id FROM confirmations c JOIN subscriptions s ON s.id = c.subscription_id
WHERE s.status = 'pending' AND s.channel = 'email'
GROUP BY c.subscription_id HAVING max(c.expires_at) <= clock_timestamp() LIMIT $1
