-- Sweeps. `spec` is JSON of wire::sweep::spec::SweepSpec. `person` and `token` say whose rights the sweep uses; no foreign keys, because a
-- sweep whose creator has gone is paused and stays. `changes` counts the changes of the sweep and its trials, `decisions` the rows below.
CREATE TABLE sweeps (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    project TEXT NOT NULL,
    spec TEXT NOT NULL,
    trials INTEGER NOT NULL,
    creator TEXT NOT NULL,
    person INTEGER,
    token INTEGER,
    created_ms INTEGER NOT NULL,
    ended_ms INTEGER,
    state TEXT NOT NULL,
    revision INTEGER NOT NULL DEFAULT 1,
    changes INTEGER NOT NULL DEFAULT 1,
    decisions INTEGER NOT NULL DEFAULT 0,
    message TEXT
) STRICT;
CREATE INDEX sweeps_of_project ON sweeps (project, id);
CREATE INDEX unfinished_sweeps ON sweeps (state) WHERE state IN ('running', 'paused');

-- Trials. `point` is JSON of wire::sweep::space::Point, `kept` the values of the metric that the stopping rule reads: a JSON list of (step,
-- value), where a lower value is better. `stop_as` is the state that the trial takes once its run has stopped, after a decision to stop it.
-- `changed` is `sweeps.changes` at its last change.
CREATE TABLE trials (
    sweep INTEGER NOT NULL REFERENCES sweeps (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    point TEXT NOT NULL,
    run TEXT REFERENCES runs (id) ON DELETE SET NULL,
    attempt INTEGER NOT NULL DEFAULT 1,
    state TEXT NOT NULL,
    last REAL,
    last_step INTEGER,
    best REAL,
    reason TEXT,
    stop_as TEXT,
    is_exempt INTEGER NOT NULL DEFAULT 0,
    created_ms INTEGER NOT NULL,
    ended_ms INTEGER,
    changed INTEGER NOT NULL,
    kept TEXT NOT NULL DEFAULT '[]',
    PRIMARY KEY (sweep, number)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX trial_of_run ON trials (run) WHERE run IS NOT NULL;
CREATE INDEX trial_states ON trials (sweep, state, last);
CREATE INDEX changed_trials ON trials (sweep, changed);

-- What was decided about sweeps and trials.
CREATE TABLE sweep_decisions (
    sweep INTEGER NOT NULL REFERENCES sweeps (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    kind TEXT NOT NULL,
    decided_by TEXT NOT NULL,
    trial INTEGER,
    attempt INTEGER,
    step INTEGER,
    rung INTEGER,
    sentence TEXT NOT NULL,
    value REAL,
    threshold REAL,
    PRIMARY KEY (sweep, number)
) STRICT, WITHOUT ROWID;
-- A rule decides once about an attempt of a trial at a step and a rung.
CREATE UNIQUE INDEX decided_trials ON sweep_decisions (sweep, trial, attempt, kind, decided_by, step, coalesce(rung, -1))
    WHERE trial IS NOT NULL AND kind <> 'command';
