-- name: mail
-- The mail that something came back about, and since when its subscription's mails are counted: its address
-- may have been changed, or released, since. Being sent counts as sent; its outcome is on its way.
-- $1 delivery id
SELECT d.id, d.subscription_id, d.subscriber_id,
  CASE d.state WHEN 'sent' THEN d.settled_at WHEN 'sending' THEN clock_timestamp()
    ELSE (SELECT max(a.started_at) FROM attempts a
          WHERE a.delivery_id = d.id AND a.outcome IN ('sent', 'temporary', 'unknown', 'interrupted')) END AS sent_at
FROM deliveries d
WHERE d.id = $1 AND d.channel = 'email' AND d.state NOT IN ('pending', 'failed')

-- name: refused_mail
-- A mail that was refused for good.
-- $1 delivery id
SELECT id, subscription_id, subscriber_id FROM deliveries WHERE id = $1 AND channel = 'email' AND state = 'failed'

-- name: note
-- Keep what came back, once; null when it was kept before.
-- $1 delivery id, $2 kind, $3 at, $4 status, $5 detail
INSERT INTO receipts (delivery_id, kind, at, status, detail) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (delivery_id, kind) DO NOTHING
RETURNING id

-- name: note_of_carried
-- What came back about a mailing came back about everything that went with it.
-- $1 carrier's id, $2 kind, $3 at, $4 status, $5 detail
INSERT INTO receipts (delivery_id, kind, at, status, detail)
SELECT d.id, $2, $3, $4, $5
FROM deliveries c JOIN deliveries d ON d.mailing_id = c.carries
WHERE c.id = $1 AND d.attempts >= 1 AND d.state NOT IN ('cancelled', 'suppressed', 'expired')
ON CONFLICT (delivery_id, kind) DO NOTHING

-- name: concerned
-- Whose mail it was: its subscription's, and of those whose deliveries went with it.
-- $1 delivery id
SELECT subscription_id FROM deliveries WHERE id = $1
UNION
SELECT d.subscription_id FROM deliveries c JOIN deliveries d ON d.mailing_id = c.carries
WHERE c.id = $1 AND d.attempts >= 1
ORDER BY subscription_id

-- name: history
-- A subscription's newest mails since its address was changed or released, with what came back about each.
-- A digest is one mail, whatever went with it.
-- $1 subscription id, $2 its subscriber's id
SELECT max(sent_at) AS sent_at, kind, max(at) AS at FROM (
SELECT coalesce(d.mailing_id, d.carries, d.id) AS mail, coalesce(d.settled_at, r.at) AS sent_at, r.kind, r.at
FROM deliveries d
LEFT JOIN receipts r ON r.delivery_id = d.id AND r.kind IN ('hard', 'soft', 'complaint')
WHERE d.subscriber_id = $2 AND d.subscription_id = $1 AND (d.state = 'sent' OR r.id IS NOT NULL)
  AND coalesce(d.settled_at, r.at) > greatest(
    (SELECT target_since FROM subscriptions WHERE id = $1),
    (SELECT max(released_at) FROM suppressions WHERE subscription_id = $1),
    '-infinity')
ORDER BY d.id DESC LIMIT 1000
) came_back
GROUP BY mail, kind

-- name: suppress
-- Put a subscription on the list; one that would have ended may be made to stay, never the other way.
-- $1 subscription id, $2 reason, $3 what it was, $4 until (null: until released)
INSERT INTO suppressions (subscription_id, reason, was, until)
VALUES ($1, $2, $3::text::subscription_status, $4)
ON CONFLICT (subscription_id) WHERE released_at IS NULL DO UPDATE SET reason = excluded.reason, until = NULL
WHERE suppressions.until IS NOT NULL AND excluded.until IS NULL

-- name: listed
-- Newest first; what was released only where it is asked for.
-- $1 before id (null: from the newest), $2 the released ones too, $3 limit
SELECT p.id, p.subscription_id AS subscription, r.slug AS subscriber, p.reason, p.since, p.until, p.released_at,
  p.released_by
FROM suppressions p
JOIN subscriptions s ON s.id = p.subscription_id
JOIN subscribers r ON r.id = s.subscriber_id
WHERE ($1::uuid IS NULL OR p.id < $1) AND ($2 OR p.released_at IS NULL)
ORDER BY p.id DESC LIMIT $3

-- name: release
-- Take a subscription off the list; gives what it was put there for, and what it was.
-- $1 subscription id, $2 by whom, $3 only when its time is over
UPDATE suppressions SET released_at = clock_timestamp(), released_by = $2
WHERE subscription_id = $1 AND released_at IS NULL AND (NOT $3 OR until <= clock_timestamp())
RETURNING id, reason, since, was::text

-- name: over
-- Whose time is over.
-- $1 how many at most
SELECT subscription_id FROM suppressions WHERE released_at IS NULL AND until <= now() ORDER BY until LIMIT $1

-- name: missed
-- What a subscription missed and may still be sent: held back for this reason, or bounced not long before.
-- $1 subscription id, $2 reason, $3 suppressed since, $4 how many at most
SELECT d.id FROM deliveries d JOIN events e ON e.id = d.event_id
WHERE d.subscription_id = $1
  AND d.subscriber_id = (SELECT subscriber_id FROM subscriptions WHERE id = $1)
  AND ((d.state = 'suppressed' AND d.reason = $2 AND d.settled_at >= $3)
    OR (d.state = 'sent' AND EXISTS (
          SELECT FROM receipts r WHERE r.delivery_id = d.id AND r.kind IN ('hard', 'soft') AND r.at >= $3 - interval '30 days')))
  AND (d.expires_at IS NULL OR d.expires_at > now())
  AND NOT (e.type IN ('opportunity.published', 'opportunity.updated') AND EXISTS (
        SELECT FROM events w WHERE w.subject = e.subject AND w.type = 'opportunity.withdrawn'
          AND w.version >= e.version))
  AND NOT EXISTS (
        SELECT FROM events n JOIN deliveries o ON o.event_id = n.id
        WHERE n.subject = e.subject AND precedes(e, n) AND o.subscription_id = d.subscription_id
          AND o.state NOT IN ('failed', 'suppressed', 'expired', 'cancelled'))
  AND NOT EXISTS (SELECT FROM deliveries newer WHERE newer.event_id = d.event_id
                    AND newer.subscription_id = d.subscription_id AND newer.replay > d.replay)
ORDER BY d.id LIMIT $4
