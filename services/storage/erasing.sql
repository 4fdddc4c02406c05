-- name: lock
-- A subscriber that was not erased, if only an ended one; the strongest lock, which planners wait for.
-- $1 slug
SELECT id FROM subscribers WHERE slug = $1 AND erased_at IS NULL FOR UPDATE

-- name: was_erased
-- $1 hashes of the slug
SELECT EXISTS (SELECT FROM subscribers WHERE erased_slug = ANY ($1::bytea[]))

-- name: to_be_left_alone
-- Mailboxes that complained, came back, said no or unsubscribed, for the gravest reason that we know.
-- $1 subscriber id
SELECT DISTINCT ON (target) target, reason FROM (
  SELECT s.target, p.reason, CASE p.reason WHEN 'complained' THEN 1 ELSE 4 END AS place
  FROM subscriptions s JOIN suppressions p ON p.subscription_id = s.id
  -- ending the subscription released it a moment ago; what an operator released is over
  WHERE s.subscriber_id = $1 AND s.channel = 'email' AND p.until IS NULL AND (p.released_at IS NULL OR p.released_by = 'now ended')
  UNION ALL
  SELECT s.target, s.ended_reason, CASE s.ended_reason WHEN 'refused' THEN 2 ELSE 3 END
  FROM subscriptions s
  WHERE s.subscriber_id = $1 AND s.channel = 'email' AND s.ended_reason IN ('unsubscribed', 'refused')
) AS found (target, reason, place)
ORDER BY target, place

-- name: addresses
-- Every address that letters may wait for.
-- $1 subscriber id
SELECT contact AS address FROM subscribers WHERE id = $1 AND contact IS NOT NULL
UNION SELECT email FROM people WHERE subscriber_id = $1
UNION SELECT target FROM subscriptions WHERE subscriber_id = $1 AND channel = 'email'

-- name: quietly
-- Until set otherwise, and in this transaction only, changes of deliveries are told to nobody.
-- $1 on or off
SELECT set_config('omroeper.erasing', $1, true)

-- name: erase_deliveries
-- The states and times stay; where it went, and by which words of a filter it was owed, go.
-- $1 subscriber id
UPDATE deliveries SET destination = 'erased', match = '{}' WHERE subscriber_id = $1

-- name: erase_attempts
-- $1 subscriber id
UPDATE attempts a SET excerpt = NULL FROM deliveries d
WHERE a.delivery_id = d.id AND d.subscriber_id = $1 AND a.excerpt IS NOT NULL

-- name: erase_receipts
-- $1 subscriber id
UPDATE receipts c SET detail = NULL FROM deliveries d
WHERE c.delivery_id = d.id AND d.subscriber_id = $1 AND c.detail IS NOT NULL

-- name: erase_sessions
-- Who is signed in for this subscriber, or could be by a link on its way.
-- $1 subscriber id
WITH theirs AS (
  SELECT lower(contact) AS email FROM subscribers WHERE id = $1 AND contact IS NOT NULL
  UNION SELECT email FROM people WHERE subscriber_id = $1
),
links AS (
  DELETE FROM sign_in_links WHERE email IN (SELECT email FROM theirs)
)
DELETE FROM sessions
WHERE subscriber_id = $1 OR (subscriber_id IS NULL AND email IN (SELECT email FROM theirs))

-- name: erase_mailings
-- The hash of an address could be guessed; random bits take its place.
-- $1 subscriber id
UPDATE mailings SET address = sha256(uuid_send(gen_random_uuid())) WHERE subscriber_id = $1

-- name: erase_reminders
-- $1 subscriber id
UPDATE reminders SET address = sha256(uuid_send(gen_random_uuid())) WHERE subscriber_id = $1

-- name: erase_people
-- $1 subscriber id
DELETE FROM people WHERE subscriber_id = $1

-- name: erase_feeds
-- $1 subscriber id
DELETE FROM feed_tokens WHERE subscriber_id = $1

-- name: erase_confirmations
-- $1 subscriber id
DELETE FROM confirmations WHERE subscriber_id = $1

-- name: erase_invitations
-- $1 subscriber id
DELETE FROM invitations WHERE subscriber_id = $1

-- name: erase_secrets
-- $1 subscription ids
DELETE FROM webhook_secrets WHERE subscription_id = ANY ($1::uuid[])

-- name: erase_health
-- $1 subscription ids
DELETE FROM endpoint_health WHERE subscription_id = ANY ($1::uuid[])

-- name: erase_probes
-- $1 subscription ids
UPDATE probes SET request = NULL, answer = NULL WHERE subscription_id = ANY ($1::uuid[])

-- name: erase_notices
-- $1 subscription ids
UPDATE notices SET due_at = NULL, outcome = coalesce(outcome, 'erased')
WHERE subscription_id = ANY ($1::uuid[]) AND due_at IS NOT NULL

-- name: erase_subscriptions
-- The hash is of random bits that nobody knows, so no link leads here.
-- $1 subscription ids
UPDATE subscriptions SET target = 'erased', destination = 'erased', filter = '{}', f_types = '{}', f_regions = '{}',
  f_cpv = '{}', f_themes = '{}', f_audience = '{}', f_procedures = '{}', f_min_value = NULL, f_max_value = NULL,
  f_currency = NULL, f_words = '{}', status_reason = NULL, unsubscribe_seal = '',
  unsubscribe_hash = sha256(uuid_send(gen_random_uuid()))
WHERE id = ANY ($1::uuid[])

-- name: erase_subscriber
-- $1 subscriber id, $2 hash of the slug
UPDATE subscribers SET slug = 'erased-' || replace(id::text, '-', ''), name = 'erased', region = NULL, contact = NULL,
  ended_at = coalesce(ended_at, clock_timestamp()), erased_at = clock_timestamp(), erased_slug = $2
WHERE id = $1

-- name: late_attempts
UPDATE attempts a SET excerpt = NULL
FROM subscribers r JOIN deliveries d ON d.subscriber_id = r.id
WHERE r.erased_at > now() - interval '1 hour' AND a.delivery_id = d.id AND a.excerpt IS NOT NULL

-- name: late_probes
UPDATE probes p SET request = NULL, answer = NULL
FROM subscribers r JOIN subscriptions s ON s.subscriber_id = r.id
WHERE r.erased_at > now() - interval '1 hour' AND p.subscription_id = s.id AND num_nonnulls(p.request, p.answer) > 0
