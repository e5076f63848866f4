
-- Entities that were purged, whose every other row is gone. `sequence` is the mark of the erasure record, as for changes: a record without
-- one is in the outbox (D5). The collection is what the record travels with. An entity that lives in another space of this store is not
-- touched by a record of this one.
CREATE TABLE erasures (
    erasure_row INTEGER PRIMARY KEY,
    space_row   INTEGER NOT NULL REFERENCES spaces,
    entity      BLOB    NOT NULL CHECK (length(entity) = 16),
    collection  TEXT    NOT NULL,
    reason      INTEGER NOT NULL CHECK (reason BETWEEN 1 AND 255),
    sequence    INTEGER CHECK (sequence > 0),
    at_ms       INTEGER NOT NULL,
    UNIQUE (space_row, entity)
) STRICT;
CREATE INDEX erasures_outbox ON erasures (space_row, erasure_row) WHERE sequence IS NULL;

-- For how long what is deleted is kept before it is purged, by space; without a row for ever.
CREATE TABLE trash (
    space_row    INTEGER PRIMARY KEY REFERENCES spaces,
    retention_ms INTEGER NOT NULL CHECK (retention_ms >= 0)
) STRICT;
