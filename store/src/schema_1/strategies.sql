
-- How conflicts are decided that arise in a collection, where that is not left to Automerge and the inbox: of one field, named by its path, or
-- of all that have no row of their own, where that is empty. A strategy is stored by its name.
CREATE TABLE strategies (
    space_row  INTEGER NOT NULL REFERENCES spaces,
    collection TEXT    NOT NULL,
    field      TEXT    NOT NULL,
    strategy   TEXT    NOT NULL,
    PRIMARY KEY (space_row, collection, field)
) STRICT, WITHOUT ROWID;
