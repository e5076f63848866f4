-- Spaces that were purged. Nothing of them is left but the id, so that no device brings one back that was away meanwhile, and the number,
-- which is not given again: what a relay that runs knows by it is of the space that was.
CREATE TABLE purged_spaces (
    id BLOB PRIMARY KEY,
    number INTEGER NOT NULL,
    purged_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER purged_spaces_insert AFTER INSERT ON purged_spaces BEGIN UPDATE file SET administration = administration + 1; END;
CREATE INDEX invitations_by_space ON invitations (space);
