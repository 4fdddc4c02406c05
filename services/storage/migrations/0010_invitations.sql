-- Colleagues who were told that they may sign in: few, and each of them seldom. Of the mailbox a hash is kept.
CREATE TABLE invitations (
  id            uuid PRIMARY KEY DEFAULT uuid7(),
  subscriber_id uuid NOT NULL REFERENCES subscribers,
  mailbox_hash  bytea NOT NULL,              -- with a key
  created_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX invitations_by_mailbox ON invitations (mailbox_hash, created_at);
CREATE INDEX invitations_by_subscriber ON invitations (subscriber_id, created_at);

-- What waits for its owner is looked at every few seconds.
CREATE INDEX subscriptions_pending ON subscriptions (id) WHERE status = 'pending';
