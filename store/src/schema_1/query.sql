
-- What is declared for queries. The index of row n of query_indexes is named query_n; the full-text table of row n of
-- search_declarations is search_n, with the view search_n_source of what it indexes and the triggers on projections that keep it.
-- Fields are a JSON array of paths.
CREATE TABLE query_indexes (
    query_index_row INTEGER PRIMARY KEY,
    space_row       INTEGER NOT NULL REFERENCES spaces,
    collection      TEXT    NOT NULL,
    fields          TEXT    NOT NULL,
    UNIQUE (space_row, collection, fields)
) STRICT;
CREATE TABLE search_declarations (
    search_row INTEGER PRIMARY KEY,
    space_row  INTEGER NOT NULL REFERENCES spaces,
    collection TEXT    NOT NULL,
    fields     TEXT    NOT NULL,
    UNIQUE (space_row, collection)
) STRICT;
