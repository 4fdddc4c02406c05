-- name: add
-- $1 name, $2 hash, $3 scopes
INSERT INTO api_keys (name, hash, scopes) VALUES ($1, $2, $3) RETURNING id

-- name: find
-- $1 hash
SELECT name, scopes FROM api_keys WHERE hash = $1 AND revoked_at IS NULL

-- name: list_all
SELECT id, name, scopes, created_at, revoked_at FROM api_keys ORDER BY id

-- name: revoke
-- $1 id
UPDATE api_keys SET revoked_at = clock_timestamp() WHERE id = $1 AND revoked_at IS NULL RETURNING name
