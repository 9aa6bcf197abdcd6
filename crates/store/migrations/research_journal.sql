-- The research journal of a project reads the events of all its runs by time: those that people read, newest first. Evaluations, samples,
-- scores and periodic checkpoints are left out, unless a command asked for them.
CREATE INDEX journal_events ON events (json_extract(record, '$.at_ms'), run, number)
    WHERE json_extract(record, '$.event.kind') NOT IN ('starting', 'evaluated', 'sampled', 'checkpointed', 'scored')
    OR json_extract(record, '$.command_id') IS NOT NULL;
CREATE INDEX findings_by_time ON findings (at_ms, run, number);

-- What a person says of a finding: `correct`, `wrong`, or NULL.
ALTER TABLE findings ADD COLUMN judgement TEXT;

-- Comparisons that people have added to the journal. `author` is JSON of wire::Author, `runs` a JSON list of ids: comparisons of deleted runs stay.
CREATE TABLE comparisons (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    project TEXT NOT NULL REFERENCES projects (name) ON DELETE CASCADE,
    at_ms INTEGER NOT NULL,
    author TEXT NOT NULL,
    runs TEXT NOT NULL,
    names TEXT NOT NULL,
    text TEXT NOT NULL
) STRICT;
CREATE INDEX comparisons_of_project ON comparisons (project, at_ms);
