
-- Entities that were purged: where the erasure record stands, and its reason. The bytes of all their other chunks are gone from rows and
-- snapshots, and up to the position `cleared` from segments; what leads through the chain stays.
CREATE TABLE erasures (
    entity INTEGER PRIMARY KEY,
    position INTEGER NOT NULL,
    reason INTEGER NOT NULL,
    cleared INTEGER NOT NULL
) STRICT;

CREATE INDEX erasures_to_clear ON erasures (entity) WHERE cleared < position;
