-- What a purge takes away by is found without a look at all of the log, which others would wait for: the names of collections that nothing
-- uses, of which SQLite asks at each one that goes whether an entity refers to it, and the tokens of a space.
CREATE INDEX entities_by_collection ON entities (collection);
CREATE INDEX token_spaces_by_space ON token_spaces (space);
