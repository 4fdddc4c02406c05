-- When it is told: quiet hours, digests, reminders; and only the newest version.

-- Planning must never meet a time zone that this server does not know; so nobody can have one.
ALTER TABLE subscribers
  ADD CONSTRAINT timezone_known CHECK (timestamptz '2027-01-01 00:00Z' AT TIME ZONE timezone IS NOT NULL),
  ADD COLUMN remind_at timestamptz NOT NULL DEFAULT clock_timestamp();  -- when to look for reminders next
CREATE INDEX subscribers_to_remind ON subscribers (remind_at) WHERE ended_at IS NULL;

-- A clock shows some times twice and some never, when daylight saving begins or ends. `AT TIME ZONE` takes the
-- later reading of both: the second one, or as much later as the clock jumped. So do we.

-- The end of the quiet hours that run at an instant; null when none do.
CREATE FUNCTION quiet_end(starts time, ends time, zone text, at timestamptz) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE
    WHEN (at AT TIME ZONE zone)::time < ends AND (starts > ends OR (at AT TIME ZONE zone)::time >= starts)
      THEN ((at AT TIME ZONE zone)::date + ends) AT TIME ZONE zone
    WHEN starts > ends AND (at AT TIME ZONE zone)::time >= starts
      THEN ((at AT TIME ZONE zone)::date + 1 + ends) AT TIME ZONE zone
  END
$$;

-- The first instant after another at which a digest is due; null for who is told at once.
CREATE FUNCTION digest_due(cadence text, hour smallint, weekday smallint, zone text, after timestamptz)
RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN cadence <> 'immediate' THEN (
    SELECT min(moment) FROM (
      SELECT day, (day + make_time(hour, 0, 0)) AT TIME ZONE zone AS moment
      FROM (SELECT (after AT TIME ZONE zone)::date + n AS day FROM generate_series(-1, 9) n) days
    ) moments
    WHERE moment > after AND (cadence = 'daily' OR extract(isodow FROM day) = weekday)
  ) END
$$;

-- An instant, if it is not too late for somebody who has to know before the deadline.
CREATE FUNCTION in_time(at timestamptz, deadline timestamptz) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN deadline IS NULL OR at < deadline THEN at END
$$;

-- Whether one is an earlier version of the other; of two with the same number the later one is newer.
CREATE FUNCTION precedes(o events, e events) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT o.subject = e.subject AND (o.version, o.accepted_at) < (e.version, e.accepted_at)
    AND o.type IN ('opportunity.published', 'opportunity.updated')
    AND e.type IN ('opportunity.published', 'opportunity.updated')
$$;

-- Whether this is how an opportunity stands: its newest version, not withdrawn, closed or awarded since.
CREATE FUNCTION stands(e events) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT e.type IN ('opportunity.published', 'opportunity.updated') AND NOT EXISTS (
    SELECT FROM events x WHERE x.subject = e.subject AND x.planned_at IS NOT NULL
      AND (precedes(e, x) OR withdraws(x, e)
        OR x.type IN ('opportunity.closed', 'opportunity.awarded') AND x.accepted_at > e.accepted_at))
$$;
CREATE INDEX events_by_deadline ON events (deadline) WHERE type IN ('opportunity.published', 'opportunity.updated');

-- What shares a mail: an address, whatever its case; kept as a hash, so that there is nothing to erase.
CREATE FUNCTION mailbox(target text) RETURNS bytea LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT sha256(convert_to(lower(target), 'UTF8'))
$$;

-- One mail about several opportunities: one per subscriber, address, kind and day, however often we look.
CREATE TABLE mailings (
  id            uuid PRIMARY KEY DEFAULT uuid7(),
  subscriber_id uuid NOT NULL REFERENCES subscribers,
  address       bytea NOT NULL,
  kind          text NOT NULL CHECK (kind IN ('digest_daily', 'digest_weekly', 'reminder')),
  period        date NOT NULL,                 -- the day it was due, by the subscriber's calendar
  created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  UNIQUE (subscriber_id, address, kind, period)
);

-- What a mailing reminds of; never twice of one deadline as many days before.
CREATE TABLE reminders (
  mailing_id    uuid NOT NULL REFERENCES mailings,
  subscriber_id uuid NOT NULL REFERENCES subscribers,
  address       bytea NOT NULL,
  event_id      uuid NOT NULL REFERENCES events,
  subject       text NOT NULL,
  deadline      timestamptz NOT NULL,
  days          smallint NOT NULL CHECK (days >= 1),
  PRIMARY KEY (subscriber_id, address, subject, deadline, days)
);
CREATE INDEX reminders_by_mailing ON reminders (mailing_id);

-- A delivery is about an event, or it carries a mailing. One about an event may be gathered: then it waits for
-- a mailing, goes with it, and becomes what its carrier becomes.
ALTER TABLE deliveries
  ALTER COLUMN event_id DROP NOT NULL,
  ADD COLUMN carries      uuid REFERENCES mailings,
  ADD COLUMN gather_until timestamptz,         -- when the digest is due that it waits for
  ADD COLUMN mailing_id   uuid REFERENCES mailings,
  ADD CONSTRAINT event_or_mailing CHECK (num_nonnulls(event_id, carries) = 1),
  ADD CONSTRAINT mailed_was_gathered CHECK (mailing_id IS NULL OR gather_until IS NOT NULL),
  ADD CONSTRAINT gathered_does_not_retry CHECK (gather_until IS NULL OR state <> 'retrying'),
  ADD CONSTRAINT carriers_are_not_carried CHECK (carries IS NULL OR gather_until IS NULL);
DROP INDEX deliveries_first;
CREATE INDEX deliveries_first ON deliveries (channel, turn) WHERE state = 'pending' AND gather_until IS NULL;
CREATE INDEX deliveries_gathered ON deliveries (gather_until)
  WHERE state = 'pending' AND gather_until IS NOT NULL AND mailing_id IS NULL;
CREATE INDEX deliveries_mailed ON deliveries (mailing_id) WHERE mailing_id IS NOT NULL;
CREATE INDEX deliveries_carriers ON deliveries (carries) WHERE carries IS NOT NULL;
-- One at a time carries a mailing; one that was called off may be replaced.
CREATE UNIQUE INDEX deliveries_one_carrier ON deliveries (carries)
  WHERE carries IS NOT NULL AND state NOT IN ('cancelled', 'suppressed');

-- What is carried becomes what its carrier becomes, in the same transaction, whoever changes the carrier.
CREATE FUNCTION carry_along() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.state IN ('sent', 'failed') THEN
    UPDATE deliveries SET state = NEW.state, reason = NEW.reason, attempts = NEW.attempts, lease_until = NULL,
      settled_at = NEW.settled_at
    WHERE mailing_id = NEW.carries AND state = 'sending';
    RETURN NULL;
  END IF;
  UPDATE deliveries SET
    state = CASE WHEN cancel_reason IS NULL THEN 'pending' ELSE 'cancelled' END::delivery_state,
    reason = coalesce(cancel_reason, 'digest'), attempts = NEW.attempts, lease_until = NULL,
    settled_at = CASE WHEN cancel_reason IS NOT NULL THEN clock_timestamp() END
  WHERE mailing_id = NEW.carries AND state = 'sending';
  IF NEW.state IN ('cancelled', 'suppressed') THEN
    UPDATE deliveries SET mailing_id = NULL WHERE mailing_id = NEW.carries AND state = 'pending';
    DELETE FROM reminders WHERE mailing_id = NEW.carries;
    IF FOUND THEN  -- another subscription of the address may have to carry them
      UPDATE subscribers SET remind_at = clock_timestamp() WHERE id = NEW.subscriber_id;
    END IF;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER carriers_take_along AFTER UPDATE OF state ON deliveries FOR EACH ROW
  WHEN (NEW.carries IS NOT NULL AND NEW.state <> OLD.state AND NEW.state NOT IN ('sending', 'unknown'))
  EXECUTE FUNCTION carry_along();

-- As before, but carriers are nobody's news: what they carry is.
CREATE OR REPLACE FUNCTION tell_of_deliveries() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO status_outbox
    (delivery_id, event_id, subscription_id, state, attempts, reason, next_attempt_at, at)
  SELECT id, event_id, subscription_id, state, attempts, reason, next_attempt_at, clock_timestamp()
  FROM changed WHERE state NOT IN ('pending', 'sending') AND event_id IS NOT NULL;
  RETURN NULL;
END $$;
