-- Agents: tokens with limits (JSON of wire::access::agent::AgentLimits). `client` is what the program of the last MCP session calls itself. No
-- foreign key: the record stays when the token is revoked, because the runs of the agent stay.
CREATE TABLE agents (
    token INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    person INTEGER,
    limits TEXT NOT NULL,
    client TEXT,
    created_ms INTEGER NOT NULL,
    stopped_ms INTEGER,
    stopped_by TEXT
) STRICT;

-- The names of agents in journals, each with program, model and conversation. A name belongs to one token.
CREATE TABLE agent_authors (
    name TEXT PRIMARY KEY,
    token INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX authors_of_agent ON agent_authors (token);

-- The runs that count for an agent, from training time and steps of the run on, and how much of both was reserved from there on. `used_secs` and
-- `used_steps` are NULL while they are read from the run, and hold what was used once the run does not count any more. No foreign key: what was
-- used stays when a run is purged.
CREATE TABLE agent_runs (
    token INTEGER NOT NULL,
    run TEXT NOT NULL,
    is_new INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    from_secs REAL NOT NULL,
    from_steps INTEGER NOT NULL,
    reserved_secs REAL NOT NULL,
    reserved_steps INTEGER NOT NULL,
    used_secs REAL,
    used_steps INTEGER,
    PRIMARY KEY (token, run)
) STRICT, WITHOUT ROWID;
CREATE INDEX agents_of_run ON agent_runs (run);

-- The events of agents in the journals of runs.
CREATE TABLE agent_events (
    token INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    PRIMARY KEY (token, at_ms, run, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX agent_events_of_run ON agent_events (run, number);
