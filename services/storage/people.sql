-- name: add
-- No row when this address is there already.
-- $1 subscriber id, $2 name, $3 address in lower case, $4 language (null: the subscriber's)
INSERT INTO people (subscriber_id, name, email, language) VALUES ($1, $2, $3, $4)
ON CONFLICT (subscriber_id, email) DO NOTHING
RETURNING id

-- name: of_subscriber
-- $1 subscriber id
SELECT id, name, email, language, created_at FROM people WHERE subscriber_id = $1 ORDER BY id

-- name: lock
-- Those who are there when whoever held them before is done.
-- $1 subscriber id
SELECT id, email FROM people WHERE subscriber_id = $1 ORDER BY id FOR UPDATE

-- name: remove
-- $1 subscriber id, $2 person id
DELETE FROM people WHERE subscriber_id = $1 AND id = $2 RETURNING id

-- name: who_may_sign_in
-- For whom somebody with this address may sign in: where they are one of the people, or the contact.
-- $1 address in lower case
SELECT r.id AS subscriber_id, r.slug, r.name, r.language FROM subscribers r
WHERE r.ended_at IS NULL
  AND (lower(r.contact) = $1 OR EXISTS (SELECT FROM people p WHERE p.subscriber_id = r.id AND p.email = $1))
ORDER BY r.name
