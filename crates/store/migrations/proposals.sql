-- Calls of agents that a person decides about, by the token and the idempotency key of the call. `hash` is BLAKE3 of tool and arguments;
-- `origin` (program, model, conversation), `arguments`, `edited`, `preview` and `outcome` are JSON. `decided_token` is the token of the
-- person: their rights are read again when the call is carried out. An approved proposal without an outcome is being carried out.
-- `changes` counts the changes of all proposals.
CREATE TABLE proposals (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    token INTEGER NOT NULL,
    key TEXT NOT NULL,
    hash TEXT NOT NULL,
    agent TEXT NOT NULL,
    origin TEXT NOT NULL,
    tool TEXT NOT NULL,
    arguments TEXT NOT NULL,
    edited TEXT,
    project TEXT NOT NULL,
    run TEXT,
    reason TEXT NOT NULL,
    expected TEXT,
    preview TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    state TEXT NOT NULL,
    decided_token INTEGER,
    decided_by TEXT,
    decided_ms INTEGER,
    decided_reason TEXT,
    outcome TEXT,
    changes INTEGER NOT NULL,
    UNIQUE (token, key)
) STRICT;
CREATE INDEX proposals_pending ON proposals (id) WHERE state = 'pending';
CREATE INDEX proposals_by_change ON proposals (changes);
