
-- Entities that were purged, whose every other row is gone. `sequence` is the mark of the erasure record, as for changes: a record without
-- one is in the outbox (D5), unless it is held back; `logged` and `held` are as for changes. `refused` is the code with which the relay did not
-- take it, since when is `refused_ms`; as a block does that tells of nothing but the last session. The collection is what the record travels with. An entity that lives in another space of this store is not
-- touched by a record of this one.
CREATE TABLE erasures (
    erasure_row INTEGER PRIMARY KEY AUTOINCREMENT,
    space_row   INTEGER NOT NULL REFERENCES spaces,
    entity      BLOB    NOT NULL CHECK (length(entity) = 16),
    collection  TEXT    NOT NULL,
    reason      INTEGER NOT NULL CHECK (reason BETWEEN 1 AND 255),
    logged      INTEGER NOT NULL DEFAULT 0 CHECK (logged IN (0, 1)),
    held        INTEGER NOT NULL DEFAULT 0 CHECK (held = 0 OR held = 1 AND sequence IS NULL),
    sequence    INTEGER CHECK (sequence > 0),
    at_ms       INTEGER NOT NULL,
    refused     INTEGER,
    refused_ms  INTEGER CHECK (refused_ms IS NULL OR refused IS NOT NULL),
    UNIQUE (space_row, entity)
) STRICT;
CREATE INDEX erasures_refused ON erasures (space_row) WHERE refused IS NOT NULL AND sequence IS NULL;
CREATE INDEX erasures_outbox ON erasures (space_row, erasure_row) WHERE sequence IS NULL AND held = 0;

-- For how long what is deleted is kept before it is purged, by space; without a row for ever.
CREATE TABLE trash (
    space_row    INTEGER PRIMARY KEY REFERENCES spaces,
    retention_ms INTEGER NOT NULL CHECK (retention_ms >= 0)
) STRICT;

-- How long the trash of a space has been looked after: `counted_ms` is the sum of the times between looks, of which each counts up to a
-- bound, so that no jump of this device's clock is taken for time that has passed; `looked_ms` is the last look by that clock. What
-- was kept for long enough and waits for the relay's word that nothing else has come is `wanted`.
CREATE TABLE trash_looks (
    space_row  INTEGER PRIMARY KEY REFERENCES spaces,
    looked_ms  INTEGER NOT NULL,
    counted_ms INTEGER NOT NULL DEFAULT 0 CHECK (counted_ms >= 0),
    wanted     INTEGER NOT NULL DEFAULT 0 CHECK (wanted IN (0, 1))
) STRICT;

-- Since when this device has known an entity as deleted, in the counted time of its space; noted when the trash is looked through.
CREATE TABLE trashed (
    entity_row INTEGER PRIMARY KEY REFERENCES entities,
    known_ms   INTEGER NOT NULL
) STRICT;
CREATE TRIGGER trashed_taken_back AFTER UPDATE OF deleted ON projections WHEN OLD.deleted = 1 AND NEW.deleted = 0 BEGIN
    DELETE FROM trashed WHERE entity_row = NEW.entity_row;
END;
CREATE INDEX projections_deleted ON projections (space_row, collection) WHERE deleted = 1;
