-- The way of an event: accepted, planned, owed, tried, explained.
-- The schema refuses what the code must not do: finals that change, two debts for one event and
-- subscription, a lease without a send.

-- A UUID version 7 (RFC 9562 section 5.7): 48 bits of milliseconds, then random bits.
CREATE FUNCTION uuid7() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
  SELECT encode(
    set_bit(set_bit(
      overlay(uuid_send(gen_random_uuid())
              PLACING substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3)
              FROM 1 FOR 6),
      52, 1), 53, 1),
    'hex')::uuid
$$;

CREATE TABLE events (
  id            uuid PRIMARY KEY DEFAULT uuid7(),
  source        text NOT NULL CHECK (length(source) BETWEEN 1 AND 500),
  ce_id         text NOT NULL CHECK (length(ce_id) BETWEEN 1 AND 500),
  type          text NOT NULL,
  subject       text NOT NULL,               -- the opportunity's id
  version       integer NOT NULL DEFAULT 1 CHECK (version >= 1),
  time          timestamptz,                 -- when it happened, as the producer says
  data          jsonb NOT NULL,
  content_hash  bytea NOT NULL,
  traceparent   text,
  deadline      timestamptz,
  accepted_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  accepted_by   text NOT NULL,               -- 'http' or 'kafka'
  relay_after   timestamptz,                 -- when to hand it to Kafka (again); null: it is planned
  planned_at    timestamptz,
  -- what it offers to be matched (services/domain/matching.py)
  m_regions     text[] NOT NULL,
  m_cpv         text[] NOT NULL,
  m_themes      text[] NOT NULL,
  m_audience    text[] NOT NULL,
  m_procedure   text,
  m_value       numeric,
  m_currency    text,
  m_text        text NOT NULL,
  UNIQUE (source, ce_id)
);
CREATE INDEX events_to_relay ON events (relay_after) WHERE relay_after IS NOT NULL;
CREATE INDEX events_by_subject ON events (subject);

-- A withdrawal takes back the versions up to its own; one without a version, all that came before it.
CREATE FUNCTION withdraws(w events, e events) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT w.type = 'opportunity.withdrawn' AND w.subject = e.subject
    AND e.type IN ('opportunity.published', 'opportunity.updated')
    AND CASE WHEN w.data ? 'version' THEN w.version >= e.version ELSE w.accepted_at >= e.accepted_at END
$$;

CREATE TABLE subscribers (
  id         uuid PRIMARY KEY DEFAULT uuid7(),
  slug       text NOT NULL UNIQUE CHECK (slug ~ '^[a-z0-9](-?[a-z0-9]){0,62}$'),
  name       text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
  kind       text NOT NULL CHECK (kind IN ('incubator', 'accelerator', 'network', 'other')),
  region     text,
  language   text NOT NULL DEFAULT 'nl',
  contact    text,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  ended_at   timestamptz
);

CREATE TYPE subscription_status AS ENUM (
  'pending',   -- not yet confirmed by its owner      -> active, ended
  'active',    --                                     -> paused, disabled, ended
  'paused',    -- by its owner or an operator         -> active, ended
  'disabled',  -- by us: the endpoint is gone or dead -> active, ended
  'ended'      -- for good
);

CREATE TABLE subscriptions (
  id               uuid PRIMARY KEY DEFAULT uuid7(),
  subscriber_id    uuid NOT NULL REFERENCES subscribers,
  channel          text NOT NULL,
  target           text NOT NULL CHECK (length(target) BETWEEN 1 AND 2000),
  destination      text NOT NULL,            -- what shares its fate: a web host, a mail domain
  language         text NOT NULL DEFAULT 'nl',
  cadence          text NOT NULL DEFAULT 'immediate' CHECK (cadence IN ('immediate', 'daily', 'weekly')),
  filter           jsonb NOT NULL DEFAULT '{}',
  f_types          text[] NOT NULL DEFAULT '{}',
  f_regions        text[] NOT NULL DEFAULT '{}',
  f_cpv            text[] NOT NULL DEFAULT '{}',
  f_themes         text[] NOT NULL DEFAULT '{}',
  f_audience       text[] NOT NULL DEFAULT '{}',
  f_procedures     text[] NOT NULL DEFAULT '{}',
  f_min_value      numeric,
  f_max_value      numeric,
  f_currency       text,
  f_words          text[] NOT NULL DEFAULT '{}',
  status           subscription_status NOT NULL DEFAULT 'active',
  status_reason    text,
  unsubscribe_hash bytea NOT NULL UNIQUE,    -- SHA-256 of the token
  unsubscribe_seal bytea NOT NULL,           -- the token itself, encrypted
  created_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
  ended_at         timestamptz,
  ended_reason     text,
  CONSTRAINT ended_says_when CHECK ((status = 'ended') = (ended_at IS NOT NULL)),
  CONSTRAINT not_active_says_why CHECK (status NOT IN ('disabled') OR status_reason IS NOT NULL)
);
CREATE INDEX subscriptions_by_subscriber ON subscriptions (subscriber_id);

-- Signing secrets, newest first in use; an old one signs along until it expires.
CREATE TABLE webhook_secrets (
  id              uuid PRIMARY KEY DEFAULT uuid7(),
  subscription_id uuid NOT NULL REFERENCES subscriptions,
  kind            text NOT NULL CHECK (kind IN ('v1', 'v1a')),
  sealed          bytea NOT NULL,
  created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at      timestamptz
);
CREATE INDEX webhook_secrets_by_subscription ON webhook_secrets (subscription_id);

-- How an endpoint has done since it last worked; a healthy one has no row.
CREATE TABLE endpoint_health (
  subscription_id uuid PRIMARY KEY REFERENCES subscriptions,
  failures        integer NOT NULL CHECK (failures >= 1),
  failing_since   timestamptz NOT NULL,
  openings        integer NOT NULL DEFAULT 0,
  open_until      timestamptz
);

CREATE TYPE delivery_state AS ENUM (
  -- legal changes: services/domain/delivery.py, TRANSITIONS
  'pending', 'sending', 'retrying', 'unknown', 'sent', 'failed', 'suppressed', 'expired', 'cancelled'
);

CREATE TABLE deliveries (
  id               uuid PRIMARY KEY DEFAULT uuid7(),
  event_id         uuid NOT NULL REFERENCES events,
  subscription_id  uuid NOT NULL REFERENCES subscriptions,
  subscriber_id    uuid NOT NULL REFERENCES subscribers,
  channel          text NOT NULL,
  destination      text NOT NULL,
  replay           integer NOT NULL DEFAULT 0 CHECK (replay >= 0),
  replay_of        uuid REFERENCES deliveries,
  match            jsonb NOT NULL,           -- why it is owed: the criteria that were met
  state            delivery_state NOT NULL DEFAULT 'pending',
  reason           text,                     -- why it stands as it does, where it is not plain
  attempts         integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
  turn             timestamptz NOT NULL,     -- place in the fair queue of first attempts
  next_attempt_at  timestamptz,
  lease_until      timestamptz,
  cancel_reason    text,                     -- withdrawn or unsubscribed while it was being sent
  expires_at       timestamptz,              -- the opportunity's deadline
  created_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
  settled_at       timestamptz,
  UNIQUE (event_id, subscription_id, replay),
  CONSTRAINT replay_points_back CHECK ((replay = 0) = (replay_of IS NULL)),
  CONSTRAINT sending_is_leased CHECK ((state = 'sending') = (lease_until IS NOT NULL)),
  CONSTRAINT retrying_says_when CHECK ((state = 'retrying') = (next_attempt_at IS NOT NULL)),
  CONSTRAINT final_says_when CHECK (
    (state IN ('sent', 'failed', 'suppressed', 'expired', 'cancelled')) = (settled_at IS NOT NULL)),
  CONSTRAINT tried_before_sent CHECK (state <> 'sent' OR attempts >= 1)
) WITH (fillfactor = 70);
CREATE INDEX deliveries_first ON deliveries (channel, turn) WHERE state = 'pending';
CREATE INDEX deliveries_again ON deliveries (channel, next_attempt_at) WHERE state = 'retrying';
CREATE INDEX deliveries_leased ON deliveries (lease_until) WHERE state = 'sending';
CREATE INDEX deliveries_owed ON deliveries (subscription_id)
  WHERE state IN ('pending', 'retrying', 'sending', 'unknown');
CREATE INDEX deliveries_expiring ON deliveries (expires_at) WHERE state IN ('pending', 'retrying');
CREATE INDEX deliveries_by_subscriber ON deliveries (subscriber_id, id);

CREATE FUNCTION refuse_change_of_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'delivery % is %, and a final state never changes', OLD.id, OLD.state
    USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER final_states_never_change BEFORE UPDATE OF state ON deliveries
  FOR EACH ROW
  WHEN (OLD.state IN ('sent', 'failed', 'suppressed', 'expired', 'cancelled') AND NEW.state <> OLD.state)
  EXECUTE FUNCTION refuse_change_of_final();

-- One row a try, append-only: the proof.
CREATE TABLE attempts (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  delivery_id  uuid NOT NULL REFERENCES deliveries,
  number       integer NOT NULL CHECK (number >= 1),
  started_at   timestamptz NOT NULL,
  duration_ms  integer NOT NULL CHECK (duration_ms >= 0),
  outcome      text NOT NULL CHECK (outcome IN ('sent', 'temporary', 'permanent', 'unknown', 'interrupted')),
  code         integer,
  error        text,
  excerpt      text CHECK (octet_length(excerpt) <= 8192),
  next_attempt_at timestamptz,
  late         boolean NOT NULL DEFAULT false  -- reported after its lease had passed to another try
);
CREATE INDEX attempts_by_delivery ON attempts (delivery_id);

-- What `delivery-status` still has to be told; a row goes when Kafka has it.
CREATE TABLE status_outbox (
  id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  delivery_id     uuid NOT NULL,
  event_id        uuid NOT NULL,
  subscription_id uuid NOT NULL,
  state           delivery_state NOT NULL,
  attempts        integer NOT NULL,
  reason          text,
  next_attempt_at timestamptz,
  at              timestamptz NOT NULL
);

-- Every recorded change is told, whoever made it. Being claimed or planned is not news.
CREATE FUNCTION tell_of_deliveries() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO status_outbox
    (delivery_id, event_id, subscription_id, state, attempts, reason, next_attempt_at, at)
  SELECT id, event_id, subscription_id, state, attempts, reason, next_attempt_at, clock_timestamp()
  FROM changed WHERE state NOT IN ('pending', 'sending');
  RETURN NULL;
END $$;
CREATE TRIGGER tell_of_changes AFTER UPDATE ON deliveries
  REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION tell_of_deliveries();
CREATE TRIGGER tell_of_new AFTER INSERT ON deliveries
  REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION tell_of_deliveries();

CREATE TABLE dead_letters (
  id          uuid PRIMARY KEY DEFAULT uuid7(),
  topic       text NOT NULL,
  partition   integer NOT NULL,
  "offset"    bigint NOT NULL,
  key         bytea,
  value       bytea,
  value_hash  bytea NOT NULL,
  headers     jsonb NOT NULL DEFAULT '[]',   -- pairs of name and base64 value
  reason      text NOT NULL,
  received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  requeued_at timestamptz,
  -- offsets start again when a broker is made anew, so the content belongs to the identity
  UNIQUE (topic, partition, "offset", value_hash)
);

CREATE TABLE api_keys (
  id         uuid PRIMARY KEY DEFAULT uuid7(),
  name       text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
  hash       bytea NOT NULL UNIQUE,          -- SHA-256; the key has 256 random bits, so no salt is needed
  scopes     text[] NOT NULL CHECK (cardinality(scopes) >= 1),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  revoked_at timestamptz
);

-- What the owner of an endpoint or an operator has to be told by another channel.
CREATE TABLE notices (
  id              uuid PRIMARY KEY DEFAULT uuid7(),
  subscription_id uuid NOT NULL REFERENCES subscriptions,
  kind            text NOT NULL,
  created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  attempts        integer NOT NULL DEFAULT 0,
  due_at          timestamptz DEFAULT clock_timestamp(),  -- null: told, or nobody to tell
  outcome         text
);
CREATE INDEX notices_due ON notices (due_at) WHERE due_at IS NOT NULL;
