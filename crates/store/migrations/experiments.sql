-- Experiments (JSON of wire::experiment::ExperimentSpec), with the specifications of their runs (JSON of wire::RunSpec). `person` and `token` are
-- their creator's, as those of a link. `attempts` bounds how often a run of the present pair is started.
CREATE TABLE experiments (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    project TEXT NOT NULL REFERENCES projects (name) ON DELETE CASCADE,
    author TEXT NOT NULL,
    person INTEGER,
    token INTEGER,
    spec TEXT NOT NULL,
    baseline TEXT NOT NULL,
    variant TEXT NOT NULL,
    first_seed INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    verdict TEXT,
    created_ms INTEGER NOT NULL,
    ended_ms INTEGER
) STRICT;
CREATE INDEX running_experiments ON experiments (id) WHERE state = 'running';

-- Runs of experiments. No foreign key to `runs`: the record stays when a run is purged.
CREATE TABLE experiment_runs (
    experiment INTEGER NOT NULL REFERENCES experiments (id) ON DELETE CASCADE,
    pair INTEGER NOT NULL,
    side TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    seed INTEGER NOT NULL,
    run TEXT NOT NULL UNIQUE,
    value REAL,
    failure TEXT,
    device_secs REAL,
    PRIMARY KEY (experiment, pair, side, attempt)
) STRICT, WITHOUT ROWID;

-- The journal of an experiment; `author` is JSON of wire::Author.
CREATE TABLE experiment_events (
    experiment INTEGER NOT NULL REFERENCES experiments (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    author TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (experiment, number)
) STRICT, WITHOUT ROWID;
