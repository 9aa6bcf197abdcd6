-- Accounts of OpenID Connect whose persons an admin has removed: they get no new person until an admin lets them in again.
CREATE TABLE removed_accounts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    name TEXT NOT NULL,
    removed_ms INTEGER NOT NULL,
    UNIQUE (issuer, subject)
) STRICT;
