-- What the rules found in runs. `number` counts within the run; `sequence` counts in the lab, for those who wait for news.
CREATE TABLE findings (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    segment INTEGER NOT NULL,
    rule TEXT NOT NULL,
    subject TEXT NOT NULL,
    level TEXT NOT NULL,
    step INTEGER NOT NULL,
    -- JSON of wire::diagnosis::Finding, and its sentence.
    finding TEXT NOT NULL,
    sentence TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    ended_step INTEGER,
    became INTEGER,
    is_abandoned INTEGER NOT NULL DEFAULT 0,
    is_dismissed INTEGER NOT NULL DEFAULT 0,
    -- JSON of wire::diagnosis::TakenAction, and the number of its command once it is sent.
    action TEXT,
    command_id INTEGER,
    UNIQUE (run, number),
    -- The same series give the same finding again, never a second one.
    UNIQUE (run, segment, rule, subject, level, step)
) STRICT;
CREATE INDEX findings_to_act ON findings (run) WHERE action IS NOT NULL;

-- The settings of a run's rules, and the state of the rules after the values up to `checked_step` of the path (JSON).
CREATE TABLE diagnosis (
    run TEXT PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE,
    settings TEXT NOT NULL DEFAULT '{}',
    path TEXT,
    state BLOB,
    checked_step INTEGER
) STRICT;

-- Numbers of the findings that count, which tables of runs show.
ALTER TABLE runs ADD COLUMN health_checks INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN health_notes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN health_alerts INTEGER NOT NULL DEFAULT 0;
