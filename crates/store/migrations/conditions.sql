-- Conditions on metrics, which raise alerts. One with a run holds for it, one with a project for the runs of the project, and one with neither
-- for all runs of the lab.
CREATE TABLE alert_conditions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run TEXT REFERENCES runs (id) ON DELETE CASCADE,
    project TEXT REFERENCES projects (name) ON DELETE CASCADE,
    series TEXT NOT NULL,
    side TEXT NOT NULL,
    threshold REAL NOT NULL,
    is_urgent INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    created_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX conditions_of_run ON alert_conditions (run);
CREATE INDEX conditions_of_project ON alert_conditions (project);

-- The runs that meet a condition, each with its number of values in a row since then that do not.
CREATE TABLE met_conditions (
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    condition INTEGER NOT NULL REFERENCES alert_conditions (id) ON DELETE CASCADE,
    recovered INTEGER NOT NULL,
    PRIMARY KEY (run, condition)
) STRICT, WITHOUT ROWID;
CREATE INDEX runs_of_condition ON met_conditions (condition);

-- Channels that send alerts of all kinds send those of the new kind, too.
UPDATE alert_channels SET channel = json_insert(channel, '$.filter.kinds[#]', 'metric')
    WHERE json_array_length(channel, '$.filter.kinds') = 4;
