-- One row per run. Reports of the worker change `progress` (JSON), state, message, started_ms and ended_ms.
CREATE TABLE runs (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    preset TEXT NOT NULL,
    corpus TEXT NOT NULL,
    device TEXT NOT NULL,
    device_name TEXT NOT NULL,
    -- `gpu` or `cpu`: the first free device of that kind trains it. NULL where the spec names one device, and once the run has started.
    any_of TEXT,
    parameters INTEGER NOT NULL,
    steps INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    spec TEXT NOT NULL,
    plan TEXT NOT NULL,
    estimate TEXT NOT NULL,
    reference_losses TEXT NOT NULL,
    state TEXT NOT NULL,
    message TEXT,
    started_ms INTEGER,
    ended_ms INTEGER,
    progress TEXT NOT NULL,
    is_archived INTEGER NOT NULL DEFAULT 0,
    deleted_ms INTEGER,
    priority INTEGER NOT NULL DEFAULT 0,
    queue_order INTEGER NOT NULL,
    restarts INTEGER NOT NULL DEFAULT 0,
    -- No foreign key: a parent may have been deleted.
    parent TEXT,
    parent_checkpoint TEXT,
    control_of INTEGER,
    stored_seq INTEGER NOT NULL DEFAULT 0,
    event_count INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX queue ON runs (priority DESC, queue_order) WHERE state = 'queued' AND deleted_ms IS NULL;
CREATE INDEX children ON runs (parent) WHERE parent IS NOT NULL;

-- The journal: append-only, numbered from 1 in each run, never edited. `is_history` marks changes and checkpoints.
CREATE TABLE events (
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    is_history INTEGER NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (run, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX history ON events (run, number) WHERE is_history = 1;

-- Checkpoints that are kept, one folder each. `number` is that of the journal's event; `ordinal` counts those saved at an interval.
CREATE TABLE checkpoints (
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    segment INTEGER NOT NULL,
    step INTEGER NOT NULL,
    number INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    is_pinned INTEGER NOT NULL DEFAULT 0,
    info TEXT NOT NULL,
    PRIMARY KEY (run, segment, step)
) STRICT, WITHOUT ROWID;

-- The newest update of each kind that a run reports by itself (postcard).
CREATE TABLE updates (
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (run, kind)
) STRICT, WITHOUT ROWID;

-- Snapshots: inspection results kept during training (postcard). A new one stands in `content`, until it is synced in `file` of the run's
-- folder, from byte `at` on. `bytes` stands before `content`, so that sums need not read past it.
CREATE TABLE snapshots (
    id INTEGER PRIMARY KEY,
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    segment INTEGER NOT NULL,
    step INTEGER NOT NULL,
    inspection TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    file TEXT,
    at INTEGER,
    content BLOB,
    UNIQUE (run, segment, step, inspection)
) STRICT;
CREATE INDEX snapshot_sizes ON snapshots (run, segment, step, bytes);
CREATE INDEX pending_snapshots ON snapshots (run) WHERE file IS NULL;

-- Points of curves that are acknowledged, but whose files may not be on disk; they are written again at the next start.
CREATE TABLE unsynced (
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    points BLOB NOT NULL,
    PRIMARY KEY (run, seq)
) STRICT;

-- Only hashes: a stolen database contains no token.
CREATE TABLE tokens (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    kind TEXT NOT NULL,
    hash BLOB NOT NULL UNIQUE,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER
) STRICT;
