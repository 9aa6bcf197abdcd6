-- Links and invitations of a token of a program end with it, and give no more than it has; NULL for those of a browser.
ALTER TABLE links ADD COLUMN token INTEGER REFERENCES tokens (id) ON DELETE CASCADE;
ALTER TABLE invitations ADD COLUMN token INTEGER REFERENCES tokens (id) ON DELETE CASCADE;
CREATE INDEX links_of_token ON links (token) WHERE token IS NOT NULL;
CREATE INDEX invitations_of_token ON invitations (token) WHERE token IS NOT NULL;
