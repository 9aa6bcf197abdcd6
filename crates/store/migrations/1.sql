-- Runs in one line each; what a worker's reports move is in `progress` (JSON) and in state, message, started_ms, ended_ms.
CREATE TABLE runs (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    preset TEXT NOT NULL,
    corpus TEXT NOT NULL,
    device TEXT NOT NULL,
    device_name TEXT NOT NULL,
    parameters INTEGER NOT NULL,
    steps INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    spec TEXT NOT NULL,
    plan TEXT NOT NULL,
    estimate TEXT NOT NULL,
    reference_lines TEXT NOT NULL,
    state TEXT NOT NULL,
    message TEXT,
    started_ms INTEGER,
    ended_ms INTEGER,
    progress TEXT NOT NULL,
    is_archived INTEGER NOT NULL DEFAULT 0,
    deleted_ms INTEGER,
    queue_order INTEGER NOT NULL,
    stored_seq INTEGER NOT NULL DEFAULT 0,
    event_count INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX queue ON runs (device, queue_order) WHERE state = 'queued' AND deleted_ms IS NULL;

-- The journal: append-only, numbered from 1 in each run, never edited.
CREATE TABLE events (
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    is_change INTEGER NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (run, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX changes ON events (run, number) WHERE is_change = 1;

-- The latest look of each kind.
CREATE TABLE frames (
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    frame BLOB NOT NULL,
    PRIMARY KEY (run, kind)
) STRICT, WITHOUT ROWID;

-- Only hashes: a stolen database opens nothing.
CREATE TABLE tokens (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    kind TEXT NOT NULL,
    hash BLOB NOT NULL UNIQUE,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER
) STRICT;
