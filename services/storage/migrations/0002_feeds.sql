-- The feeds: one append-only stream of events, each opportunity as it stands, and who may read their own.

-- Every planned event once. Positions have no gaps, and instants only grow: under one lock, an event is
-- stamped when it is appended, so that whoever has read up to a position has missed nothing before it.
CREATE TABLE stream_members (
  position    bigint PRIMARY KEY CHECK (position >= 1),
  event_id    uuid NOT NULL UNIQUE REFERENCES events,
  appended_at timestamptz NOT NULL
);

-- Planned, and still to be appended.
CREATE TABLE stream_waiting (
  event_id uuid PRIMARY KEY REFERENCES events
);

CREATE FUNCTION await_the_stream() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO stream_waiting (event_id) VALUES (NEW.id) ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$;
CREATE TRIGGER planned_events_await_the_stream AFTER UPDATE OF planned_at ON events FOR EACH ROW
  WHEN (OLD.planned_at IS NULL AND NEW.planned_at IS NOT NULL) EXECUTE FUNCTION await_the_stream();
CREATE TRIGGER restored_events_await_the_stream AFTER INSERT ON events FOR EACH ROW
  WHEN (NEW.planned_at IS NOT NULL) EXECUTE FUNCTION await_the_stream();
INSERT INTO stream_waiting (event_id) SELECT id FROM events WHERE planned_at IS NOT NULL;

-- Each opportunity as it stands; drawn from the stream, and drawn again whenever it changes there.
CREATE TABLE feed_opportunities (
  subject      text PRIMARY KEY,
  source       text NOT NULL,                 -- of its first event: with the subject, its name for ever
  types        text[] NOT NULL,               -- what has happened to it
  whole_id     uuid REFERENCES events,        -- its latest version in full; null: only notices have come
  status       text CHECK (status IN ('published', 'updated', 'withdrawn', 'closed', 'awarded')),
  version      integer,
  deadline     timestamptz,
  published_at timestamptz,
  changed_at   timestamptz,
  position     bigint UNIQUE REFERENCES stream_members,  -- of its last change that readers notice
  CONSTRAINT whole_or_unseen CHECK (
    num_nonnulls(whole_id, status, version, published_at, changed_at, position) IN (0, 6))
);
CREATE INDEX feed_opportunities_by_deadline ON feed_opportunities (deadline, position);

-- Which events the active subscriptions want, by the rules of the planner. Types are left to the asker.
CREATE VIEW feed_wanted AS
SELECT s.subscriber_id, s.f_types, e.id AS event_id
FROM subscriptions s CROSS JOIN events e
WHERE s.status = 'active'
  AND (s.f_regions = '{}' OR s.f_regions && e.m_regions)
  AND (s.f_cpv = '{}' OR s.f_cpv && e.m_cpv)
  AND (s.f_themes = '{}' OR s.f_themes && e.m_themes)
  AND (s.f_audience = '{}' OR s.f_audience && e.m_audience)
  AND (s.f_procedures = '{}' OR e.m_procedure = ANY (s.f_procedures))
  AND (s.f_currency IS NULL OR (
        e.m_currency = s.f_currency
        AND (s.f_min_value IS NULL OR e.m_value >= s.f_min_value)
        AND (s.f_max_value IS NULL OR e.m_value <= s.f_max_value)))
  AND NOT EXISTS (SELECT FROM unnest(s.f_words) word WHERE position(word IN e.m_text) = 0);

-- The secret part of a subscriber's own feed addresses; a new one takes the place of the old.
CREATE TABLE feed_tokens (
  subscriber_id uuid PRIMARY KEY REFERENCES subscribers,
  hash          bytea NOT NULL UNIQUE,        -- SHA-256 of the token
  sealed        bytea NOT NULL,               -- the token itself, encrypted
  created_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);
