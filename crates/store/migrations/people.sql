-- Projects: groups of runs, datasets and people. `limits` is JSON of wire::access::ProjectLimits.
CREATE TABLE projects (
    name TEXT PRIMARY KEY,
    created_ms INTEGER NOT NULL,
    limits TEXT NOT NULL DEFAULT '{}'
) STRICT;
INSERT INTO projects (name, created_ms) VALUES ('default', 0);

-- Every run belongs to a project. No foreign key: a project with runs is not deleted.
ALTER TABLE runs ADD COLUMN project TEXT NOT NULL DEFAULT 'default';
CREATE INDEX runs_of_project ON runs (project);

-- The datasets that only one project may use. All others may be used by everyone who may create runs.
CREATE TABLE dataset_projects (
    corpus TEXT PRIMARY KEY,
    project TEXT NOT NULL REFERENCES projects (name)
) STRICT;

-- People with accounts. `role` holds in the whole lab; NULL for someone who reaches only their projects. `password` is a PHC string of
-- Argon2; `issuer` and `subject` name the account of OpenID Connect.
CREATE TABLE people (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE COLLATE NOCASE,
    email TEXT COLLATE NOCASE,
    role TEXT,
    password TEXT,
    issuer TEXT,
    subject TEXT,
    created_ms INTEGER NOT NULL,
    seen_ms INTEGER,
    UNIQUE (issuer, subject)
) STRICT;
CREATE UNIQUE INDEX people_by_email ON people (email) WHERE email IS NOT NULL;

CREATE TABLE members (
    project TEXT NOT NULL REFERENCES projects (name) ON DELETE CASCADE,
    person INTEGER NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    role TEXT NOT NULL,
    PRIMARY KEY (project, person)
) STRICT, WITHOUT ROWID;
CREATE INDEX projects_of_person ON members (person);

-- Invitations; only hashes. `projects` is JSON of wire::access::Membership. `person` created it, NULL for a token of the lab: the
-- invitations of a person who is removed end.
CREATE TABLE invitations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    hash BLOB NOT NULL UNIQUE,
    name TEXT NOT NULL,
    role TEXT,
    projects TEXT NOT NULL,
    created_by TEXT NOT NULL,
    person INTEGER REFERENCES people (id) ON DELETE CASCADE,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL
) STRICT;

-- Share links; only hashes. `scope` is JSON of wire::access::link::LinkScope, `passphrase` a PHC string of Argon2. The links of a person
-- who is removed end.
CREATE TABLE links (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    hash BLOB NOT NULL UNIQUE,
    scope TEXT NOT NULL,
    path TEXT NOT NULL,
    role TEXT NOT NULL,
    is_embed INTEGER NOT NULL,
    passphrase TEXT,
    created_by TEXT NOT NULL,
    person INTEGER REFERENCES people (id) ON DELETE CASCADE,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER,
    opened INTEGER NOT NULL DEFAULT 0,
    opened_ms INTEGER
) STRICT;

-- A token without a person belongs to the lab. `projects` (JSON) limits a token to some projects.
ALTER TABLE tokens ADD COLUMN person INTEGER REFERENCES people (id) ON DELETE CASCADE;
ALTER TABLE tokens ADD COLUMN projects TEXT;
ALTER TABLE tokens ADD COLUMN used_ms INTEGER;
ALTER TABLE tokens ADD COLUMN address TEXT;
ALTER TABLE tokens ADD COLUMN agent TEXT;
CREATE INDEX tokens_of_person ON tokens (person) WHERE person IS NOT NULL;

-- The links that a browser has opened; they add to what its session reaches.
CREATE TABLE session_links (
    token INTEGER NOT NULL REFERENCES tokens (id) ON DELETE CASCADE,
    link INTEGER NOT NULL REFERENCES links (id) ON DELETE CASCADE,
    PRIMARY KEY (token, link)
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_of_link ON session_links (link);

-- The audit log: one row for each request that changed something, or tried to.
CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms INTEGER NOT NULL,
    who TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    status INTEGER NOT NULL,
    address TEXT NOT NULL
) STRICT;
CREATE INDEX audit_by_time ON audit (at_ms);
