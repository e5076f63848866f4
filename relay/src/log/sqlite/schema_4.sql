-- A user who was purged: the row stays, since no number is given twice, and who held its tokens is told that they are signed out.
ALTER TABLE users ADD COLUMN purged_ms INTEGER;

-- Whose tokens are over that an app's backend signed before a moment, shown or not: those of users who were purged. Who that was does not
-- stand here: `owner` is a hash of issuer and subject, keyed with the secret of the file.
CREATE TABLE purged_owners (
    owner BLOB PRIMARY KEY,
    signed_not_before_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX purged_owners_by_moment ON purged_owners (signed_not_before_ms);

-- From when on anything is good that an app's backend signed, of whoever: since all access ended, as behind a restored backup, which does
-- not know everybody who had come meanwhile.
ALTER TABLE file ADD COLUMN signed_not_before_ms INTEGER;

-- Which tokens a device has shown: all of them end where it is signed out, or whoever holds one comes back as another device.
CREATE TABLE shown_tokens (
    user INTEGER NOT NULL REFERENCES users,
    device BLOB NOT NULL,
    token INTEGER NOT NULL REFERENCES tokens ON DELETE CASCADE,
    PRIMARY KEY (user, device, token)
) STRICT, WITHOUT ROWID;

CREATE INDEX shown_tokens_by_token ON shown_tokens (token);

INSERT INTO shown_tokens (user, device, token)
    SELECT d.user, d.id, t.number FROM devices d JOIN tokens t ON t.number = d.token AND t.user = d.user;
