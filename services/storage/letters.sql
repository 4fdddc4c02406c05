-- name: add
-- $1 kind, $2 language, $3 recipient and content, sealed, $4 of use for so many seconds
INSERT INTO letters (kind, language, sealed, expires_at)
VALUES ($1, $2, $3, clock_timestamp() + make_interval(secs => $4))

-- name: wake
-- Tell the dispatchers that a letter waits.
SELECT pg_notify('letters_due', '')
