-- Several runs on one device at once: how many runs a device of a pool trains at once, and which worker process of its device trains a run
-- or trained it last.
ALTER TABLE pools ADD COLUMN runs_at_once INTEGER NOT NULL DEFAULT 1;
ALTER TABLE runs ADD COLUMN slot INTEGER NOT NULL DEFAULT 1;

-- Tokens of the further worker processes of the server's own devices; that of the first is in `workers`.
CREATE TABLE slot_tokens (
    worker INTEGER NOT NULL REFERENCES workers (id) ON DELETE CASCADE,
    slot INTEGER NOT NULL,
    token INTEGER NOT NULL UNIQUE REFERENCES tokens (id) ON DELETE CASCADE,
    PRIMARY KEY (worker, slot)
) STRICT;
