-- The sessions of the relay that runs on the file, for commands beside it: written down some seconds after they begin, change and end. They are
-- of no log: a relay that starts forgets what one before it left, a backup has none, and whether one runs is told by its lock alone.
CREATE TABLE sessions (
    id BLOB PRIMARY KEY,
    -- Absent where anyone may do everything, and so is the token.
    user INTEGER,
    device BLOB NOT NULL,
    token INTEGER,
    address TEXT,
    since_ms INTEGER NOT NULL,
    heard_ms INTEGER NOT NULL,
    queued_bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The spaces that a session has open, with what its device has stored of them. How far the log is stands in `spaces`.
CREATE TABLE session_spaces (
    session BLOB NOT NULL,
    space INTEGER NOT NULL,
    stored INTEGER,
    PRIMARY KEY (session, space)
) STRICT, WITHOUT ROWID;
