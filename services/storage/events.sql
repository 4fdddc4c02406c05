-- name: accept
-- Remember events; one whose source and id are known already is left as it is.
-- $1 events as a JSON array, $2 accepted by, $3 hand over to Kafka
INSERT INTO events (source, ce_id, type, subject, version, time, data, content_hash, traceparent, deadline,
  accepted_at, accepted_by, relay_after,
  m_regions, m_cpv, m_themes, m_audience, m_procedure, m_value, m_currency, m_text)
SELECT source, ce_id, type, subject, version, time, data, decode(content_hash, 'hex'), traceparent, deadline,
  -- in the order in which they were offered, whatever the order in which they are written
  (SELECT clock_timestamp()) + place * interval '1 microsecond',
  $2, CASE WHEN $3 THEN clock_timestamp() END,
  regions, cpv, themes, audience, procedure, value, currency, text
FROM jsonb_to_recordset($1::jsonb) AS e (place integer, source text, ce_id text, type text, subject text,
  version integer, time timestamptz, data jsonb, content_hash text, traceparent text, deadline timestamptz,
  regions text[], cpv text[], themes text[], audience text[], procedure text, value numeric, currency text,
  text text)
ON CONFLICT (source, ce_id) DO NOTHING
RETURNING id

-- name: known
-- What is remembered under these identities.
-- $1 sources, $2 CloudEvents ids
SELECT e.id, e.source, e.ce_id, e.content_hash FROM events e
JOIN unnest($1::text[], $2::text[]) AS asked (source, ce_id) USING (source, ce_id)

-- name: wake_relay
-- Tell the publishers that something is to be handed to Kafka.
SELECT pg_notify('events_accepted', '')

-- name: claim_relay
-- Borrow events that Kafka has to be handed, oldest first.
-- $1 how many at most, $2 lease in seconds
UPDATE events SET relay_after = now() + make_interval(secs => $2)
FROM (
  SELECT id AS due FROM events WHERE relay_after <= now() ORDER BY relay_after, id LIMIT $1
  FOR UPDATE SKIP LOCKED
) AS claimed
WHERE id = due
RETURNING id, source, ce_id, type, subject, version, time, data, traceparent, accepted_at

-- name: handed_over
-- Kafka has them; should they still not be planned by then, they are handed over again, ever more rarely.
-- $1 event ids, $2 seconds
UPDATE events SET relay_after = now() + greatest(make_interval(secs => $2), now() - accepted_at)
WHERE id = ANY ($1::uuid[]) AND planned_at IS NULL

-- name: not_handed_over
-- Kafka did not take them; they are due again soon.
-- $1 event ids, $2 seconds
UPDATE events SET relay_after = now() + make_interval(secs => $2)
WHERE id = ANY ($1::uuid[]) AND planned_at IS NULL

-- name: next_relay
-- When the next event is to be handed over.
SELECT min(relay_after) FROM events WHERE relay_after IS NOT NULL

-- name: relay_now
-- Hand over at once whatever is not planned, for a broker that has forgotten.
UPDATE events SET relay_after = now() WHERE planned_at IS NULL
