
-- Collections whose changes do not go both ways: 1 from here to the relay, 2 from the relay to here, 3 neither. It is theirs whether or not
-- there are entities of them yet.
CREATE TABLE directions (
    space_row  INTEGER NOT NULL REFERENCES spaces,
    collection TEXT    NOT NULL,
    direction  INTEGER NOT NULL CHECK (direction BETWEEN 1 AND 3),
    PRIMARY KEY (space_row, collection)
) STRICT, WITHOUT ROWID;
