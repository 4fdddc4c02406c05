-- name: turn
-- One at a time invites, so that counting is right; the lock goes with the transaction.
-- $1 mailbox or subscriber
SELECT pg_advisory_xact_lock(hashtextextended('omroeper.invitations ' || $1, 0))

-- name: to_mailbox
-- When a mailbox was written to, newest first.
-- $1 hashes of the mailbox, $2 how many at most
SELECT created_at FROM invitations WHERE mailbox_hash = ANY ($1::bytea[]) ORDER BY created_at DESC LIMIT $2

-- name: of_subscriber
-- When somebody was written to for a subscriber, newest first.
-- $1 subscriber id, $2 how many at most
SELECT created_at FROM invitations WHERE subscriber_id = $1 ORDER BY created_at DESC LIMIT $2

-- name: add
-- $1 subscriber id, $2 hash of the mailbox
INSERT INTO invitations (subscriber_id, mailbox_hash) VALUES ($1, $2)

-- name: subject
-- $1 subscriber id
SELECT name, language FROM subscribers WHERE id = $1
