-- name: heal
-- Endpoints that worked are healthy again; what was put off for them is due.
-- $1 subscription ids
WITH healed AS (
  DELETE FROM endpoint_health WHERE subscription_id = ANY ($1::uuid[]) RETURNING subscription_id
)
UPDATE deliveries d SET next_attempt_at = now() FROM healed
WHERE d.subscription_id = healed.subscription_id AND d.state = 'retrying' AND d.reason = 'endpoint_paused'

-- name: lock
-- $1 subscription ids
SELECT subscription_id, failures, failing_since, openings, open_until FROM endpoint_health
WHERE subscription_id = ANY ($1::uuid[]) ORDER BY subscription_id FOR UPDATE

-- name: save
-- $1 subscription id, $2 failures, $3 failing since, $4 openings, $5 open until
INSERT INTO endpoint_health (subscription_id, failures, failing_since, openings, open_until)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (subscription_id) DO UPDATE SET
  failures = $2, failing_since = $3, openings = $4, open_until = $5

-- name: disable
-- The strongest lock: it waits for planners that owe something to this subscription.
-- $1 subscription id, $2 reason
WITH held AS (
  SELECT id FROM subscriptions WHERE id = $1 AND status IN ('active', 'paused') FOR UPDATE
)
UPDATE subscriptions s SET status = 'disabled', status_reason = $2 FROM held WHERE s.id = held.id
RETURNING s.id

-- name: forget
-- $1 subscription id
DELETE FROM endpoint_health WHERE subscription_id = $1

-- name: notice
-- Have the owner told by another channel.
-- $1 subscription id, $2 kind
INSERT INTO notices (subscription_id, kind) VALUES ($1, $2)
