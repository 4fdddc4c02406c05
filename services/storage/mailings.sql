-- name: digests_due
-- Whose digest is due; each is left to the dispatcher that has it first.
-- $1 now, $2 how many deliveries to look at
SELECT id FROM subscribers WHERE id IN (
  SELECT subscriber_id FROM deliveries
  WHERE state = 'pending' AND gather_until <= $1 AND mailing_id IS NULL ORDER BY gather_until LIMIT $2)
ORDER BY id FOR NO KEY UPDATE SKIP LOCKED

-- name: hold
-- Keep the subscriptions of these subscribers from ending until this is committed.
-- $1 subscriber ids
SELECT id FROM subscriptions WHERE subscriber_id = ANY ($1::uuid[]) AND status <> 'ended' ORDER BY id FOR SHARE

-- name: make_digests
-- One mailing per address and cadence of all that is due, and its carrier. Those who had their digest of that
-- day already keep waiting.
-- $1 now, $2 subscriber ids
WITH due AS (
  SELECT d.id, d.subscriber_id, d.subscription_id, s.destination, mailbox(s.target) AS address,
    CASE s.cadence WHEN 'weekly' THEN 'digest_weekly' ELSE 'digest_daily' END AS kind,
    (d.gather_until AT TIME ZONE r.timezone)::date AS day
  FROM deliveries d
  JOIN subscriptions s ON s.id = d.subscription_id
  JOIN subscribers r ON r.id = d.subscriber_id
  WHERE d.subscriber_id = ANY ($2::uuid[]) AND d.state = 'pending' AND d.gather_until <= $1 AND d.mailing_id IS NULL
  ORDER BY d.id FOR UPDATE OF d
),
wanted AS (
  SELECT subscriber_id, address, kind, max(day) AS period, min(destination) AS destination,
    (array_agg(subscription_id ORDER BY subscription_id))[1] AS subscription_id
  FROM due GROUP BY subscriber_id, address, kind
),
made AS (
  INSERT INTO mailings (subscriber_id, address, kind, period)
  SELECT subscriber_id, address, kind, period FROM wanted
  -- a mailing whose carrier was called off is taken up again
  ON CONFLICT (subscriber_id, address, kind, period) DO UPDATE SET kind = excluded.kind
  RETURNING id, subscriber_id, address, kind
),
carriers AS (
  INSERT INTO deliveries (carries, subscription_id, subscriber_id, channel, destination, match, turn)
  SELECT made.id, w.subscription_id, w.subscriber_id, 'email', w.destination, '{}',
    clock_timestamp() + row_number() OVER (ORDER BY made.id) * interval '1 millisecond'
  FROM made JOIN wanted w USING (subscriber_id, address, kind)
  ON CONFLICT (carries) WHERE carries IS NOT NULL AND state NOT IN ('cancelled', 'suppressed') DO NOTHING
  RETURNING carries
),
carried AS (
  UPDATE deliveries d SET mailing_id = made.id
  FROM due JOIN made USING (subscriber_id, address, kind) JOIN carriers ON carriers.carries = made.id
  WHERE d.id = due.id
)
SELECT carries FROM carriers

-- name: wait_for_next
-- Who had the digest of that day already is told with the next one, or at once where that is too late.
-- $1 now, $2 subscriber ids
UPDATE deliveries d SET gather_until = anew.digest_at, reason = CASE WHEN anew.digest_at IS NOT NULL THEN d.reason END
FROM (
  SELECT o.id, in_time(digest_due(CASE s.cadence WHEN 'weekly' THEN 'weekly' ELSE 'daily' END,
      r.digest_hour, r.digest_weekday, r.timezone, $1), o.expires_at) AS digest_at
  FROM deliveries o
  JOIN subscriptions s ON s.id = o.subscription_id
  JOIN subscribers r ON r.id = o.subscriber_id
  WHERE o.subscriber_id = ANY ($2::uuid[]) AND o.state = 'pending' AND o.gather_until <= $1 AND o.mailing_id IS NULL
) anew
WHERE d.id = anew.id

-- name: reminders_due
-- Who is to be looked at for reminders; each is left to the dispatcher that has it first.
-- $1 now, $2 how many at most
SELECT id, timezone, digest_hour, reminder_days FROM subscribers
WHERE remind_at <= $1 AND ended_at IS NULL ORDER BY remind_at LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED

-- name: remindable
-- What these subscribers were mailed that still stands and ends soon, by address: since when they know of it, and
-- which reminders they had.
-- $1 now, $2 subscriber ids, $3 days ahead
SELECT told.*, ARRAY(
    SELECT m.days FROM reminders m WHERE m.subscriber_id = told.subscriber_id AND m.address = told.address
      AND m.subject = told.subject AND m.deadline = told.deadline) AS reminded
FROM (
  SELECT d.subscriber_id, mailbox(s.target) AS address, e.id AS event_id, e.subject, e.deadline,
    min(d.settled_at) AS received_at, (array_agg(s.id ORDER BY s.id))[1] AS subscription_id,
    min(s.destination) AS destination
  FROM events e
  JOIN deliveries d ON d.event_id = e.id
  JOIN subscriptions s ON s.id = d.subscription_id
  WHERE e.deadline > $1 AND e.deadline <= $1 + make_interval(days => $3)
    AND e.type IN ('opportunity.published', 'opportunity.updated') AND stands(e)
    AND d.subscriber_id = ANY ($2::uuid[]) AND d.state = 'sent' AND d.channel = 'email' AND s.status = 'active'
    AND s.reminders
  GROUP BY d.subscriber_id, mailbox(s.target), e.id
) told

-- name: make_reminders
-- One mailing per address of what is to be reminded of, and its carrier.
-- $1 subscriber ids, $2 addresses, $3 days, by the subscribers' calendars, $4 subscription ids, $5 destinations,
-- $6 event ids, $7 subjects, $8 deadlines, $9 days before
WITH due AS (
  SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::date[], $4::uuid[], $5::text[], $6::uuid[], $7::text[],
    $8::timestamptz[], $9::smallint[])
    AS due (subscriber_id, address, period, subscription_id, destination, event_id, subject, deadline, days)
),
wanted AS (
  SELECT subscriber_id, address, period, min(destination) AS destination,
    (array_agg(subscription_id ORDER BY subscription_id))[1] AS subscription_id
  FROM due GROUP BY subscriber_id, address, period
),
made AS (
  INSERT INTO mailings (subscriber_id, address, kind, period)
  SELECT subscriber_id, address, 'reminder', period FROM wanted
  ON CONFLICT (subscriber_id, address, kind, period) DO UPDATE SET kind = excluded.kind
  RETURNING id, subscriber_id, address
),
carriers AS (
  INSERT INTO deliveries (carries, subscription_id, subscriber_id, channel, destination, match, turn)
  SELECT made.id, w.subscription_id, w.subscriber_id, 'email', w.destination, '{}',
    clock_timestamp() + row_number() OVER (ORDER BY made.id) * interval '1 millisecond'
  FROM made JOIN wanted w USING (subscriber_id, address)
  ON CONFLICT (carries) WHERE carries IS NOT NULL AND state NOT IN ('cancelled', 'suppressed') DO NOTHING
  RETURNING carries
),
noted AS (
  INSERT INTO reminders (mailing_id, subscriber_id, address, event_id, subject, deadline, days)
  SELECT made.id, due.subscriber_id, due.address, due.event_id, due.subject, due.deadline, due.days
  FROM due JOIN made USING (subscriber_id, address) JOIN carriers ON carriers.carries = made.id
  ON CONFLICT (subscriber_id, address, subject, deadline, days) DO NOTHING
)
SELECT carries FROM carriers

-- name: look_tomorrow
-- $1 now, $2 subscriber ids
UPDATE subscribers SET remind_at = digest_due('daily', digest_hour, digest_weekday, timezone, $1)
WHERE id = ANY ($2::uuid[])

-- name: next_due
-- When the next digest is due, or the next look for reminders.
SELECT least(
  (SELECT min(gather_until) FROM deliveries
   WHERE state = 'pending' AND gather_until IS NOT NULL AND mailing_id IS NULL),
  (SELECT min(remind_at) FROM subscribers WHERE ended_at IS NULL))

-- name: wake_senders
SELECT pg_notify('deliveries_owed', '')

-- name: take_along
-- What mailings that are being sent carry is being sent, from now on: whoever withdraws it knows that it is told.
-- $1 carrier ids, $2 attempt of each
WITH carriers AS (
  SELECT c.id, c.carries, c.attempts FROM deliveries c
  JOIN unnest($1::uuid[], $2::int[]) AS mine (id, attempt) ON c.id = mine.id AND c.attempts = mine.attempt
  WHERE c.state = 'sending' ORDER BY c.id FOR UPDATE OF c
)
UPDATE deliveries d SET state = 'sending', attempts = c.attempts, lease_until = 'infinity', reason = NULL
FROM carriers c
WHERE d.mailing_id = c.carries AND d.state = 'pending' AND (d.expires_at IS NULL OR d.expires_at > now())
RETURNING c.id AS carrier, d.id, d.event_id, d.subscription_id, d.match

-- name: reminded_of
-- What mailings remind of, where it still stands.
-- $1 carrier ids
SELECT c.id AS carrier, e.id AS event_id, c.subscription_id
FROM deliveries c JOIN reminders m ON m.mailing_id = c.carries JOIN events e ON e.id = m.event_id
WHERE c.id = ANY ($1::uuid[]) AND e.deadline > now() AND stands(e)

-- name: heads
-- $1 carrier ids
SELECT c.id AS carrier, m.kind, m.period, r.timezone
FROM deliveries c JOIN mailings m ON m.id = c.carries JOIN subscribers r ON r.id = c.subscriber_id
WHERE c.id = ANY ($1::uuid[])

-- name: newest
-- The newest version of each of these events' opportunities, where there is a newer one.
-- $1 event ids
SELECT e.id, newest.id AS newest
FROM events e CROSS JOIN LATERAL (
  SELECT n.id FROM events n WHERE n.subject = e.subject AND precedes(e, n) AND n.planned_at IS NOT NULL
  ORDER BY n.version DESC, n.accepted_at DESC LIMIT 1
) newest
WHERE e.id = ANY ($1::uuid[])

-- name: call_off
-- A mailing of which nothing is left is not sent.
-- $1 carrier ids, $2 attempt of each
UPDATE deliveries d SET state = 'cancelled', reason = 'nothing_left', lease_until = NULL, settled_at = now()
FROM unnest($1::uuid[], $2::int[]) AS mine (id, attempt)
WHERE d.id = mine.id AND d.attempts = mine.attempt AND d.state = 'sending'
