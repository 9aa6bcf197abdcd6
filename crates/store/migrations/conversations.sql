-- Conversations with the assistant, by their author: `person:ID`, or `token:NAME` without an account. `usage` is JSON; `datasets` is a JSON
-- list of the datasets of which a tool has returned text in the conversation; an entry is JSON.
CREATE TABLE conversations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    owner TEXT NOT NULL,
    project TEXT NOT NULL,
    title TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    changed_ms INTEGER NOT NULL,
    usage TEXT NOT NULL,
    datasets TEXT NOT NULL
) STRICT;
CREATE INDEX conversations_by_owner ON conversations (owner, changed_ms);
CREATE TABLE conversation_entries (
    conversation INTEGER NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    entry TEXT NOT NULL,
    PRIMARY KEY (conversation, number)
) STRICT, WITHOUT ROWID;
-- Datasets whose text no provider of a model gets. The row of a deleted dataset stays: runs that were trained on it may exist.
CREATE TABLE protected_datasets (
    dataset TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;
