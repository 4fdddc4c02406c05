-- name: turn
-- One asks at a time, so that a limit is a limit; the lock goes with the transaction.
SELECT pg_advisory_xact_lock(hashtext('omroeper.sign_in'))

-- name: count_in
-- Count an attempt, unless one of its limits is reached; true when it counts.
-- $1 who, $2 how many of each may ask within an hour
WITH this AS (
  SELECT date_trunc('hour', clock_timestamp()) AS hour
),
reached AS (
  SELECT FROM unnest($1::text[], $2::int[]) AS l (who, most)
  JOIN sign_in_counts c ON c.who = l.who AND c.hour = (SELECT hour FROM this)
  WHERE c.count >= l.most
),
counted AS (
  INSERT INTO sign_in_counts AS c (who, hour, count)
  SELECT l.who, this.hour, 1 FROM unnest($1::text[]) AS l (who) CROSS JOIN this
  WHERE NOT EXISTS (SELECT FROM reached)
  ON CONFLICT (who, hour) DO UPDATE SET count = c.count + 1
  RETURNING who
)
SELECT EXISTS (SELECT FROM counted)

-- name: forget
-- What is over is not kept: counts of past hours, links and sessions that have expired.
WITH counts AS (
  DELETE FROM sign_in_counts WHERE hour < date_trunc('hour', clock_timestamp())
),
links AS (
  DELETE FROM sign_in_links WHERE expires_at <= clock_timestamp()
)
DELETE FROM sessions WHERE expires_at <= clock_timestamp()

-- name: add_link
-- $1 hash of its token, $2 address in lower case, $3 valid for so many seconds
INSERT INTO sign_in_links (hash, email, expires_at)
VALUES ($1, $2, clock_timestamp() + make_interval(secs => $3))

-- name: link
-- Whose link it is; nothing changes.
-- $1 hash of its token
SELECT email FROM sign_in_links WHERE hash = $1 AND expires_at > clock_timestamp()

-- name: take_link
-- Use a link up.
-- $1 hash of its token
DELETE FROM sign_in_links WHERE hash = $1 AND expires_at > clock_timestamp() RETURNING email

-- name: add
-- A session, and for whom, when there is but one to choose.
-- $1 hash of its token, $2 address in lower case, $3 idle seconds after which it ends
INSERT INTO sessions (hash, email, subscriber_id, expires_at)
SELECT $1, $2, CASE WHEN count(*) = 1 THEN (array_agg(r.id))[1] END,
  clock_timestamp() + make_interval(secs => $3)
FROM subscribers r
WHERE r.ended_at IS NULL
  AND (lower(r.contact) = $2 OR EXISTS (SELECT FROM people p WHERE p.subscriber_id = r.id AND p.email = $2))

-- name: find
-- A session, and its subscriber while this address may sign in for it.
-- $1 hash of its token
SELECT s.email, s.expires_at, r.id AS subscriber_id, r.slug, r.name, r.language, r.timezone, r.digest_hour,
  r.digest_weekday, r.reminder_days, r.contact,
  coalesce((SELECT p.language FROM people p WHERE p.subscriber_id = r.id AND p.email = s.email), r.language)
    AS spoken
FROM sessions s
LEFT JOIN subscribers r ON r.id = s.subscriber_id AND r.ended_at IS NULL
  AND (lower(r.contact) = s.email
    OR EXISTS (SELECT FROM people p WHERE p.subscriber_id = r.id AND p.email = s.email))
WHERE s.hash = $1 AND s.expires_at > clock_timestamp()

-- name: extend
-- A session in use lasts; it is written once an hour at most, and ends for good after a while.
-- $1 hash of its token, $2 idle seconds after which it ends, $3 seconds after which it ends anyhow
UPDATE sessions
SET expires_at = least(clock_timestamp() + make_interval(secs => $2), created_at + make_interval(secs => $3))
WHERE hash = $1 AND expires_at < least(
  clock_timestamp() + make_interval(secs => $2 - 3600), created_at + make_interval(secs => $3))

-- name: choose
-- Go on for this subscriber, where the address may sign in for it.
-- $1 hash of its token, $2 subscriber id
UPDATE sessions s SET subscriber_id = r.id
FROM subscribers r
WHERE s.hash = $1 AND r.id = $2 AND r.ended_at IS NULL
  AND (lower(r.contact) = s.email
    OR EXISTS (SELECT FROM people p WHERE p.subscriber_id = r.id AND p.email = s.email))
RETURNING r.id

-- name: end
-- $1 hash of its token
DELETE FROM sessions WHERE hash = $1

-- name: end_all
-- $1 address in lower case
DELETE FROM sessions WHERE email = $1

-- name: speak
-- Keep the language in which somebody reads.
-- $1 subscriber id, $2 address in lower case, $3 language
UPDATE people SET language = $3 WHERE subscriber_id = $1 AND email = $2
