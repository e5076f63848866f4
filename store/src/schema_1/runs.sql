
-- How each space is synced, where that is not the default: a row comes with the first change. Of a schedule, `cron` with
-- `zone`, or `every_ms`, or neither. `started_ms` is when a run was last started for the schedule, or when it was set: what
-- fell due after that was missed.
CREATE TABLE sync_settings (
    space_row      INTEGER PRIMARY KEY REFERENCES spaces,
    enabled        INTEGER NOT NULL DEFAULT 1 CHECK (enabled IN (0, 1)),
    cron           TEXT,
    zone           TEXT,
    every_ms       INTEGER CHECK (every_ms > 0),
    started_ms     INTEGER,
    last_synced_ms INTEGER,
    CHECK ((cron IS NULL) = (zone IS NULL) AND (cron IS NULL OR every_ms IS NULL))
) STRICT;

-- What was decided about syncing, and how it went. Rows follow from nothing else and nothing follows from them: they are
-- not synced by themselves, and the oldest go. `times` counts equal decisions in a row. A row with an outcome is a run.
CREATE TABLE runs (
    run_row          INTEGER PRIMARY KEY AUTOINCREMENT,
    space_row        INTEGER REFERENCES spaces,
    cause            TEXT    NOT NULL,
    decision         TEXT    NOT NULL,
    reason           TEXT    NOT NULL,
    until_ms         INTEGER,
    at_ms            INTEGER NOT NULL,
    times            INTEGER NOT NULL CHECK (times > 0),
    outcome          TEXT,
    duration_ms      INTEGER NOT NULL DEFAULT 0,
    changes_sent     INTEGER NOT NULL DEFAULT 0,
    changes_received INTEGER NOT NULL DEFAULT 0,
    bytes_sent       INTEGER NOT NULL DEFAULT 0,
    bytes_received   INTEGER NOT NULL DEFAULT 0,
    error            TEXT
) STRICT;
CREATE INDEX runs_of_space ON runs (space_row, run_row);
CREATE INDEX runs_by_age ON runs (at_ms);

-- Push notifications and webhooks that were followed, by their ids, so that one that comes again is dropped: for each space, or for the
-- device without one, the last few, the oldest first. As little depends on a row as on the history.
CREATE TABLE pushes (
    push_row  INTEGER PRIMARY KEY,
    space_row INTEGER REFERENCES spaces,
    id        TEXT    NOT NULL
) STRICT;
CREATE INDEX pushes_of_space ON pushes (space_row);
