-- name: add
-- $1 subscriber id, $2 channel, $3 target, $4 destination, $5 language, $6 filter, $7 types, $8 regions, $9 cpv,
-- $10 themes, $11 audience, $12 procedures, $13 least value, $14 most value, $15 currency, $16 words,
-- $17 hash of the unsubscribe token, $18 the token, sealed, $19 cadence, $20 quiet from, $21 quiet until,
-- $22 status, $23 whether it reminds of deadlines
INSERT INTO subscriptions (
  subscriber_id, channel, target, destination, language, filter, f_types, f_regions, f_cpv, f_themes, f_audience,
  f_procedures, f_min_value, f_max_value, f_currency, f_words, unsubscribe_hash, unsubscribe_seal, cadence,
  quiet_from, quiet_until, status, reminders)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21,
  $22::text::subscription_status, $23)
RETURNING id

-- name: get
-- $1 id
SELECT s.id, r.slug AS subscriber, s.channel, s.target, s.destination, s.filter, s.cadence, s.quiet_from,
  s.quiet_until, s.reminders, s.language,
  s.status::text, s.status_reason, s.confirmed_at, s.created_at, s.ended_at, s.ended_reason,
  (SELECT kind FROM webhook_secrets w WHERE w.subscription_id = s.id ORDER BY w.created_at DESC LIMIT 1) AS algorithm
FROM subscriptions s JOIN subscribers r ON r.id = s.subscriber_id
WHERE s.id = $1

-- name: of_subscriber
-- A subscriber's subscriptions, oldest first, the ended ones too.
-- $1 subscriber id
SELECT s.id, r.slug AS subscriber, s.channel, s.target, s.destination, s.filter, s.cadence, s.quiet_from,
  s.quiet_until, s.reminders, s.language,
  s.status::text, s.status_reason, s.confirmed_at, s.created_at, s.ended_at, s.ended_reason,
  (SELECT kind FROM webhook_secrets w WHERE w.subscription_id = s.id ORDER BY w.created_at DESC LIMIT 1) AS algorithm
FROM subscriptions s JOIN subscribers r ON r.id = s.subscriber_id
WHERE s.subscriber_id = $1 ORDER BY s.id

-- name: targets
-- Where these subscribers are told, and where they were; for each target the live one, else the last to end.
-- $1 subscriber ids
SELECT DISTINCT ON (subscriber_id, channel, target)
  id, subscriber_id, channel, target, filter, cadence, quiet_from, quiet_until, reminders, language,
  status::text, ended_reason
FROM subscriptions WHERE subscriber_id = ANY ($1::uuid[])
ORDER BY subscriber_id, channel, target, ended_at DESC NULLS FIRST, id

-- name: by_token
-- Whether somebody could add it again: not who said that they never asked.
-- $1 hash of the unsubscribe token
SELECT s.id, s.channel, s.destination, s.language, s.status::text, r.name AS subscriber,
  r.ended_at IS NULL AND s.ended_reason IS DISTINCT FROM 'refused'
    AND (r.contact IS NOT NULL OR EXISTS (SELECT FROM people p WHERE p.subscriber_id = r.id)) AS can_return
FROM subscriptions s JOIN subscribers r ON r.id = s.subscriber_id
WHERE s.unsubscribe_hash = $1

-- name: lock
-- The strongest lock: it waits for planners that owe something to this subscription, and has new ones wait.
-- $1 id
SELECT id, channel, status::text FROM subscriptions WHERE id = $1 FOR UPDATE

-- name: sharing
-- Which subscriptions of a subscriber share their mails with one: a digest is about all of an address and cadence.
-- $1 id, $2 all of the address, whatever their cadence
SELECT o.id FROM subscriptions s JOIN subscriptions o ON o.subscriber_id = s.subscriber_id
WHERE s.id = $1 AND (o.id = s.id OR s.channel = 'email' AND o.channel = 'email' AND o.status <> 'ended'
  AND lower(o.target) = lower(s.target) AND ($2 OR s.cadence <> 'immediate' AND o.cadence = s.cadence))
ORDER BY o.id

-- name: end
-- $1 id, $2 reason
UPDATE subscriptions SET status = 'ended', ended_at = clock_timestamp(), ended_reason = $2 WHERE id = $1

-- name: set_status
-- $1 id, $2 status
UPDATE subscriptions SET status = $2::text::subscription_status, status_reason = NULL WHERE id = $1

-- name: confirm
-- Active, if it waits for that and still goes where its owner said yes.
-- $1 id, $2 target
UPDATE subscriptions SET status = 'active', status_reason = NULL, confirmed_at = clock_timestamp()
WHERE id = $1 AND status = 'pending' AND target = $2
RETURNING id

-- name: note_pending
-- $1 id, $2 reason
UPDATE subscriptions SET status_reason = $2 WHERE id = $1 AND status = 'pending' RETURNING id

-- name: set_target
-- Whoever confirmed the old target says nothing of the new one.
-- $1 id, $2 target, $3 destination
UPDATE subscriptions SET target = $2, destination = $3,
  confirmed_at = CASE WHEN target = $2 THEN confirmed_at END
WHERE id = $1

-- name: redirect_owed
-- What is owed goes to the new target, and takes its turn among what goes there.
-- $1 id, $2 destination
UPDATE deliveries SET destination = $2 WHERE subscription_id = $1 AND state IN ('pending', 'retrying')

-- name: set_filter
-- $1 id, $2 filter, $3 types, $4 regions, $5 cpv, $6 themes, $7 audience, $8 procedures, $9 least value,
-- $10 most value, $11 currency, $12 words
UPDATE subscriptions SET filter = $2, f_types = $3, f_regions = $4, f_cpv = $5, f_themes = $6, f_audience = $7,
  f_procedures = $8, f_min_value = $9, f_max_value = $10, f_currency = $11, f_words = $12
WHERE id = $1

-- name: set_language
-- $1 id, $2 language
UPDATE subscriptions SET language = $2 WHERE id = $1

-- name: set_cadence
-- No row when it is that already.
-- $1 id, $2 cadence
UPDATE subscriptions SET cadence = $2 WHERE id = $1 AND cadence <> $2 RETURNING id

-- name: set_quiet_hours
-- No row when they are those already.
-- $1 id, $2 from, $3 until (both null: none)
UPDATE subscriptions SET quiet_from = $2, quiet_until = $3
WHERE id = $1 AND (quiet_from, quiet_until) IS DISTINCT FROM ($2::time, $3::time) RETURNING id

-- name: set_reminders
-- $1 id, $2 whether it reminds of deadlines
UPDATE subscriptions SET reminders = $2 WHERE id = $1

-- name: add_secret
-- $1 subscription id, $2 kind, $3 sealed
INSERT INTO webhook_secrets (subscription_id, kind, sealed) VALUES ($1, $2, $3)

-- name: newest_secret_kind
-- $1 subscription id
SELECT kind FROM webhook_secrets WHERE subscription_id = $1 ORDER BY created_at DESC LIMIT 1

-- name: retire_secrets
-- The present secrets sign along for a while yet; one that would go sooner still does.
-- $1 subscription id, $2 hours
UPDATE webhook_secrets
SET expires_at = least(expires_at, clock_timestamp() + make_interval(hours => $2))
WHERE subscription_id = $1
