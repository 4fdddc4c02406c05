-- name: move_hooks
-- The demo receivers may have another port today.
-- $1 start of their URLs
UPDATE subscriptions SET target = $1 || substring(target FROM '/demo/hooks/(.*)$'),
  destination = split_part($1, '/', 3)
WHERE channel = 'webhook' AND target ~ '^http://127\.0\.0\.1:\d+/demo/hooks/' AND NOT starts_with(target, $1)

-- name: owed
-- How many deliveries are owed, and of which events.
SELECT event_id, count(*) FROM deliveries WHERE event_id IS NOT NULL AND state IN ('pending', 'sending', 'retrying', 'unknown')
GROUP BY event_id ORDER BY event_id
