-- name: add
-- A new subscriber; no row when the slug is taken, even by one that has ended.
-- $1 slug, $2 name, $3 kind, $4 region, $5 language, $6 contact, $7 time zone, $8 hour of digests,
-- $9 weekday of weekly ones, $10 days before a deadline on which to be reminded
INSERT INTO subscribers (slug, name, kind, region, language, contact, timezone, digest_hour, digest_weekday,
  reminder_days)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (slug) DO NOTHING
RETURNING id

-- name: get
-- $1 slug
SELECT id, slug, name, kind, region, language, contact, timezone, digest_hour, digest_weekday, reminder_days,
  created_at FROM subscribers
WHERE slug = $1 AND ended_at IS NULL

-- name: known
-- Those who have one of these slugs, the ended ones too; nobody ends until this transaction does.
-- $1 slugs
SELECT id, slug, name, kind, region, language, contact, timezone, digest_hour, digest_weekday, reminder_days,
  created_at, ended_at FROM subscribers
WHERE slug = ANY ($1::text[]) ORDER BY id FOR SHARE

-- name: page
-- Oldest first, without those who ended.
-- $1 text to be found in slug or name (null: any), $2 kind (null: any), $3 after id (null: from the start),
-- $4 limit
SELECT id, slug, name, kind, region, language, contact, timezone, digest_hour, digest_weekday, reminder_days,
  created_at,
  (SELECT count(*) FROM subscriptions s WHERE s.subscriber_id = r.id AND s.status <> 'ended')
    AS subscription_count
FROM subscribers r
WHERE ended_at IS NULL
  AND ($1::text IS NULL OR position(lower($1) IN lower(slug || ' ' || name)) > 0)
  AND ($2::text IS NULL OR kind = $2)
  AND ($3::uuid IS NULL OR id > $3)
ORDER BY id LIMIT $4

-- name: hold
-- Keep a subscriber from ending while a subscription is added.
-- $1 slug
SELECT id, language FROM subscribers WHERE slug = $1 AND ended_at IS NULL FOR SHARE

-- name: change
-- Change what is named, and leave the rest; a null clears region or contact.
-- $1 slug, $2 the new values by column
UPDATE subscribers SET
  name = coalesce($2::jsonb ->> 'name', name),
  kind = coalesce($2::jsonb ->> 'kind', kind),
  region = CASE WHEN $2::jsonb ? 'region' THEN $2::jsonb ->> 'region' ELSE region END,
  language = coalesce($2::jsonb ->> 'language', language),
  contact = CASE WHEN $2::jsonb ? 'contact' THEN $2::jsonb ->> 'contact' ELSE contact END,
  timezone = coalesce($2::jsonb ->> 'timezone', timezone),
  digest_hour = coalesce(($2::jsonb ->> 'digest_hour')::smallint, digest_hour),
  digest_weekday = coalesce(($2::jsonb ->> 'digest_weekday')::smallint, digest_weekday),
  reminder_days = CASE WHEN $2::jsonb ? 'reminder_days'
    THEN ARRAY(SELECT jsonb_array_elements_text($2::jsonb -> 'reminder_days')::smallint) ELSE reminder_days END,
  remind_at = least(remind_at, clock_timestamp())
WHERE slug = $1 AND ended_at IS NULL
RETURNING id

-- name: gather_anew
-- What waits for a digest waits for the next one by the subscriber's clock as it is now.
-- $1 id
UPDATE deliveries d SET gather_until = anew.digest_at, reason = CASE WHEN anew.digest_at IS NOT NULL THEN d.reason END
FROM (
  SELECT o.id, in_time(
      digest_due(s.cadence, r.digest_hour, r.digest_weekday, r.timezone, now()), o.expires_at) AS digest_at
  FROM subscribers r
  JOIN subscriptions s ON s.subscriber_id = r.id AND s.cadence <> 'immediate'
  JOIN deliveries o ON o.subscription_id = s.id
  WHERE r.id = $1 AND o.state = 'pending' AND o.gather_until > now() AND o.mailing_id IS NULL
) anew
WHERE d.id = anew.id

-- name: lock_to_end
-- The strongest lock: it waits for planners that owe something to this subscriber, and has new ones wait.
-- $1 slug
SELECT id FROM subscribers WHERE slug = $1 AND ended_at IS NULL FOR UPDATE

-- name: end
-- $1 id
UPDATE subscribers SET ended_at = clock_timestamp() WHERE id = $1

-- name: import_turn
-- One import at a time; the lock goes with the transaction.
SELECT pg_advisory_xact_lock(hashtext('omroeper.import'))
