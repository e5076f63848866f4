
-- What people have to decide about an entity, a function of its document like projections: in the order of its places,
-- described as JSON.
CREATE TABLE conflicts (
    entity_row INTEGER NOT NULL REFERENCES entities,
    place      INTEGER NOT NULL,
    conflict   BLOB    NOT NULL CHECK (length(conflict) = 16),
    json       TEXT    NOT NULL,
    PRIMARY KEY (entity_row, place)
) STRICT, WITHOUT ROWID;

-- Entities whose conflicts are older than their documents, and have to be written again before they are shown. Where the rules for
-- conflicts change, a step of the schema makes those of all entities stale.
CREATE TABLE conflicts_stale (
    entity_row INTEGER PRIMARY KEY REFERENCES entities
) STRICT;
