-- What came back after a mail was sent, and whom it makes us leave alone.

-- Append-only, beside a delivery whose state stays `sent`: accepted is not the same as arrived.
CREATE TABLE receipts (
  id          uuid PRIMARY KEY DEFAULT uuid7(),
  delivery_id uuid NOT NULL REFERENCES deliveries,
  kind        text NOT NULL CHECK (kind IN ('hard', 'soft', 'complaint', 'delayed', 'other', 'passed_on')),
  at          timestamptz NOT NULL DEFAULT clock_timestamp(),
  status      text CHECK (status ~ '^[245]\.\d{1,3}\.\d{1,3}$'),   -- RFC 3463
  detail      text CHECK (length(detail) BETWEEN 1 AND 500)        -- a line, without addresses
);
CREATE INDEX receipts_by_delivery ON receipts (delivery_id);
-- A message that comes back twice tells nothing new; an opportunity may be passed on to several.
CREATE UNIQUE INDEX receipts_once ON receipts (delivery_id, kind) WHERE kind <> 'passed_on';

CREATE TABLE suppressions (
  id              uuid PRIMARY KEY DEFAULT uuid7(),
  subscription_id uuid NOT NULL REFERENCES subscriptions,
  reason          text NOT NULL CHECK (reason IN ('bounced', 'complained')),
  was             subscription_status NOT NULL CHECK (was IN ('active', 'paused')),
  since           timestamptz NOT NULL DEFAULT clock_timestamp(),
  until           timestamptz,               -- null: until somebody releases it
  released_at     timestamptz,
  released_by     text,
  CONSTRAINT released_says_by_whom CHECK ((released_at IS NULL) = (released_by IS NULL))
);
CREATE UNIQUE INDEX suppressions_in_force ON suppressions (subscription_id) WHERE released_at IS NULL;
CREATE INDEX suppressions_ending ON suppressions (until) WHERE released_at IS NULL;
CREATE INDEX suppressions_by_subscription ON suppressions (subscription_id);

-- However a subscription gets out of being disabled, its suppression is over.
CREATE FUNCTION end_suppression() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE suppressions SET released_at = clock_timestamp(), released_by = 'now ' || NEW.status
  WHERE subscription_id = NEW.id AND released_at IS NULL;
  RETURN NULL;
END $$;
CREATE TRIGGER no_suppression_without_disabled AFTER UPDATE OF status ON subscriptions
  FOR EACH ROW WHEN (OLD.status = 'disabled' AND NEW.status <> 'disabled')
  EXECUTE FUNCTION end_suppression();

-- What comes back about an address says nothing of the one that took its place.
ALTER TABLE subscriptions ADD COLUMN target_since timestamptz;
CREATE FUNCTION note_new_target() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.target_since := clock_timestamp();
  RETURN NEW;
END $$;
CREATE TRIGGER new_target_has_a_time BEFORE UPDATE OF target ON subscriptions
  FOR EACH ROW WHEN (OLD.target <> NEW.target) EXECUTE FUNCTION note_new_target();
