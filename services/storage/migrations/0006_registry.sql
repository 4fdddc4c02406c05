-- Consent and proof: owners confirm, endpoints prove whose they are, and who leaves can be forgotten.

-- Something tried on the outside because somebody asked for it: asked, then answered, once.
CREATE TABLE probes (
  id              uuid PRIMARY KEY DEFAULT uuid7(),
  subscription_id uuid NOT NULL REFERENCES subscriptions,
  kind            text NOT NULL CHECK (kind IN ('test', 'verify')),
  again           integer NOT NULL DEFAULT 0 CHECK (again >= 0),  -- how often we tried again by ourselves before
  asked_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
  due_at          timestamptz DEFAULT clock_timestamp(),          -- null: answered
  attempts        integer NOT NULL DEFAULT 0,
  done_at         timestamptz,
  ok              boolean,
  code            integer,
  error           text,
  duration_ms     integer CHECK (duration_ms >= 0),
  request         text,
  answer          text CHECK (octet_length(answer) <= 8192),
  CONSTRAINT asked_then_answered CHECK (
    (due_at IS NULL) = (done_at IS NOT NULL) AND (done_at IS NULL) = (ok IS NULL)),
  CONSTRAINT not_ok_says_why CHECK (ok IS NOT FALSE OR error IS NOT NULL)
);
CREATE INDEX probes_due ON probes (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX probes_by_subscription ON probes (subscription_id, id);
CREATE INDEX probes_by_time ON probes (asked_at);
CREATE UNIQUE INDEX probes_one_proof_at_a_time ON probes (subscription_id)
  WHERE kind = 'verify' AND due_at IS NOT NULL;

CREATE FUNCTION refuse_second_answer() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'probe % has its answer', OLD.id USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER probes_are_answered_once BEFORE UPDATE OF ok, due_at ON probes FOR EACH ROW
  WHEN (OLD.done_at IS NOT NULL) EXECUTE FUNCTION refuse_second_answer();

-- When its owner confirmed it, or its endpoint proved whose it is; null: an operator vouches for it.
ALTER TABLE subscriptions ADD COLUMN confirmed_at timestamptz;

-- Links by which the owner of a mailbox says yes or no. Of the mailbox and the link only hashes are kept.
CREATE TABLE confirmations (
  id              uuid PRIMARY KEY DEFAULT uuid7(),
  subscription_id uuid NOT NULL REFERENCES subscriptions,
  subscriber_id   uuid NOT NULL REFERENCES subscribers,
  mailbox_hash    bytea NOT NULL,            -- with a key: whom it was sent to
  token_hash      bytea NOT NULL UNIQUE,     -- SHA-256 of the token
  created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at      timestamptz NOT NULL,
  settled_at      timestamptz,
  outcome         text CHECK (outcome IN ('confirmed', 'refused', 'replaced')),
  CONSTRAINT settled_says_how CHECK ((settled_at IS NULL) = (outcome IS NULL))
);
CREATE INDEX confirmations_by_mailbox ON confirmations (mailbox_hash, created_at);
CREATE INDEX confirmations_by_subscriber ON confirmations (subscriber_id, created_at);
CREATE INDEX confirmations_by_subscription ON confirmations (subscription_id);

-- With a key: so that what waits for somebody can be found without opening every seal.
ALTER TABLE letters ADD COLUMN mailbox_hash bytea;

-- Mailboxes to be left alone although all else about their owner was erased.
CREATE TABLE left_alone (
  mailbox_hash bytea PRIMARY KEY,            -- with a key
  reason       text NOT NULL CHECK (reason IN ('bounced', 'complained', 'unsubscribed', 'refused')),
  since        timestamptz NOT NULL DEFAULT clock_timestamp()
);

ALTER TABLE subscribers
  ADD COLUMN erased_at   timestamptz,
  ADD COLUMN erased_slug bytea,              -- with a key: so that erasing twice is erasing once
  ADD CONSTRAINT erased_has_ended CHECK (erased_at IS NULL OR ended_at IS NOT NULL);
CREATE INDEX subscribers_erased ON subscribers (erased_at) WHERE erased_at IS NOT NULL;

-- What erasing takes out of a delivery is no change of it, and is told to nobody.
DROP TRIGGER tell_of_changes ON deliveries;
CREATE TRIGGER tell_of_changes AFTER UPDATE ON deliveries
  REFERENCING NEW TABLE AS changed FOR EACH STATEMENT
  WHEN (current_setting('omroeper.erasing', true) IS DISTINCT FROM 'on')
  EXECUTE FUNCTION tell_of_deliveries();
