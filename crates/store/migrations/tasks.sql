-- Evaluation tasks of the lab (JSON of wire::task::Task). The built-in ones are not stored. `kind` and `items` are copied for lists.
CREATE TABLE tasks (
    name TEXT PRIMARY KEY,
    about TEXT NOT NULL,
    kind TEXT NOT NULL,
    items INTEGER NOT NULL,
    content TEXT NOT NULL,
    created_ms INTEGER NOT NULL
) STRICT;

-- Tasks on which new checkpoints of a run are scored: those whose step is a multiple of `every`.
CREATE TABLE task_schedules (
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    task TEXT NOT NULL,
    every INTEGER NOT NULL,
    PRIMARY KEY (run, task)
) STRICT, WITHOUT ROWID;

-- Scores (JSON of wire::task::result::TaskResult), one for each task and checkpoint; a repeated one replaces the one before. `is_in_series` is 0
-- until the values are in the files of the series.
CREATE TABLE task_results (
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    task TEXT NOT NULL,
    segment INTEGER NOT NULL,
    step INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    content TEXT NOT NULL,
    is_in_series INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (run, task, segment, step)
) STRICT, WITHOUT ROWID;
CREATE INDEX task_results_to_write ON task_results (run) WHERE is_in_series = 0;
