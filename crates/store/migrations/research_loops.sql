-- Research loops. `goal`, `start`, `hints` and `queued` are JSON of wire::research_loop: LoopGoal, LoopStart, LoopHints, LoopProposal. `person`
-- and `token` are their creator's, as those of an experiment: the sweeps and experiments of the rounds get them.
CREATE TABLE research_loops (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    project TEXT NOT NULL REFERENCES projects (name) ON DELETE CASCADE,
    author TEXT NOT NULL,
    person INTEGER,
    token INTEGER,
    goal TEXT NOT NULL,
    start TEXT NOT NULL,
    hints TEXT NOT NULL,
    queued TEXT,
    state TEXT NOT NULL,
    reason TEXT,
    created_ms INTEGER NOT NULL,
    ended_ms INTEGER
) STRICT;

-- Rounds: JSON of wire::research_loop::record::LoopRound. `is_open` is 1 until the round is decided; a loop has at most one such round.
CREATE TABLE research_rounds (
    loop INTEGER NOT NULL REFERENCES research_loops (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    is_open INTEGER NOT NULL,
    round TEXT NOT NULL,
    PRIMARY KEY (loop, number)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX open_rounds ON research_rounds (loop) WHERE is_open = 1;

-- The journal of a loop; `author` is JSON of wire::Author.
CREATE TABLE research_loop_events (
    loop INTEGER NOT NULL REFERENCES research_loops (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    author TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (loop, number)
) STRICT, WITHOUT ROWID;
