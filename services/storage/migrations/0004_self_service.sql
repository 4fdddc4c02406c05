-- Incubators help themselves: when they hear of it, who of them may sign in, and letters to one person.

ALTER TABLE subscribers
  -- whose clock counts for digests, reminders and quiet hours (IANA name)
  ADD COLUMN timezone       text NOT NULL DEFAULT 'Europe/Brussels' CHECK (timezone ~ '^[A-Za-z0-9_+/-]{1,64}$'),
  ADD COLUMN digest_hour    smallint NOT NULL DEFAULT 8 CHECK (digest_hour BETWEEN 0 AND 23),
  ADD COLUMN digest_weekday smallint NOT NULL DEFAULT 1 CHECK (digest_weekday BETWEEN 1 AND 7),  -- ISO 8601: 1 is Monday
  ADD COLUMN reminder_days  smallint[] NOT NULL DEFAULT '{14,5,1}' CHECK (reminder_days <@ '{14,5,1}'::smallint[]);

ALTER TABLE subscriptions
  -- nothing is sent from the one until the other, by the subscriber's clock; over midnight when from > until
  ADD COLUMN quiet_from  time,
  ADD COLUMN quiet_until time,
  ADD CONSTRAINT quiet_from_and_until CHECK (num_nonnulls(quiet_from, quiet_until) <> 1 AND quiet_from <> quiet_until),
  ADD CONSTRAINT digests_are_mails CHECK (cadence = 'immediate' OR channel = 'email');

-- Who, besides the contact, may sign in for a subscriber and is told when something needs them.
CREATE TABLE people (
  id            uuid PRIMARY KEY DEFAULT uuid7(),
  subscriber_id uuid NOT NULL REFERENCES subscribers,
  name          text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
  email         text NOT NULL CHECK (email = lower(email) AND length(email) BETWEEN 3 AND 254),
  created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  UNIQUE (subscriber_id, email)
);
CREATE INDEX people_by_email ON people (email);

-- Mails to one person that are about no event: links to sign in or to confirm. What they say and to whom is
-- sealed, and forgotten once they are sent.
CREATE TABLE letters (
  id         uuid PRIMARY KEY DEFAULT uuid7(),
  kind       text NOT NULL CHECK (kind ~ '^[a-z_]{1,40}$'),
  language   text NOT NULL,
  sealed     bytea,                            -- JSON: the recipient and what the template shows
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at timestamptz NOT NULL,             -- no use in sending it later
  attempts   integer NOT NULL DEFAULT 0,
  due_at     timestamptz DEFAULT clock_timestamp(),  -- null: sent, or given up
  outcome    text,
  CONSTRAINT due_has_content CHECK (due_at IS NULL OR sealed IS NOT NULL)
);
CREATE INDEX letters_due ON letters (due_at) WHERE due_at IS NOT NULL;
