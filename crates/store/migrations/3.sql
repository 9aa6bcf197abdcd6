-- Looks kept with their run, so that it can be gone through from its first step. One waits here, in `frame`, until it lies synced in
-- `file` of the run's folder from byte `at` on. `bytes` stands before `frame`, so that sums need not read past it.
CREATE TABLE kept (
    id INTEGER PRIMARY KEY,
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    segment INTEGER NOT NULL,
    step INTEGER NOT NULL,
    look TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    file TEXT,
    at INTEGER,
    frame BLOB,
    UNIQUE (run, segment, step, look)
) STRICT;
CREATE INDEX kept_sizes ON kept (run, segment, step, bytes);
CREATE INDEX kept_waiting ON kept (run) WHERE file IS NULL;

-- Of the latest looks only what a run shows by itself is kept; what somebody asked for goes with them.
DELETE FROM frames WHERE kind <> 'tensors';
