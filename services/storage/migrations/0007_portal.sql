-- The portal: who is signed in, how often somebody may ask to, and what a filter would have found.

-- A link that signs in once; taken with its first use. Only the hash of its token is kept.
CREATE TABLE sign_in_links (
  hash       bytea PRIMARY KEY,                -- SHA-256 of the token
  email      text NOT NULL CHECK (email = lower(email)),
  expires_at timestamptz NOT NULL
);
CREATE INDEX sign_in_links_by_expiry ON sign_in_links (expires_at);

-- How many links were asked for within an hour, by whom and in all. An attempt beyond a limit leaves no trace,
-- so there are never more rows than the limit over all allows.
CREATE TABLE sign_in_counts (
  who   text NOT NULL,                         -- 'everybody', 'network 192.0.2.0/24', 'address …' (hashed)
  hour  timestamptz NOT NULL,
  count integer NOT NULL CHECK (count >= 1),
  PRIMARY KEY (who, hour)
);

CREATE TABLE sessions (
  hash          bytea PRIMARY KEY,             -- SHA-256 of the token in the cookie
  email         text NOT NULL CHECK (email = lower(email)),
  subscriber_id uuid REFERENCES subscribers,   -- for whom; null until they chose
  created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at    timestamptz NOT NULL
);
CREATE INDEX sessions_by_email ON sessions (email);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

CREATE INDEX subscribers_by_contact ON subscribers (lower(contact)) WHERE ended_at IS NULL;

-- The language in which somebody reads the portal; null: that of their organisation.
ALTER TABLE people ADD COLUMN language text CHECK (language ~ '^[a-z]{2}$');

-- Whether a subscription reminds of deadlines; on which days is for the subscriber to say.
ALTER TABLE subscriptions ADD COLUMN reminders boolean NOT NULL DEFAULT true;

-- Does an opportunity meet a filter? The one rule of the planner, the feeds and the back-test. Types are left to
-- the asker. One expression without a subquery, so that the planner of Postgres puts it in place of the call.
-- Words hold no blank (services/domain/matching.py), so that joined by one they can be escaped all at once.
CREATE FUNCTION meets(
  f_regions text[], f_cpv text[], f_themes text[], f_audience text[], f_procedures text[],
  f_min_value numeric, f_max_value numeric, f_currency text, f_words text[],
  m_regions text[], m_cpv text[], m_themes text[], m_audience text[], m_procedure text,
  m_value numeric, m_currency text, m_text text
) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT (f_regions = '{}' OR f_regions && m_regions)
    AND (f_cpv = '{}' OR f_cpv && m_cpv)
    AND (f_themes = '{}' OR f_themes && m_themes)
    AND (f_audience = '{}' OR f_audience && m_audience)
    AND (f_procedures = '{}' OR m_procedure = ANY (f_procedures))
    AND (f_currency IS NULL OR (
          m_currency = f_currency
          AND (f_min_value IS NULL OR m_value >= f_min_value)
          AND (f_max_value IS NULL OR m_value <= f_max_value)))
    AND (f_words = '{}' OR m_text LIKE ALL (string_to_array('%' || replace(
          replace(replace(replace(array_to_string(f_words, ' '), '\', '\\'), '%', '\%'), '_', '\_'),
          ' ', '% %') || '%', ' ')))
$$;

CREATE OR REPLACE VIEW feed_wanted AS
SELECT s.subscriber_id, s.f_types, e.id AS event_id
FROM subscriptions s CROSS JOIN events e
WHERE s.status = 'active'
  AND meets(s.f_regions, s.f_cpv, s.f_themes, s.f_audience, s.f_procedures, s.f_min_value, s.f_max_value,
        s.f_currency, s.f_words, e.m_regions, e.m_cpv, e.m_themes, e.m_audience, e.m_procedure, e.m_value,
        e.m_currency, e.m_text);

-- A back-test reads the events of the last months: they lie together, as they came.
CREATE INDEX events_by_time ON events USING brin (accepted_at);
