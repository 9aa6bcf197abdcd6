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
INSERT INTO notes (run, number, text)
    SELECT run, number, json_extract(record, '$.event.text') FROM events
    WHERE json_extract(record, '$.event.kind') = 'annotated' AND json_extract(record, '$.event.text') IS NOT NULL;

-- The newest value of each metric of a run: a JSON object. Runs that an earlier version has stored get theirs when the server starts.
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
