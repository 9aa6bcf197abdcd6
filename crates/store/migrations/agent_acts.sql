-- Acts of agents over MCP, by the token and the idempotency key of the call. `arguments` is BLAKE3 of tool and arguments, `before` the
-- number of the run's last event before the act, `expected` JSON of the expected effect, `answer` JSON of the first result; NULL until
-- there is one.
CREATE TABLE agent_acts (
    token INTEGER NOT NULL,
    key TEXT NOT NULL,
    tool TEXT NOT NULL,
    arguments TEXT NOT NULL,
    run TEXT,
    before INTEGER NOT NULL,
    reason TEXT NOT NULL,
    expected TEXT,
    started_ms INTEGER NOT NULL,
    answer TEXT,
    PRIMARY KEY (token, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX agent_acts_by_time ON agent_acts (started_ms);
