-- name: claim
-- Borrow what is due on a channel: first attempts in their fair turn, then retries.
-- An open circuit breaker puts its deliveries off; a half-open one lets one through as a probe.
-- $1 channel, $2 how many at most, $3 how many of these may be retries, $4 lease in seconds,
-- $5 destinations in flight, $6 how many more each may take, $7 how many any other may take,
-- $8 subscriptions in flight, $9 how many more each may take, $10 how many any other may take
WITH busy AS (
  SELECT * FROM unnest($5::text[], $6::int[]) AS b (destination, room)
),
busy_each AS (
  SELECT * FROM unnest($8::uuid[], $9::int[]) AS b (subscription_id, room)
),
retries AS (
  SELECT id, subscription_id, destination, next_attempt_at AS turn FROM deliveries
  WHERE channel = $1 AND state = 'retrying' AND next_attempt_at <= now()
    AND (expires_at IS NULL OR expires_at > now())
    AND destination <> ALL (ARRAY(SELECT destination FROM busy WHERE room <= 0))
    AND subscription_id <> ALL (ARRAY(SELECT subscription_id FROM busy_each WHERE room <= 0))
  ORDER BY next_attempt_at LIMIT $3 FOR UPDATE SKIP LOCKED
),
first_tries AS (
  SELECT id, subscription_id, destination, turn FROM deliveries
  WHERE channel = $1 AND state = 'pending' AND gather_until IS NULL
    AND (expires_at IS NULL OR expires_at > now())
    AND destination <> ALL (ARRAY(SELECT destination FROM busy WHERE room <= 0))
    AND subscription_id <> ALL (ARRAY(SELECT subscription_id FROM busy_each WHERE room <= 0))
  ORDER BY turn LIMIT $2 FOR UPDATE SKIP LOCKED
),
due AS (
  -- limited here and not above, where a limit that is computed would make the planner expect too much
  SELECT * FROM retries
  UNION ALL (SELECT * FROM first_tries ORDER BY turn LIMIT $2 - (SELECT count(*) FROM retries))
),
counted AS (
  SELECT due.*, row_number() OVER (PARTITION BY due.subscription_id ORDER BY due.turn) AS nth FROM due
),
ranked AS (
  SELECT c.id, c.subscription_id, c.nth, h.open_until,
    row_number() OVER (PARTITION BY c.destination, c.nth <= coalesce(e.room, $10) ORDER BY c.turn)
      <= coalesce(b.room, $7) AND c.nth <= coalesce(e.room, $10) AS fits
  FROM counted c
  LEFT JOIN endpoint_health h ON h.subscription_id = c.subscription_id
  LEFT JOIN busy b ON b.destination = c.destination
  LEFT JOIN busy_each e ON e.subscription_id = c.subscription_id
),
probes AS (
  -- holding the door: until the probe is back, or its lease is over, the breaker stays open
  UPDATE endpoint_health h SET open_until = now() + make_interval(secs => $4)
  WHERE h.open_until <= now()
    AND h.subscription_id IN (SELECT subscription_id FROM ranked WHERE open_until IS NOT NULL AND fits)
  RETURNING h.subscription_id
),
chosen AS (
  SELECT ranked.id, ranked.fits, ranked.open_until IS NOT NULL AS probe,
    ranked.open_until IS NULL OR (ranked.nth = 1 AND p.subscription_id IS NOT NULL) AS go,
    greatest(ranked.open_until, now() + interval '1 second') AS later
  FROM ranked LEFT JOIN probes p ON p.subscription_id = ranked.subscription_id
),
put_off AS (
  UPDATE deliveries d SET state = 'retrying', next_attempt_at = c.later, reason = 'endpoint_paused'
  FROM chosen c WHERE d.id = c.id AND NOT c.go
),
claimed AS (
  UPDATE deliveries d SET state = 'sending', attempts = d.attempts + 1, next_attempt_at = NULL,
    lease_until = now() + make_interval(secs => $4)
  FROM chosen c WHERE d.id = c.id AND c.go AND c.fits
  RETURNING d.id, d.event_id, d.carries, d.subscription_id, d.subscriber_id, d.destination, d.attempts, d.match,
    d.expires_at, c.probe
)
SELECT c.id, c.event_id, c.carries, c.subscription_id, c.subscriber_id, c.destination, c.attempts AS attempt,
  c.match, c.expires_at, c.probe,
  s.target, s.language, s.unsubscribe_seal, r.name AS subscriber,
  ARRAY(SELECT w.sealed FROM webhook_secrets w
        WHERE w.subscription_id = c.subscription_id AND (w.expires_at IS NULL OR w.expires_at > now())
        ORDER BY w.created_at DESC) AS secrets
FROM claimed c
JOIN subscriptions s ON s.id = c.subscription_id
JOIN subscribers r ON r.id = c.subscriber_id

-- name: next_due
-- When the next retry of a channel is due; null when none is.
-- $1 channel
SELECT min(next_attempt_at) FROM deliveries WHERE channel = $1 AND state = 'retrying'

-- name: renew
-- Keep the leases of what is being sent.
-- $1 delivery ids, $2 attempt of each, $3 lease in seconds
UPDATE deliveries d SET lease_until = now() + make_interval(secs => $3)
FROM unnest($1::uuid[], $2::int[]) AS mine (id, attempt)
WHERE d.id = mine.id AND d.attempts = mine.attempt AND d.state = 'sending'

-- name: record
-- Write attempts down and settle their deliveries, where the attempt still holds the lease.
-- Whoever asked meanwhile to stop (withdrawn, unsubscribed) is heard before another try. A next try in quiet hours
-- waits for their end; a digest comes at the hour that was asked for.
-- $1 ids, $2 attempt numbers, $3 states, $4 attempts that count, $5 next attempts, $6 reasons,
-- $7 started at, $8 milliseconds, $9 outcomes, $10 codes, $11 errors, $12 excerpts
WITH o AS (
  SELECT * FROM unnest($1::uuid[], $2::int[], $3::text[], $4::int[], $5::timestamptz[], $6::text[],
    $7::timestamptz[], $8::int[], $9::text[], $10::int[], $11::text[], $12::text[])
    AS o (id, attempt, state, attempts, next_attempt_at, reason, started_at, duration_ms, outcome, code, error,
          excerpt)
),
settled AS (
  UPDATE deliveries d SET
    state = CASE WHEN d.cancel_reason IS NOT NULL AND o.again THEN 'cancelled' ELSE o.state::delivery_state END,
    reason = CASE WHEN d.cancel_reason IS NOT NULL AND o.again THEN d.cancel_reason ELSE o.reason END,
    next_attempt_at = CASE WHEN d.cancel_reason IS NULL AND o.next_attempt_at IS NOT NULL THEN coalesce((
      SELECT in_time(quiet_end(s.quiet_from, s.quiet_until, r.timezone, o.next_attempt_at), d.expires_at)
      FROM subscriptions s JOIN subscribers r ON r.id = s.subscriber_id
      WHERE s.id = d.subscription_id AND s.quiet_from IS NOT NULL AND d.carries IS NULL), o.next_attempt_at) END,
    settled_at = CASE WHEN o.final OR (d.cancel_reason IS NOT NULL AND o.again) THEN clock_timestamp() END,
    attempts = o.attempts,
    lease_until = NULL
  FROM (SELECT *, state IN ('retrying', 'pending') AS again, state IN ('sent', 'failed', 'expired') AS final
        FROM o) o
  WHERE d.id = o.id AND d.state = 'sending' AND d.attempts = o.attempt
  RETURNING d.id, d.next_attempt_at
),
noted AS (
  INSERT INTO attempts (delivery_id, number, started_at, duration_ms, outcome, code, error, excerpt,
                        next_attempt_at, late)
  SELECT o.id, o.attempt, o.started_at, o.duration_ms, o.outcome, o.code, o.error, o.excerpt,
    settled.next_attempt_at, settled.id IS NULL
  FROM o LEFT JOIN settled USING (id)
)
SELECT id FROM settled

-- name: reclaim
-- Take back what was borrowed and never returned: its dispatcher died, or lost the database.
-- It is due at once; one that keeps killing its dispatcher waits longer each time.
-- $1 how many at most
WITH lost AS (
  SELECT id, attempts, lease_until, cancel_reason FROM deliveries
  WHERE state = 'sending' AND lease_until < now()
  ORDER BY lease_until LIMIT $1 FOR UPDATE SKIP LOCKED
),
noted AS (
  INSERT INTO attempts (delivery_id, number, started_at, duration_ms, outcome, error)
  SELECT id, attempts, lease_until, 0, 'interrupted', 'lease_expired' FROM lost
)
UPDATE deliveries d SET
  state = CASE WHEN lost.cancel_reason IS NULL THEN 'retrying' ELSE 'cancelled' END::delivery_state,
  reason = coalesce(lost.cancel_reason, 'lease_expired'),
  next_attempt_at = CASE WHEN lost.cancel_reason IS NULL
    THEN now() + (lost.attempts - 1) * interval '5 seconds' END,
  settled_at = CASE WHEN lost.cancel_reason IS NOT NULL THEN now() END,
  lease_until = NULL
FROM lost WHERE d.id = lost.id
RETURNING d.id

-- name: expire
-- End what is still owed at its opportunity's deadline.
-- $1 how many at most
WITH late AS (
  SELECT id FROM deliveries WHERE state IN ('pending', 'retrying') AND expires_at <= now()
  ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED
)
UPDATE deliveries d SET state = 'expired', reason = 'deadline', next_attempt_at = NULL, settled_at = now()
FROM late WHERE d.id = late.id
RETURNING d.id

-- name: lock_owed
-- Keep what a subscription is owed from being claimed or settled meanwhile; carriers first, as senders do.
-- $1 subscription id
SELECT id FROM deliveries
WHERE subscription_id = $1 AND state IN ('pending', 'retrying', 'sending', 'unknown')
ORDER BY carries IS NULL, id FOR UPDATE

-- name: stop_owed
-- End what a subscription is still owed; what is being sent now may arrive, and is not tried again.
-- $1 subscription id, $2 state, $3 reason
WITH stopped AS (
  UPDATE deliveries SET state = $2::text::delivery_state, reason = $3, next_attempt_at = NULL, settled_at = now()
  WHERE subscription_id = $1 AND state IN ('pending', 'retrying')
  RETURNING id
),
warned AS (
  UPDATE deliveries SET cancel_reason = $3 WHERE subscription_id = $1 AND state = 'sending'
)
SELECT count(*) FROM stopped

-- name: let_go
-- Take what a subscription is owed out of the digests it was to go with. Those that it carries are called off,
-- also for the other subscriptions of the address; one being sent goes on, and is not tried again.
-- $1 subscription id, $2 reason, $3 its reminders, too
WITH called_off AS (
  UPDATE deliveries SET
    state = CASE WHEN state = 'sending' THEN state ELSE 'cancelled' END,
    reason = CASE WHEN state = 'sending' THEN reason ELSE $2 END,
    cancel_reason = CASE WHEN state = 'sending' THEN $2 END,
    next_attempt_at = NULL,
    settled_at = CASE WHEN state <> 'sending' THEN now() END
  WHERE subscription_id = $1 AND state IN ('pending', 'retrying', 'sending')
    AND carries IN (SELECT id FROM mailings WHERE $3 OR kind <> 'reminder')
)
UPDATE deliveries SET mailing_id = NULL WHERE subscription_id = $1 AND state = 'pending' AND mailing_id IS NOT NULL

-- name: put_off_anew
-- Judge again when a subscription is told of what it is owed, after its quiet hours or cadence changed.
-- What waits for the end of the night goes on waiting for that, if there still is one. Withdrawals wait for no digest.
-- $1 subscription id
UPDATE deliveries d SET
  state = CASE WHEN owed.at_once AND owed.quiet_until IS NOT NULL THEN 'retrying' ELSE d.state END,
  reason = CASE WHEN NOT owed.at_once THEN 'digest' WHEN owed.quiet_until IS NOT NULL THEN 'quiet_hours'
    ELSE nullif(d.reason, 'digest') END,
  gather_until = CASE WHEN NOT owed.at_once THEN owed.digest_at END,
  next_attempt_at = CASE WHEN owed.at_once AND owed.quiet_until IS NOT NULL THEN owed.quiet_until
    WHEN d.state = 'retrying' THEN now() END
FROM (
  SELECT waiting.*, waiting.state = 'retrying' OR digest_at IS NULL AS at_once
  FROM (
    SELECT o.id, o.state,
      CASE WHEN e.type <> 'opportunity.withdrawn' THEN in_time(
        digest_due(s.cadence, r.digest_hour, r.digest_weekday, r.timezone, now()), o.expires_at) END AS digest_at,
      in_time(quiet_end(s.quiet_from, s.quiet_until, r.timezone, now()), o.expires_at) AS quiet_until
    FROM deliveries o JOIN events e ON e.id = o.event_id
    JOIN subscriptions s ON s.id = o.subscription_id JOIN subscribers r ON r.id = o.subscriber_id
    WHERE o.subscription_id = $1 AND o.mailing_id IS NULL AND o.replay = 0
      AND (o.state = 'pending' OR o.state = 'retrying' AND o.reason = 'quiet_hours')
  ) waiting
) owed
WHERE d.id = owed.id

-- name: wake
-- Tell the dispatchers that something is owed.
SELECT pg_notify('deliveries_owed', '')

-- name: announcements
-- The events that deliveries are about.
-- $1 event ids
SELECT id, source, ce_id, type, subject, version, coalesce(time, accepted_at) AS occurred_at, data, deadline
FROM events WHERE id = ANY ($1::uuid[])

-- name: earlier
-- Which earlier version of these events these subscriptions were sent last; those that had none are left out.
-- $1 subscription ids, $2 event id of each
SELECT asked.subscription_id, asked.event_id, had.id AS earlier
FROM unnest($1::uuid[], $2::uuid[]) AS asked (subscription_id, event_id)
JOIN events e ON e.id = asked.event_id
CROSS JOIN LATERAL (
  SELECT t.id FROM events t
  JOIN deliveries d ON d.event_id = t.id AND d.subscription_id = asked.subscription_id AND d.state = 'sent'
  WHERE t.subject = e.subject AND precedes(t, e)
  ORDER BY t.version DESC, t.accepted_at DESC LIMIT 1
) had
