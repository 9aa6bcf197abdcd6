-- Programs that have registered as OAuth clients, by the hash of their id. `redirects` is a JSON list of addresses; `network` is the one
-- from which the program has registered.
CREATE TABLE oauth_clients (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    hash BLOB NOT NULL UNIQUE,
    name TEXT NOT NULL,
    redirects TEXT NOT NULL,
    network TEXT NOT NULL,
    created_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX oauth_clients_of_network ON oauth_clients (network, created_ms);

-- Authorization codes, by their hash. `person` is NULL for a token of the lab; `limits` is JSON; `token` is the one that the code was
-- exchanged for.
CREATE TABLE oauth_codes (
    hash BLOB PRIMARY KEY,
    client INTEGER NOT NULL REFERENCES oauth_clients (id) ON DELETE CASCADE,
    person INTEGER REFERENCES people (id) ON DELETE CASCADE,
    role TEXT NOT NULL,
    limits TEXT NOT NULL,
    redirect TEXT NOT NULL,
    challenge TEXT NOT NULL,
    resource TEXT NOT NULL,
    expires_ms INTEGER NOT NULL,
    uses INTEGER NOT NULL DEFAULT 0,
    token INTEGER
) STRICT, WITHOUT ROWID;

-- What clients were given: the token whose text is their access token until `access_expires_ms`, and the hashes of the two halves of their
-- refresh token. The first half stays, the second one changes with each refresh.
CREATE TABLE oauth_grants (
    token INTEGER PRIMARY KEY REFERENCES tokens (id) ON DELETE CASCADE,
    client INTEGER NOT NULL REFERENCES oauth_clients (id),
    resource TEXT NOT NULL,
    family BLOB NOT NULL UNIQUE,
    secret BLOB NOT NULL,
    access_expires_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX oauth_grants_of_client ON oauth_grants (client);
