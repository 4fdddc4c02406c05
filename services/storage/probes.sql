-- name: subject
-- What a probe is about.
-- $1 subscription id
SELECT id, subscriber_id, channel, target, destination, status::text FROM subscriptions WHERE id = $1

-- name: turn
-- One at a time asks for a subscriber, so that counting is right; the lock goes with the transaction.
-- $1 subscriber id
SELECT pg_advisory_xact_lock(hashtextextended('omroeper.probes ' || $1, 0))

-- name: ask
-- $1 subscription id, $2 kind, $3 how often we tried again before, $4 due after
INSERT INTO probes (subscription_id, kind, again, due_at) VALUES ($1, $2, $3, clock_timestamp() + $4::interval)
RETURNING id

-- name: waiting_proof
-- The proof that waits, and whether it is being tried at this moment.
-- $1 subscription id
SELECT id, attempts > 0 AS under_way FROM probes
WHERE subscription_id = $1 AND kind = 'verify' AND due_at IS NOT NULL FOR UPDATE

-- name: hurry
-- Somebody asks for what we would have tried later: it counts as theirs, and begins anew.
-- $1 probe id
UPDATE probes SET again = 0, asked_at = clock_timestamp(), due_at = clock_timestamp() WHERE id = $1

-- name: wake
-- Tell the dispatchers that a probe waits.
SELECT pg_notify('probes_asked', '')

-- name: asked_of
-- When people asked for this of a subscription, newest first.
-- $1 subscription id, $2 kind, $3 how many at most
SELECT asked_at FROM probes WHERE subscription_id = $1 AND kind = $2 AND again = 0 ORDER BY asked_at DESC LIMIT $3

-- name: asked_by
-- When people asked for anything of a subscriber's, newest first.
-- $1 subscriber id, $2 how many at most
SELECT p.asked_at FROM probes p JOIN subscriptions s ON s.id = p.subscription_id
WHERE s.subscriber_id = $1 AND p.again = 0 ORDER BY p.asked_at DESC LIMIT $2

-- name: mailed_to
-- When test mails went to a mailbox, by whichever subscription.
-- $1 mailbox (lower case, without +tag), $2 its domain, $3 within this time
SELECT p.asked_at FROM probes p JOIN subscriptions s ON s.id = p.subscription_id
WHERE p.asked_at > clock_timestamp() - $3::interval AND p.kind = 'test' AND s.channel = 'email'
  AND s.destination = $2 AND lower(regexp_replace(s.target, '\+[^@]*@', '@')) = $1

-- name: find
-- $1 probe id
SELECT id, subscription_id, kind, again, asked_at, done_at, ok, code, error, duration_ms, request, answer
FROM probes WHERE id = $1

-- name: latest
-- $1 subscription id, $2 how many at most
SELECT id, subscription_id, kind, again, asked_at, done_at, ok, code, error, duration_ms, request, answer
FROM probes WHERE subscription_id = $1 ORDER BY id DESC LIMIT $2

-- name: claim_turn
-- One dispatcher at a time claims, so that counting is right; the lock goes with the transaction.
SELECT pg_advisory_xact_lock(hashtextextended('omroeper.probes claim', 0))

-- name: claim
-- Borrow what is due, with what trying it needs. A subscriber has few tried at once, so that endpoints that
-- hang keep nobody else waiting.
-- $1 how many at most, $2 lease in seconds, $3 how many at once for a subscriber
WITH waiting AS (
  SELECT p.id, p.due_at <= statement_timestamp() AS is_due,
    row_number() OVER (PARTITION BY s.subscriber_id ORDER BY p.due_at <= statement_timestamp(), p.due_at, p.id) AS place
  FROM probes p JOIN subscriptions s ON s.id = p.subscription_id
  -- what is due, and behind what is being tried
  WHERE p.due_at <= statement_timestamp() OR (p.due_at > statement_timestamp() AND p.attempts > 0)
),
due AS (
  SELECT p.id FROM probes p JOIN waiting ON waiting.id = p.id
  WHERE is_due AND place <= $3 ORDER BY p.due_at LIMIT $1 FOR UPDATE OF p SKIP LOCKED
),
claimed AS (
  UPDATE probes p SET attempts = p.attempts + 1, due_at = clock_timestamp() + make_interval(secs => $2)
  FROM due WHERE p.id = due.id
  RETURNING p.id, p.subscription_id, p.kind, p.again, p.attempts, p.asked_at
)
SELECT c.*, s.channel, s.target, s.language, s.status::text, r.name AS subscriber,
  ARRAY(SELECT w.sealed FROM webhook_secrets w
        WHERE w.subscription_id = s.id AND (w.expires_at IS NULL OR w.expires_at > now())
        ORDER BY w.created_at DESC) AS secrets
FROM claimed c
JOIN subscriptions s ON s.id = c.subscription_id
JOIN subscribers r ON r.id = s.subscriber_id

-- name: tell_owner
-- $1 subscription id, $2 kind
INSERT INTO notices (subscription_id, kind)
SELECT $1, $2 WHERE NOT EXISTS (SELECT FROM notices WHERE subscription_id = $1 AND kind = $2)

-- name: lapsed
-- Webhooks that wait for a proof of which the last try is so long ago.
-- $1 for so long, $2 how many at most
SELECT s.id FROM subscriptions s
WHERE s.status = 'pending' AND s.channel = 'webhook' AND s.created_at <= clock_timestamp() - $1::interval
  AND NOT EXISTS (SELECT FROM probes p WHERE p.subscription_id = s.id AND p.kind = 'verify'
    AND (p.due_at IS NOT NULL OR p.asked_at > clock_timestamp() - $1::interval))
LIMIT $2

-- name: answer
-- Write down what came of a probe, unless another try did.
-- $1 probe id, $2 attempt, $3 whether it worked, $4 why not, $5 milliseconds, $6 code, $7 request, $8 answer
UPDATE probes SET done_at = clock_timestamp(), due_at = NULL, ok = $3, error = $4, duration_ms = $5, code = $6,
  request = $7, answer = $8
WHERE id = $1 AND attempts = $2 AND done_at IS NULL
RETURNING id
