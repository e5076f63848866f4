
-- What was deleted (purge 0) or purged (1) here, with the hash of the change or record that says so, until some time after it is known
-- to be on a relay (sent): what a guard counts before it lets the outbox go. A row that somebody has confirmed counts no more.
-- `over` once there were too many, until somebody has confirmed it, taken one of them back or set another guard.
-- Whoever takes a deletion back takes the row away.
CREATE TABLE deletions (
    space_row  INTEGER NOT NULL REFERENCES spaces,
    entity     BLOB    NOT NULL CHECK (length(entity) = 16),
    entity_row INTEGER REFERENCES entities,
    collection TEXT    NOT NULL,
    purge      INTEGER NOT NULL CHECK (purge IN (0, 1)),
    hash       BLOB    NOT NULL CHECK (length(hash) = 32),
    confirmed  INTEGER NOT NULL DEFAULT 0 CHECK (confirmed IN (0, 1)),
    sent       INTEGER NOT NULL DEFAULT 0 CHECK (sent IN (0, 1)),
    over       INTEGER NOT NULL DEFAULT 0 CHECK (over IN (0, 1)),
    at_ms      INTEGER NOT NULL,
    PRIMARY KEY (space_row, entity),
    CHECK ((entity_row IS NULL) = (purge = 1))
) STRICT, WITHOUT ROWID;
CREATE INDEX deletions_of_entity ON deletions (entity_row) WHERE entity_row IS NOT NULL;
CREATE INDEX deletions_over ON deletions (space_row) WHERE over = 1;
CREATE INDEX deletions_counted ON deletions (at_ms) WHERE sent = 1;

CREATE TRIGGER deletions_sent AFTER UPDATE OF sequence ON changes
WHEN NEW.sequence IS NOT NULL AND OLD.sequence IS NULL BEGIN
    UPDATE deletions SET sent = 1 WHERE entity_row = NEW.entity_row AND hash = NEW.hash;
END;
CREATE TRIGGER deletions_purged AFTER UPDATE OF sequence ON erasures
WHEN NEW.sequence IS NOT NULL AND OLD.sequence IS NULL BEGIN
    UPDATE deletions SET sent = 1 WHERE space_row = NEW.space_row AND entity = NEW.entity AND purge = 1;
END;
CREATE TRIGGER deletions_taken_back AFTER UPDATE OF deleted ON projections
WHEN OLD.deleted = 1 AND NEW.deleted = 0 BEGIN
    UPDATE deletions SET over = 0 WHERE over = 1 AND space_row = NEW.space_row
    AND EXISTS (SELECT 1 FROM deletions AS taken WHERE taken.entity_row = NEW.entity_row);
    DELETE FROM deletions WHERE entity_row = NEW.entity_row;
END;

-- How much may be deleted unasked, by space and collection; the collection without a name is for all that have no row of their own.
-- Without a row, and where both are NULL, everything may.
CREATE TABLE guards (
    space_row  INTEGER NOT NULL REFERENCES spaces,
    collection TEXT    NOT NULL,
    deletions  INTEGER CHECK (deletions >= 0),
    share      REAL    CHECK (share BETWEEN 0 AND 1),
    PRIMARY KEY (space_row, collection)
) STRICT, WITHOUT ROWID;

-- What others deleted (purge 0) or purged (1), and a guard holds back here: the received changes of the entity are not merged, or its
-- erasure record is not followed. `over` once there were too many of them; before, a run is not over yet. `confirmed` from the
-- moment at which somebody lets it through until it is done. Of an erasure record the reason and the mark stand here, since as
-- long as it is not followed it has no row in erasures.
CREATE TABLE held_deletions (
    space_row  INTEGER NOT NULL REFERENCES spaces,
    entity     BLOB    NOT NULL CHECK (length(entity) = 16),
    collection TEXT    NOT NULL,
    purge      INTEGER NOT NULL CHECK (purge IN (0, 1)),
    hash       BLOB    NOT NULL CHECK (length(hash) = 32),
    reason     INTEGER CHECK (reason BETWEEN 1 AND 255),
    sequence   INTEGER CHECK (sequence > 0),
    device     BLOB    CHECK (length(device) = 16),
    author     TEXT,
    at_ms      INTEGER NOT NULL,
    over       INTEGER NOT NULL CHECK (over IN (0, 1)),
    confirmed  INTEGER NOT NULL DEFAULT 0 CHECK (confirmed IN (0, 1)),
    PRIMARY KEY (space_row, entity),
    CHECK ((reason IS NULL) = (purge = 0))
) STRICT, WITHOUT ROWID;
