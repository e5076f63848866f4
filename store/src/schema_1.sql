-- Schema version 1. Integers named *_row are this file's own short names for 16-byte identities.

-- The identities that this store has had; the newest row is the present one. A copied store takes a new one.
CREATE TABLE devices (
    device_row INTEGER PRIMARY KEY,
    device     BLOB    NOT NULL UNIQUE CHECK (length(device) = 16),
    since_ms   INTEGER NOT NULL
) STRICT;

-- Openings of this store that may have reached a relay, in the order of their rows.
CREATE TABLE incarnations (
    incarnation_row INTEGER PRIMARY KEY,
    incarnation     BLOB    NOT NULL UNIQUE CHECK (length(incarnation) = 16)
) STRICT;

CREATE TABLE spaces (
    space_row        INTEGER PRIMARY KEY,
    space            BLOB    NOT NULL UNIQUE CHECK (length(space) = 16),
    name             TEXT    NOT NULL,
    origin           INTEGER NOT NULL CHECK (origin IN (0, 1)),       -- 0 made here, 1 joined
    created_ms       INTEGER NOT NULL,
    -- The cursor: all three or none.
    log              BLOB    CHECK (length(log) = 16),
    sequence         INTEGER CHECK (sequence >= 0),
    chain            BLOB    CHECK (length(chain) = 32),
    resets           INTEGER NOT NULL DEFAULT 0,
    last_reset_ms    INTEGER,
    -- What the device may do with it, as the relay said last: 1 read, 2 write, 3 own; absent while it has never been on a relay.
    role             INTEGER CHECK (role IN (1, 2, 3)),
    -- Whether the relay that had it said last that it knows no such space for this device: nothing of it counts as stored elsewhere until it is served again.
    lost             INTEGER NOT NULL DEFAULT 0 CHECK (lost IN (0, 1)),
    -- The invitation that the device was given, until the relay has answered it.
    invitation       TEXT    CHECK (length(invitation) > 0),
    -- Whether the device asks only for what stands in wanted.
    filtered         INTEGER NOT NULL DEFAULT 0 CHECK (filtered IN (0, 1)),
    CHECK ((log IS NULL) = (sequence IS NULL) AND (log IS NULL) = (chain IS NULL))
) STRICT;

-- Written once per entity and never changed: what changes with every edit stands in projections.
CREATE TABLE entities (
    entity_row INTEGER PRIMARY KEY,
    space_row  INTEGER NOT NULL REFERENCES spaces,
    entity     BLOB    NOT NULL UNIQUE CHECK (length(entity) = 16),
    collection TEXT    NOT NULL
) STRICT;
CREATE INDEX entities_listed ON entities (space_row, collection, entity);

-- What the document reads as. A stale row is older than the document and has to be written again before it is shown;
-- json is NULL when the entity has never been projected. Space and collection repeat the entity's, and never change, so that an
-- index of one collection's fields can be a partial one.
CREATE TABLE projections (
    entity_row INTEGER PRIMARY KEY REFERENCES entities,
    space_row  INTEGER NOT NULL REFERENCES spaces,
    collection TEXT    NOT NULL,
    stale      INTEGER NOT NULL CHECK (stale IN (0, 1)),
    deleted    INTEGER NOT NULL CHECK (deleted IN (0, 1)),
    updated_ms INTEGER NOT NULL,
    json       TEXT,
    CHECK (stale = 1 OR json IS NOT NULL)
) STRICT;
CREATE INDEX projections_stale ON projections (entity_row) WHERE stale = 1;

-- Every change that the device holds, whoever made it. Rows are in the order in which they came, which is causal per
-- entity for the device's own. `sequence` is the mark: where the change stands in the log prefix that the space's cursor
-- names. A row without a mark is in the outbox by being in one of its two indexes, so "held = marked + outbox" (D5) cannot
-- be broken by forgetting a second write. space_row repeats the entity's so that the outbox of a space is one index range.
-- Actor and actor sequence are not repeated here: they stand in the bytes, and every open writes under a new actor (D6).
-- `logged` is whether it stood in a log of the space although it has no mark: before a Reset, or above the cursor. `held` is whether
-- the direction of its collection keeps it here, out of the outbox (see directions).
-- A covered change has no row in bodies: its bytes are taken out of its entity's snapshot. Everything else of it stays.
-- A number is given once, also when the last rows are removed: a session that has offered the outbox up to a row looks behind it only.
CREATE TABLE change_floor (
    change_row INTEGER NOT NULL
) STRICT;
INSERT INTO change_floor VALUES (0);
CREATE TABLE changes (
    change_row INTEGER PRIMARY KEY,
    entity_row INTEGER NOT NULL REFERENCES entities,
    space_row  INTEGER NOT NULL REFERENCES spaces,
    hash       BLOB    NOT NULL CHECK (length(hash) = 32),
    state      INTEGER NOT NULL CHECK (state BETWEEN 0 AND 3),        -- 0 applied, 1 received, 2 waiting, 3 quarantined
    covered    INTEGER NOT NULL DEFAULT 0 CHECK (covered IN (0, 1)),
    logged     INTEGER NOT NULL DEFAULT 0 CHECK (logged IN (0, 1)),
    held       INTEGER NOT NULL DEFAULT 0 CHECK (held = 0 OR held = 1 AND sequence IS NULL),
    sequence   INTEGER CHECK (sequence > 0),
    at_ms      INTEGER NOT NULL,
    size       INTEGER NOT NULL,                                      -- of the bytes, wherever they stand
    CHECK (covered = 0 OR state = 0),
    UNIQUE (entity_row, hash)
) STRICT;
CREATE INDEX changes_outbox ON changes (space_row, change_row) WHERE sequence IS NULL AND covered = 0 AND held = 0;
CREATE INDEX changes_outbox_covered ON changes (space_row, entity_row, change_row) WHERE sequence IS NULL AND covered = 1 AND held = 0;
CREATE INDEX changes_held ON changes (space_row, entity_row) WHERE held = 1;
CREATE INDEX changes_unsettled ON changes (state, entity_row) WHERE state <> 0;

-- The bytes of the changes that are not covered. They stand apart so that compaction gives whole pages back, and what
-- remains of a change in its place stays as dense as it was.
CREATE TABLE bodies (
    change_row INTEGER PRIMARY KEY REFERENCES changes ON UPDATE CASCADE ON DELETE CASCADE,
    bytes      BLOB    NOT NULL
) STRICT;

-- What could not be applied and why. Rows with bytes are chunks that are no change of this space (broken, of an unknown
-- kind, of an entity that lives in another space) and are named by the BLAKE3 of their bytes; rows without bytes explain
-- a row of changes, where their mark stands too, and are named by the hash of the change.
CREATE TABLE quarantine (
    quarantine_row INTEGER PRIMARY KEY,
    space_row      INTEGER NOT NULL REFERENCES spaces,
    entity         BLOB    NOT NULL CHECK (length(entity) = 16),
    hash           BLOB    NOT NULL CHECK (length(hash) = 32),
    kind           INTEGER NOT NULL,
    reason         INTEGER NOT NULL,
    rules          INTEGER NOT NULL,
    sequence       INTEGER CHECK (sequence > 0),
    at_ms          INTEGER NOT NULL,
    bytes          BLOB,
    UNIQUE (space_row, entity, hash),
    CHECK (bytes IS NOT NULL OR sequence IS NULL)
) STRICT;

-- Entities whose outbox waits because the relay refused one of their changes.
CREATE TABLE blocks (
    entity_row INTEGER PRIMARY KEY REFERENCES entities,
    space_row  INTEGER NOT NULL REFERENCES spaces,
    code       INTEGER NOT NULL,
    hash       BLOB    NOT NULL CHECK (length(hash) = 32),
    missing    BLOB    NOT NULL CHECK (length(missing) % 32 = 0),
    since_ms   INTEGER NOT NULL
) STRICT;
CREATE INDEX blocks_of_space ON blocks (space_row);

-- Saved documents, which hold every applied change up to and including row `upto`. A change that is applied later than it
-- came is given a new row above `upto`. An unconfirmed one only makes opening quicker. A confirmed one was read back and
-- compared with every change that it stands for, and may be the only place where the bytes of covered changes are: so it
-- stands in both tables, and a new one takes the place of one of them only (D8). `digest` is over all of it; `saved` numbers
-- the copies of an entity in the order of their making. What is said of a copy stands before its bytes, so that it can be
-- read where these are damaged; and the two tables share no page.
CREATE TABLE snapshots (
    entity_row INTEGER PRIMARY KEY REFERENCES entities,
    saved      INTEGER NOT NULL,
    upto       INTEGER NOT NULL,
    confirmed  INTEGER NOT NULL CHECK (confirmed IN (0, 1)),
    digest     BLOB    NOT NULL CHECK (length(digest) = 32),
    changes    INTEGER NOT NULL,
    heads      BLOB    NOT NULL CHECK (length(heads) % 32 = 0),
    bytes      BLOB    NOT NULL
) STRICT;
CREATE TABLE snapshots_second (
    entity_row INTEGER PRIMARY KEY REFERENCES entities,
    saved      INTEGER NOT NULL,
    upto       INTEGER NOT NULL,
    confirmed  INTEGER NOT NULL CHECK (confirmed IN (0, 1)),
    digest     BLOB    NOT NULL CHECK (length(digest) = 32),
    changes    INTEGER NOT NULL,
    heads      BLOB    NOT NULL CHECK (length(heads) % 32 = 0),
    bytes      BLOB    NOT NULL
) STRICT;

-- What this device asks for of a space whose row in spaces says that it does not ask for everything: 0 a collection, 1 an
-- entity, 2 a collection of which the ids alone are wanted. The name is the collection's, or the id's 16 bytes. A row is named by
-- the filter, or was fetched as a single entity, or both: another filter takes away only what is named, and that a relay
-- does not know an entity only what was fetched.
CREATE TABLE wanted (
    space_row INTEGER NOT NULL REFERENCES spaces,
    kind      INTEGER NOT NULL CHECK (kind IN (0, 1, 2)),
    name      BLOB    NOT NULL,
    named     INTEGER NOT NULL CHECK (named IN (0, 1)),
    fetched   INTEGER NOT NULL CHECK (fetched IN (0, 1) AND named + fetched > 0),
    PRIMARY KEY (space_row, kind, name)
) STRICT, WITHOUT ROWID;

-- What is wanted and may not be here up to the cursor, since it was not wanted when the cursor passed it (kinds as above, 3
-- everything). It is here up to `after`. With `changes`, a snapshot was not usable, and changes are asked for. A row that
-- is asked for anew gets a new number, so that an answer to what was asked before does not end it.
CREATE TABLE backfills (
    backfill_row INTEGER PRIMARY KEY AUTOINCREMENT,
    space_row    INTEGER NOT NULL REFERENCES spaces,
    kind         INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 3),
    name         BLOB    NOT NULL,
    after        INTEGER NOT NULL CHECK (after >= 0),
    changes      INTEGER NOT NULL CHECK (changes IN (0, 1)),
    UNIQUE (space_row, kind, name)
) STRICT;

-- Entities that are known to exist, whether they are here or not.
CREATE TABLE announced (
    space_row  INTEGER NOT NULL REFERENCES spaces,
    entity     BLOB    NOT NULL CHECK (length(entity) = 16),
    collection TEXT    NOT NULL,
    PRIMARY KEY (space_row, entity)
) STRICT, WITHOUT ROWID;
