-- name: add
-- $1 kind, $2 language, $3 recipient and content, sealed, $4 of use for so many seconds, $5 hash of the mailbox
INSERT INTO letters (kind, language, sealed, expires_at, mailbox_hash)
VALUES ($1, $2, $3, clock_timestamp() + make_interval(secs => $4), $5)

-- name: wake
-- Tell the dispatchers that a letter waits.
SELECT pg_notify('letters_due', '')

-- name: give_up
-- What came too late is of no use any more.
UPDATE letters SET due_at = NULL, sealed = NULL, outcome = 'too late'
WHERE due_at <= clock_timestamp() AND expires_at <= clock_timestamp()

-- name: claim
-- Borrow what is due, oldest first.
-- $1 how many at most, $2 lease in seconds
UPDATE letters l SET attempts = l.attempts + 1, due_at = clock_timestamp() + make_interval(secs => $2)
FROM (SELECT id FROM letters WHERE due_at <= clock_timestamp() AND expires_at > clock_timestamp()
      ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED) AS due
WHERE l.id = due.id
RETURNING l.id, l.kind, l.language, l.sealed, l.attempts, l.expires_at

-- name: settle
-- Note what became of a letter, unless it was borrowed again meanwhile, or forgotten.
-- $1 letter id, $2 attempt, $3 what became of it, $4 when to try again (null: never)
UPDATE letters SET outcome = $3, due_at = $4, sealed = CASE WHEN $4::timestamptz IS NOT NULL THEN sealed END
WHERE id = $1 AND attempts = $2 AND due_at IS NOT NULL

-- name: forget
-- $1 hashes of mailboxes
UPDATE letters SET due_at = NULL, sealed = NULL, outcome = 'erased'
WHERE mailbox_hash = ANY ($1::bytea[]) AND due_at IS NOT NULL
