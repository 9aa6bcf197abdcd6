-- Steering: saved states, runs that begin with another run's, and a queue with priorities.
ALTER TABLE runs ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN restarts INTEGER NOT NULL DEFAULT 0;
-- `gpu` or `cpu`: whichever of that kind is free first. None where one device was named, and once the run has begun on one.
ALTER TABLE runs ADD COLUMN any_of TEXT;
-- No reference: a parent may be gone.
ALTER TABLE runs ADD COLUMN parent TEXT;
ALTER TABLE runs ADD COLUMN parent_checkpoint TEXT;
ALTER TABLE runs ADD COLUMN twin_of INTEGER;
CREATE INDEX children ON runs (parent) WHERE parent IS NOT NULL;

DROP INDEX queue;
CREATE INDEX queue ON runs (priority DESC, queue_order) WHERE state = 'queued' AND deleted_ms IS NULL;

-- Saved states that are kept, one folder each; `number` is the journal's line, `ordinal` counts those on the cadence.
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

-- Points that are acknowledged and whose files the disk may not have yet; written again at the next start.
CREATE TABLE unsynced (
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    points BLOB NOT NULL,
    PRIMARY KEY (run, seq)
) STRICT;
