-- Pools of workers. A run that waits for a pool starts on its first free device; `runs.pool` is NULL once it has started.
CREATE TABLE pools (
    name TEXT PRIMARY KEY,
    created_ms INTEGER NOT NULL
) STRICT;
INSERT INTO pools (name, created_ms) VALUES ('local', 0);

-- Tokens with which machines join a pool; only hashes. A token that cannot be used any more stays for a while, so that the refusal
-- names the reason.
CREATE TABLE join_tokens (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    pool TEXT NOT NULL REFERENCES pools (name) ON DELETE CASCADE,
    hash BLOB NOT NULL UNIQUE,
    created_by TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER,
    uses_left INTEGER,
    used INTEGER NOT NULL DEFAULT 0,
    revoked_ms INTEGER
) STRICT;

-- Workers, one for each device of the lab. `token` opens the link for this device alone; NULL once it is revoked.
CREATE TABLE workers (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    pool TEXT NOT NULL REFERENCES pools (name),
    labels TEXT NOT NULL DEFAULT '[]',
    is_draining INTEGER NOT NULL DEFAULT 0,
    device TEXT NOT NULL UNIQUE,
    host TEXT NOT NULL,
    token INTEGER REFERENCES tokens (id) ON DELETE SET NULL,
    joined_ms INTEGER NOT NULL,
    seen_ms INTEGER
) STRICT;
CREATE INDEX worker_tokens ON workers (token) WHERE token IS NOT NULL;

-- Local workers that train while the program is updated keep their tokens.
INSERT INTO workers (name, pool, device, host, token, joined_ms)
    SELECT substr(name, 14), 'local', substr(name, 14), '', MAX(id), created_ms FROM tokens
    WHERE role = 'worker' AND name LIKE 'local worker %' GROUP BY name;

ALTER TABLE runs ADD COLUMN pool TEXT;
ALTER TABLE runs ADD COLUMN waits TEXT;
CREATE INDEX queued_for_pool ON runs (pool) WHERE pool IS NOT NULL;
