-- A user who may no longer sign in keeps the row, the spaces and the members. `signed_out_ms`: what was signed before by an app's backend
-- is over. `issuer` and `subject` name the user of signed tokens.
ALTER TABLE users ADD COLUMN disabled_ms INTEGER;
ALTER TABLE users ADD COLUMN signed_out_ms INTEGER;
ALTER TABLE users ADD COLUMN issuer TEXT;
ALTER TABLE users ADD COLUMN subject TEXT;
CREATE UNIQUE INDEX users_by_subject ON users (issuer, subject) WHERE issuer IS NOT NULL;

-- Whether the token opens the administration of the relay, and whether it was signed by an app's backend: then what it may do stands in
-- token_spaces alone, with a role each, and being a member of a space gives it nothing.
ALTER TABLE tokens ADD COLUMN administers INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tokens ADD COLUMN signed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE token_spaces ADD COLUMN role INTEGER;
CREATE INDEX tokens_by_user ON tokens (user);
CREATE INDEX signed_tokens_by_end ON tokens (expires_ms) WHERE signed;
CREATE INDEX members_by_space ON members (space, user);

-- Devices that signed in, written some seconds after they did. A device that is signed out keeps its row: with a token that was made
-- before that moment it does not come back.
CREATE TABLE devices (
    user INTEGER NOT NULL REFERENCES users,
    id BLOB NOT NULL,
    name TEXT,
    -- The token that it showed last.
    token INTEGER REFERENCES tokens,
    address TEXT,
    first_seen_ms INTEGER NOT NULL,
    last_seen_ms INTEGER NOT NULL,
    signed_out_ms INTEGER,
    PRIMARY KEY (user, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX devices_by_token ON devices (token);

-- An invitation is used once, and only its hash is kept.
CREATE TABLE invitations (
    number INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    space INTEGER NOT NULL REFERENCES spaces,
    role INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    used_ms INTEGER,
    used_by INTEGER REFERENCES users,
    withdrawn_ms INTEGER
) STRICT;

CREATE TRIGGER users_update AFTER UPDATE OF disabled_ms, signed_out_ms ON users BEGIN UPDATE file SET administration = administration + 1; END;
CREATE TRIGGER token_spaces_update AFTER UPDATE ON token_spaces BEGIN UPDATE file SET administration = administration + 1; END;
CREATE TRIGGER devices_update AFTER UPDATE OF signed_out_ms ON devices BEGIN UPDATE file SET administration = administration + 1; END;
CREATE TRIGGER devices_insert AFTER INSERT ON devices WHEN NEW.signed_out_ms IS NOT NULL BEGIN UPDATE file SET administration = administration + 1; END;
