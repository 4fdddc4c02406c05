-- name: is_listed
-- $1 hashes of the mailbox
SELECT EXISTS (SELECT FROM left_alone WHERE mailbox_hash = ANY ($1::bytea[]))

-- name: add
-- $1 hash of the mailbox, $2 reason
INSERT INTO left_alone (mailbox_hash, reason) VALUES ($1, $2) ON CONFLICT DO NOTHING

-- name: remove
-- $1 hashes of the mailbox
DELETE FROM left_alone WHERE mailbox_hash = ANY ($1::bytea[])
