-- The schema after the first six migrations, for a new file. Later migrations follow it.

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
    event_count INTEGER NOT NULL DEFAULT 0,
    pool TEXT,
    waits TEXT,
    -- No foreign key: a project with runs is not deleted.
    project TEXT NOT NULL DEFAULT 'default',
    slot INTEGER NOT NULL DEFAULT 1
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
    expires_ms INTEGER,
    -- A token without a person belongs to the lab. `projects` (JSON) limits a token to some projects.
    person INTEGER REFERENCES people (id) ON DELETE CASCADE,
    projects TEXT,
    used_ms INTEGER,
    address TEXT,
    agent TEXT
) STRICT;

-- Pools of workers. A run that waits for a pool starts on its first free device; `runs.pool` is NULL once it has started.
CREATE TABLE pools (
    name TEXT PRIMARY KEY,
    created_ms INTEGER NOT NULL,
    runs_at_once INTEGER NOT NULL DEFAULT 1
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

CREATE INDEX queued_for_pool ON runs (pool) WHERE pool IS NOT NULL;

-- The history of the devices in buckets (JSON of wire::telemetry::HistoryBucket). Old ones are deleted as new ones are added.
CREATE TABLE telemetry (
    device TEXT NOT NULL,
    bucket_secs INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    content TEXT NOT NULL,
    PRIMARY KEY (device, bucket_secs, at_ms)
) STRICT, WITHOUT ROWID;

-- Tags of runs.
CREATE TABLE tags (
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    tag TEXT NOT NULL,
    PRIMARY KEY (run, tag)
) STRICT, WITHOUT ROWID;

-- The notes of the journal, so that a search need not read all events.
CREATE TABLE notes (
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (run, number)
) STRICT, WITHOUT ROWID;

-- The newest value of each metric of a run: a JSON object.
CREATE TABLE newest_metrics (
    run TEXT PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE,
    metrics TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Saved filters of the table of runs; `query` is JSON.
CREATE TABLE filters (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    query TEXT NOT NULL
) STRICT;

CREATE INDEX newest_runs ON runs (created_ms DESC);

-- Projects: groups of runs, datasets and people. `limits` is JSON of wire::access::ProjectLimits.
CREATE TABLE projects (
    name TEXT PRIMARY KEY,
    created_ms INTEGER NOT NULL,
    limits TEXT NOT NULL DEFAULT '{}'
) STRICT;
INSERT INTO projects (name, created_ms) VALUES ('default', 0);

CREATE INDEX runs_of_project ON runs (project);

-- The datasets that only one project may use. All others may be used by everyone who may create runs.
CREATE TABLE dataset_projects (
    corpus TEXT PRIMARY KEY,
    project TEXT NOT NULL REFERENCES projects (name)
) STRICT;

-- People with accounts. `role` holds in the whole lab; NULL for someone who reaches only their projects. `password` is a PHC string of
-- Argon2; `issuer` and `subject` name the account of OpenID Connect.
CREATE TABLE people (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE COLLATE NOCASE,
    email TEXT COLLATE NOCASE,
    role TEXT,
    password TEXT,
    issuer TEXT,
    subject TEXT,
    created_ms INTEGER NOT NULL,
    seen_ms INTEGER,
    UNIQUE (issuer, subject)
) STRICT;
CREATE UNIQUE INDEX people_by_email ON people (email) WHERE email IS NOT NULL;

CREATE TABLE members (
    project TEXT NOT NULL REFERENCES projects (name) ON DELETE CASCADE,
    person INTEGER NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    role TEXT NOT NULL,
    PRIMARY KEY (project, person)
) STRICT, WITHOUT ROWID;
CREATE INDEX projects_of_person ON members (person);

-- Invitations; only hashes. `projects` is JSON of wire::access::Membership. `person` created it, NULL for a token of the lab: the
-- invitations of a person who is removed end.
CREATE TABLE invitations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    hash BLOB NOT NULL UNIQUE,
    name TEXT NOT NULL,
    role TEXT,
    projects TEXT NOT NULL,
    created_by TEXT NOT NULL,
    person INTEGER REFERENCES people (id) ON DELETE CASCADE,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL
) STRICT;

-- Share links; only hashes. `scope` is JSON of wire::access::link::LinkScope, `passphrase` a PHC string of Argon2. The links of a person
-- who is removed end.
CREATE TABLE links (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    hash BLOB NOT NULL UNIQUE,
    scope TEXT NOT NULL,
    path TEXT NOT NULL,
    role TEXT NOT NULL,
    is_embed INTEGER NOT NULL,
    passphrase TEXT,
    created_by TEXT NOT NULL,
    person INTEGER REFERENCES people (id) ON DELETE CASCADE,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER,
    opened INTEGER NOT NULL DEFAULT 0,
    opened_ms INTEGER
) STRICT;

CREATE INDEX tokens_of_person ON tokens (person) WHERE person IS NOT NULL;

-- The links that a browser has opened; they add to what its session reaches.
CREATE TABLE session_links (
    token INTEGER NOT NULL REFERENCES tokens (id) ON DELETE CASCADE,
    link INTEGER NOT NULL REFERENCES links (id) ON DELETE CASCADE,
    PRIMARY KEY (token, link)
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_of_link ON session_links (link);

-- The audit log: one row for each request that changed something, or tried to.
CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms INTEGER NOT NULL,
    who TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    status INTEGER NOT NULL,
    address TEXT NOT NULL
) STRICT;
CREATE INDEX audit_by_time ON audit (at_ms);

-- Tokens of the further worker processes of the server's own devices; that of the first is in `workers`.
CREATE TABLE slot_tokens (
    worker INTEGER NOT NULL REFERENCES workers (id) ON DELETE CASCADE,
    slot INTEGER NOT NULL,
    token INTEGER NOT NULL UNIQUE REFERENCES tokens (id) ON DELETE CASCADE,
    PRIMARY KEY (worker, slot)
) STRICT;
