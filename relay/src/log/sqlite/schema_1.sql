CREATE TABLE users (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_ms INTEGER NOT NULL
) STRICT;

-- The user of tokens that name none, and of a relay without access control.
INSERT INTO users (number, name, created_ms) VALUES (1, 'default', 0);

-- A token that is revoked keeps its row, so that no number is given twice.
CREATE TABLE tokens (
    number INTEGER PRIMARY KEY,
    user INTEGER NOT NULL REFERENCES users,
    hash BLOB NOT NULL UNIQUE,
    name TEXT,
    may_create INTEGER NOT NULL,
    read_only INTEGER NOT NULL,
    -- Whether the token is for the spaces in token_spaces only.
    restricted INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER,
    revoked_ms INTEGER
) STRICT;

-- By id and not by number: a token may be made for a space before the space reaches the relay.
CREATE TABLE token_spaces (
    token INTEGER NOT NULL REFERENCES tokens,
    space BLOB NOT NULL,
    PRIMARY KEY (token, space)
) STRICT, WITHOUT ROWID;

-- The row of a space is its head: everything that an append changes once per transaction.
CREATE TABLE spaces (
    number INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    log BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    chain BLOB NOT NULL,
    chunks INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    created_ms INTEGER NOT NULL
) STRICT;

-- Roles: 1 reader, 2 writer, 3 owner.
CREATE TABLE members (
    user INTEGER NOT NULL REFERENCES users,
    space INTEGER NOT NULL REFERENCES spaces,
    role INTEGER NOT NULL,
    PRIMARY KEY (user, space)
) STRICT, WITHOUT ROWID;

CREATE TABLE collections (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE actors (
    number INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE
) STRICT;

-- Unique per space only: a check across spaces would tell that an id exists elsewhere (R6).
CREATE TABLE entities (
    number INTEGER PRIMARY KEY,
    space INTEGER NOT NULL REFERENCES spaces,
    id BLOB NOT NULL,
    collection INTEGER NOT NULL REFERENCES collections,
    operations INTEGER NOT NULL,
    -- How many of its chunks are in segments. What can be lost counts them by the segments themselves.
    archived INTEGER NOT NULL DEFAULT 0,
    -- The checks of all its runs of actors (actor_runs), added up: where they say another thing, one of them has decayed.
    runs_check INTEGER NOT NULL DEFAULT 0,
    UNIQUE (space, id)
) STRICT;

-- Those of which a snapshot may be worth a try.
CREATE INDEX entities_to_cover ON entities (archived) WHERE archived >= 1024;

-- Snapshots that were tried, of how many chunks: the row is there before the engine is given anything, so that what makes it take
-- the process with it is not tried at every start. Entities whose snapshot was made have none.
CREATE TABLE snapshot_tries (
    entity INTEGER PRIMARY KEY,
    chunks INTEGER NOT NULL,
    tries INTEGER NOT NULL
) STRICT;

-- position = space number << 40 | sequence, so that the table itself is ordered by log and needs no index for it.
-- References are not declared here: they would cost a look-up each in the relay's hottest statement.
CREATE TABLE chunks (
    position INTEGER PRIMARY KEY,
    entity INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    actor INTEGER NOT NULL,
    actor_sequence INTEGER NOT NULL,
    change BLOB NOT NULL,
    hash BLOB NOT NULL,
    chain BLOB NOT NULL,
    bytes BLOB NOT NULL
) STRICT;

CREATE UNIQUE INDEX chunks_by_actor ON chunks (entity, actor, actor_sequence);

-- Eight bytes of a hash are enough to find a change; the query compares the whole.
CREATE INDEX chunks_by_change ON chunks (entity, substr(change, 1, 8));

-- The old part of a log, from its first sequence on without a gap: some hundred chunks a row, up to the position `last`, and as
-- many as there are hashes. The chain hash and the layout stand twice, here or in a neighbour, so that one that decays is found
-- again.
CREATE TABLE segments (
    last INTEGER PRIMARY KEY,
    -- The chain hash before the first chunk, and at the last.
    before BLOB NOT NULL,
    chain BLOB NOT NULL,
    layout BLOB NOT NULL,
    -- Which of the chunks the body has, a bit each, and the BLAKE3 of that and of the body; nothing where it has none.
    held BLOB NOT NULL,
    -- The chunks as one batch, without those that a snapshot covers and those that had decayed and stay rows.
    body BLOB NOT NULL
) STRICT;

-- What no compression makes smaller, and what stays when a snapshot takes the place of the chunks: whose they are and of what
-- kind, their hashes of 32 bytes, and all of these hashes combined by exclusive or.
CREATE TABLE segment_hashes (
    last INTEGER PRIMARY KEY,
    layout BLOB NOT NULL,
    hashes BLOB NOT NULL,
    parity BLOB NOT NULL
) STRICT;

-- The changes of segments by actor: runs of actor sequences without a gap.
CREATE TABLE actor_runs (
    entity INTEGER NOT NULL,
    actor INTEGER NOT NULL,
    last INTEGER NOT NULL,
    first INTEGER NOT NULL,
    segment INTEGER NOT NULL,
    PRIMARY KEY (entity, actor, last)
) STRICT, WITHOUT ROWID;

-- The changes of segments by the first eight bytes of the BLAKE3 of their hashes, keyed with the secret: nobody can name a change that
-- was never made and meet one of these, however many there are and however long he looks for one at home.
CREATE TABLE change_prefixes (
    entity INTEGER NOT NULL,
    prefix INTEGER NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (entity, prefix, position)
) STRICT, WITHOUT ROWID;

-- What stands for the chunks of an entity up to the position `covered`, the last of them. Up to `stripped` segments hold them no more.
-- The bytes say themselves whose they are and which positions they stand for: that counts, and the columns beside them are believed
-- only as far as `head` is the hash of all of them.
CREATE TABLE snapshots (
    entity INTEGER PRIMARY KEY,
    covered INTEGER NOT NULL,
    stripped INTEGER NOT NULL,
    changes INTEGER NOT NULL,
    -- Whether it fits a frame, so that readers get it as it is.
    travels INTEGER NOT NULL,
    hash BLOB NOT NULL,
    head BLOB NOT NULL,
    bytes BLOB NOT NULL
) STRICT;

CREATE INDEX snapshots_to_strip ON snapshots (entity) WHERE stripped < covered;

-- What belongs to the file as a whole. A secret, three times, so that a copy that decays is outvoted. And what a relay that has the
-- file open tells commits of other processes apart by: how many there were that leave what is served as it was, and how many that
-- change who may do what.
CREATE TABLE file (
    number INTEGER PRIMARY KEY,
    upkeep INTEGER NOT NULL,
    administration INTEGER NOT NULL,
    secret BLOB NOT NULL,
    second_secret BLOB NOT NULL,
    third_secret BLOB NOT NULL
) STRICT;

INSERT INTO file (number, upkeep, administration, secret, second_secret, third_secret)
    VALUES (1, 0, 0, randomblob(32), x'', x'');
UPDATE file SET second_secret = secret, third_secret = secret;

CREATE TRIGGER tokens_insert AFTER INSERT ON tokens BEGIN UPDATE file SET administration = administration + 1; END;
CREATE TRIGGER tokens_update AFTER UPDATE ON tokens BEGIN UPDATE file SET administration = administration + 1; END;
CREATE TRIGGER tokens_delete AFTER DELETE ON tokens BEGIN UPDATE file SET administration = administration + 1; END;
CREATE TRIGGER token_spaces_insert AFTER INSERT ON token_spaces BEGIN UPDATE file SET administration = administration + 1; END;
CREATE TRIGGER token_spaces_delete AFTER DELETE ON token_spaces BEGIN UPDATE file SET administration = administration + 1; END;
CREATE TRIGGER members_insert AFTER INSERT ON members BEGIN UPDATE file SET administration = administration + 1; END;
CREATE TRIGGER members_update AFTER UPDATE ON members BEGIN UPDATE file SET administration = administration + 1; END;
CREATE TRIGGER members_delete AFTER DELETE ON members BEGIN UPDATE file SET administration = administration + 1; END;
CREATE TRIGGER spaces_delete AFTER DELETE ON spaces BEGIN UPDATE file SET administration = administration + 1; END;
