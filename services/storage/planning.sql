-- name: plan
-- Owe an event to every subscription whose filter it meets, and keep the reason why.
-- A changed opportunity goes also to those who were told an earlier version; withdrawn, closed and awarded
-- only to those who were told of it. Types that a filter names are heard always.
-- $1 event id, $2 types that are pushed unless a filter names types itself, $3 the time (null: now)
WITH e AS (
  SELECT *, type IN ('opportunity.published', 'opportunity.updated') AS whole,
    EXISTS (SELECT FROM events w WHERE w.subject = events.subject AND withdraws(w, events)) AS withdrawn,
    coalesce($3::timestamptz, clock_timestamp()) AS at
  FROM events WHERE id = $1
),
told AS (
  SELECT DISTINCT d.subscription_id
  FROM events e JOIN events t ON t.subject = e.subject AND t.id <> e.id JOIN deliveries d ON d.event_id = t.id
  WHERE e.id = $1 AND d.state IN ('sent', 'sending', 'unknown')
    AND (precedes(t, e) OR e.type NOT IN ('opportunity.published', 'opportunity.updated'))
),
ahead AS (
  -- versions may come in another order than they were made
  SELECT DISTINCT d.subscription_id
  FROM events e JOIN events newer ON newer.subject = e.subject JOIN deliveries d ON d.event_id = newer.id
  WHERE e.id = $1 AND precedes(e, newer) AND d.state NOT IN ('failed', 'suppressed', 'cancelled')
),
matched AS (
  SELECT s.id, s.subscriber_id, s.channel, s.destination, s.status, s.status_reason,
    row_number() OVER (ORDER BY s.id) AS place,
    ahead.subscription_id IS NOT NULL AS superseded,
    -- most are told at once and at any hour, and need no reckoning; nor does a withdrawal wait for a digest,
    -- while start-ups write a proposal
    CASE WHEN s.cadence <> 'immediate' AND e.type <> 'opportunity.withdrawn' THEN in_time(
      digest_due(s.cadence, r.digest_hour, r.digest_weekday, r.timezone, e.at), e.deadline) END AS digest_at,
    CASE WHEN s.quiet_from IS NOT NULL THEN in_time(
      quiet_end(s.quiet_from, s.quiet_until, r.timezone, e.at), e.deadline) END AS quiet_until,
    CASE WHEN e.whole AND NOT f.fits THEN jsonb_build_object('told_before', true)
    ELSE jsonb_strip_nulls(jsonb_build_object(
      'types', CASE WHEN s.f_types <> '{}' THEN jsonb_build_array(e.type) END,
      'regions', CASE WHEN s.f_regions <> '{}' THEN
        (SELECT jsonb_agg(f) FROM unnest(s.f_regions) f WHERE f = ANY (e.m_regions)) END,
      'cpv', CASE WHEN s.f_cpv <> '{}' THEN
        (SELECT jsonb_agg(f) FROM unnest(s.f_cpv) f WHERE f = ANY (e.m_cpv)) END,
      'themes', CASE WHEN s.f_themes <> '{}' THEN
        (SELECT jsonb_agg(f) FROM unnest(s.f_themes) f WHERE f = ANY (e.m_themes)) END,
      'audience', CASE WHEN s.f_audience <> '{}' THEN
        (SELECT jsonb_agg(f) FROM unnest(s.f_audience) f WHERE f = ANY (e.m_audience)) END,
      'procedures', CASE WHEN e.m_procedure = ANY (s.f_procedures) THEN jsonb_build_array(e.m_procedure) END,
      'value', CASE WHEN e.whole AND s.f_currency IS NOT NULL THEN jsonb_build_object(
        'min', s.f_min_value, 'max', s.f_max_value, 'currency', s.f_currency) END,
      'text', CASE WHEN e.whole THEN nullif(array_to_string(s.f_words, ' '), '') END
    )) END AS match
  FROM subscriptions s CROSS JOIN e
  JOIN subscribers r ON r.id = s.subscriber_id
  LEFT JOIN told ON told.subscription_id = s.id
  LEFT JOIN ahead ON ahead.subscription_id = s.id
  CROSS JOIN LATERAL (SELECT coalesce(e.whole AND meets(
      s.f_regions, s.f_cpv, s.f_themes, s.f_audience, s.f_procedures, s.f_min_value, s.f_max_value, s.f_currency,
      s.f_words, e.m_regions, e.m_cpv, e.m_themes, e.m_audience, e.m_procedure, e.m_value, e.m_currency, e.m_text),
    false) AS fits) f
  WHERE s.status NOT IN ('pending', 'ended')
    AND CASE WHEN s.f_types = '{}' THEN e.type = ANY ($2::text[]) ELSE e.type = ANY (s.f_types) END
    AND (f.fits OR told.subscription_id IS NOT NULL)
),
judged AS (
  SELECT matched.*, e.id AS event_id, e.deadline,
    CASE WHEN matched.status IN ('paused', 'disabled') THEN 'suppressed'
         WHEN e.whole AND e.withdrawn OR superseded THEN 'cancelled'
         WHEN e.deadline <= e.at THEN 'expired'
         WHEN digest_at IS NULL AND quiet_until IS NOT NULL THEN 'retrying'
         ELSE 'pending' END::delivery_state AS state,
    CASE WHEN matched.status = 'paused' THEN 'paused'
         WHEN matched.status = 'disabled' THEN matched.status_reason
         WHEN e.whole AND e.withdrawn THEN 'withdrawn'
         WHEN superseded THEN 'superseded'
         WHEN e.deadline <= e.at THEN 'deadline'
         WHEN digest_at IS NOT NULL THEN 'digest'
         WHEN quiet_until IS NOT NULL THEN 'quiet_hours' END AS reason
  FROM matched CROSS JOIN e
)
INSERT INTO deliveries (event_id, subscription_id, subscriber_id, channel, destination, match,
                        state, reason, turn, expires_at, settled_at, gather_until, next_attempt_at)
SELECT event_id, id, subscriber_id, channel, destination, match, state, reason,
  -- Fair queueing: a fan-out takes a turn per millisecond, so that a small event which comes later
  -- is not behind the whole of a large one.
  clock_timestamp() + place * interval '1 millisecond',
  deadline, CASE WHEN state NOT IN ('pending', 'retrying') THEN clock_timestamp() END,
  CASE WHEN state = 'pending' THEN digest_at END, CASE WHEN state = 'retrying' THEN quiet_until END
FROM judged
ON CONFLICT (event_id, subscription_id, replay) DO NOTHING

-- name: stop_late
-- A subscription may have ended, been paused or disabled while its delivery was planned. From now on it
-- cannot until this is committed: the new rows hold it by their foreign key.
-- $1 event id
UPDATE deliveries d SET
  state = CASE WHEN s.status = 'ended' THEN 'cancelled' ELSE 'suppressed' END::delivery_state,
  reason = CASE s.status WHEN 'ended' THEN s.ended_reason WHEN 'paused' THEN 'paused' ELSE s.status_reason END,
  next_attempt_at = NULL, settled_at = clock_timestamp()
FROM subscriptions s
WHERE d.event_id = $1 AND d.state IN ('pending', 'retrying') AND s.id = d.subscription_id AND s.status <> 'active'

-- name: lock_unplanned
-- Take the events that are still to be planned, so that two planners do not both do it.
-- $1 event ids
SELECT id, type FROM events
WHERE id = ANY ($1::uuid[]) AND planned_at IS NULL ORDER BY id FOR UPDATE

-- name: mark_planned
-- $1 event ids
UPDATE events SET planned_at = clock_timestamp(), relay_after = NULL WHERE id = ANY ($1::uuid[])

-- name: cancel_withdrawn
-- Stop what is owed of a withdrawn opportunity, of the versions that were withdrawn.
-- $1 id of the withdrawal
UPDATE deliveries d SET
  state = CASE WHEN d.state = 'sending' THEN d.state ELSE 'cancelled' END,
  reason = CASE WHEN d.state = 'sending' THEN d.reason ELSE 'withdrawn' END,
  cancel_reason = CASE WHEN d.state = 'sending' THEN 'withdrawn' END,
  next_attempt_at = NULL,
  settled_at = CASE WHEN d.state <> 'sending' THEN clock_timestamp() END
FROM events e, events w
WHERE e.id = d.event_id AND w.id = $1 AND e.subject = w.subject AND withdraws(w, e)
  AND d.state IN ('pending', 'retrying', 'sending')

-- name: supersede
-- A newer version takes the place of the older ones that are still owed to the same subscriptions.
-- $1 event id
UPDATE deliveries d SET
  state = CASE WHEN d.state = 'sending' THEN d.state ELSE 'cancelled' END,
  reason = CASE WHEN d.state = 'sending' THEN d.reason ELSE 'superseded' END,
  cancel_reason = CASE WHEN d.state = 'sending' THEN 'superseded' END,
  next_attempt_at = NULL,
  settled_at = CASE WHEN d.state <> 'sending' THEN clock_timestamp() END
FROM events e, events older, deliveries newer
WHERE e.id = $1 AND older.subject = e.subject AND precedes(older, e) AND d.event_id = older.id
  AND d.state IN ('pending', 'retrying', 'sending')
  AND newer.event_id = e.id AND newer.subscription_id = d.subscription_id
  AND newer.state IN ('pending', 'retrying', 'expired')

-- name: wake_senders
-- Tell the dispatchers that something is owed.
SELECT pg_notify('deliveries_owed', '')
