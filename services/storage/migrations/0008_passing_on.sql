-- The second hop: subscribers tell that they passed an opportunity on to their start-ups.

CREATE TABLE passings (
  id            uuid PRIMARY KEY DEFAULT uuid7(),
  subscriber_id uuid NOT NULL REFERENCES subscribers,
  subject       text NOT NULL,                 -- the opportunity, whichever version of it was passed on
  event_id      uuid NOT NULL REFERENCES events,  -- what the link was about by which it was told last
  way           text NOT NULL CHECK (way IN ('newsletter', 'mail', 'meeting', 'website', 'social', 'chat', 'other')),
  startups      integer CHECK (startups BETWEEN 0 AND 100000),  -- about how many; null: not known; 0: nobody suited
  door          text NOT NULL CHECK (door IN ('mail', 'webhook', 'feed', 'portal')),  -- where that link stood
  at            timestamptz NOT NULL DEFAULT clock_timestamp(),
  corrected_at  timestamptz CHECK (corrected_at >= at),
  UNIQUE (subscriber_id, subject, way)         -- telling again corrects, and never counts twice
);
CREATE INDEX passings_by_subject ON passings (subject);

-- It was never told by a receipt: a feed has links too, and no deliveries.
ALTER TABLE receipts
  DROP CONSTRAINT receipts_kind_check,
  ADD CONSTRAINT receipts_kind_check CHECK (kind IN ('hard', 'soft', 'complaint', 'delayed', 'other'));
DROP INDEX receipts_once;
CREATE UNIQUE INDEX receipts_once ON receipts (delivery_id, kind);  -- what comes back twice tells nothing new
DROP INDEX receipts_by_delivery;               -- the one above finds them, too
