-- name: add
-- Keep a record that could not be read, with where it stood and why.
-- $1 topic, $2 partition, $3 offset, $4 key, $5 value, $6 hash, $7 headers, $8 reason
INSERT INTO dead_letters (topic, partition, "offset", key, value, value_hash, headers, reason)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (topic, partition, "offset", value_hash) DO NOTHING

-- name: list_page
-- $1 after id (null: from the start), $2 limit, $3 also those requeued
SELECT id, topic, partition, "offset", key, value, headers, reason, received_at, requeued_at
FROM dead_letters
WHERE ($1::uuid IS NULL OR id > $1) AND ($3 OR requeued_at IS NULL)
ORDER BY id LIMIT $2

-- name: get
-- $1 id
SELECT id, topic, partition, "offset", key, value, headers, reason, received_at, requeued_at
FROM dead_letters WHERE id = $1

-- name: mark_requeued
-- $1 id
UPDATE dead_letters SET requeued_at = clock_timestamp() WHERE id = $1
