-- name: subscriber
-- A subscriber for all subscriptions.
INSERT INTO subscribers (slug, name, kind) VALUES ('bench', 'Bench Incubator', 'incubator') RETURNING id

-- name: known
-- That subscriber, once it is there.
SELECT id FROM subscribers

-- name: subscriptions
-- Subscribe targets to all, or to a theme that is never announced; webhooks with a secret.
-- $1 subscriber id, $2 channel, $3 targets, $4 destinations, $5 token hashes, $6 sealed tokens, $7 secret, sealed,
-- $8 themes
WITH made AS (
  INSERT INTO subscriptions
    (subscriber_id, channel, target, destination, f_themes, unsubscribe_hash, unsubscribe_seal)
  SELECT $1, $2, target, destination, $8, hash, seal
  FROM unnest($3::text[], $4::text[], $5::bytea[], $6::bytea[]) AS s (target, destination, hash, seal)
  RETURNING id
)
INSERT INTO webhook_secrets (subscription_id, kind, sealed) SELECT id, 'v1', $7 FROM made WHERE $2 = 'webhook'

-- name: analyze
-- A server that has been up for a while has had its statistics taken.
ANALYZE

-- name: unsent
-- Whether something is still to be sent; cheap to ask, so that asking does not slow what is measured.
SELECT EXISTS (SELECT FROM deliveries WHERE state IN ('pending', 'retrying', 'sending', 'unknown'))

-- name: span
-- Of the last deliveries: how many were sent, and the seconds from the first attempt to the last record.
-- $1 how many deliveries these are
WITH last AS (SELECT id, state, settled_at FROM deliveries ORDER BY created_at DESC LIMIT $1)
SELECT count(DISTINCT last.id) FILTER (WHERE last.state = 'sent') AS sent,
  extract(epoch FROM max(last.settled_at) - min(a.started_at))::float8 AS seconds
FROM last JOIN attempts a ON a.delivery_id = last.id

-- name: planning
-- Seconds from accepting the last event to having planned it; null until then.
SELECT extract(epoch FROM planned_at - accepted_at)::float8 FROM events ORDER BY accepted_at DESC LIMIT 1

-- name: server
-- Which server it is, and whether commits are flushed to disk.
SELECT split_part(current_setting('server_version'), ' ', 1) || ', fsync ' || current_setting('fsync')
  || ', synchronous_commit ' || current_setting('synchronous_commit')
  || ', shared_buffers ' || current_setting('shared_buffers')
