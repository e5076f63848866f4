//! The codes and classes of every error of the store, frozen: a swap or a new name breaks programs that rest on them.

use super::*;
use crate::backup::BackupError;
use crate::query::{Position, QueryError};
use afield_core::frozen::{Frozen, assert_told_by_the_guide};
use afield_core::{ChangeHash, Collection, Cursor, LogId, Sequence, SpaceId, frozen};

const GUIDE: &str = include_str!("../../../bindings/rust/src/guide/errors.md");
const SPACE: SpaceId = SpaceId::from_bytes([1; 16]);
const ENTITY: EntityId = EntityId::from_bytes([2; 16]);
const HASH: ChangeHash = ChangeHash([3; 32]);

fn sqlite() -> rusqlite::Error {
    rusqlite::Error::QueryReturnedNoRows
}

/// A cause whose class few others have, so that what passes it on shows it.
fn full() -> StoreError {
    StoreError::DiskFull(sqlite())
}

fn of_files() -> Vec<Frozen> {
    let known = SchemaVersion::NEWEST;
    let mut rows = frozen!(StoreError {
        StoreError::Corrupt(_) = StoreError::Corrupt(sqlite()) => "store.corrupt", Permanent;
        StoreError::DiskFull(_) = full() => "store.disk_full", Quota;
        StoreError::Busy(_) = StoreError::Busy(sqlite()) => "store.busy", Retry;
        StoreError::ReadOnly(_) = StoreError::ReadOnly(sqlite()) => "store.read_only", Permanent;
        StoreError::CannotOpen(_) = StoreError::CannotOpen(sqlite()) => "store.cannot_open", Permanent;
        StoreError::Io(_) = StoreError::Io(sqlite()) => "store.io", Retry;
        StoreError::Unexpected(_) = StoreError::Unexpected(sqlite()) => "store.unexpected", Permanent;
        StoreError::SnapshotDamaged { .. } = StoreError::SnapshotDamaged { entity: ENTITY }
            => "store.snapshot_damaged", Permanent;
        StoreError::Poisoned = StoreError::Poisoned => "store.poisoned", Retry;
        StoreError::Reloaded = StoreError::Reloaded => "store.reloaded", Retry;
        StoreError::Crashed = StoreError::Crashed => "store.crashed", Retry;
        StoreError::Closed = StoreError::Closed => "store.closed", Retry;
    } passes on {
    });
    rows.extend(frozen!(OpenError {
        OpenError::SqliteTooOld { .. } = OpenError::SqliteTooOld { found: 1, needed: 2 }
            => "open.sqlite_too_old", Upgrade;
        OpenError::NotAStore = OpenError::NotAStore => "open.not_a_store", Permanent;
        OpenError::Newer { .. } = OpenError::Newer { found: known, known } => "open.newer", Upgrade;
        OpenError::Older { .. } = OpenError::Older { found: known, known } => "open.older", Upgrade;
        OpenError::Locked { .. } = OpenError::Locked { holder: None } => "open.locked", Retry;
        OpenError::ReadOnly = OpenError::ReadOnly => "open.read_only", Permanent;
        OpenError::Folder(_) = OpenError::Folder(io::ErrorKind::NotFound.into()) => "open.folder", Permanent;
    } passes on {
        OpenError::Store(_) = OpenError::Store(full()) => "store.disk_full", Quota;
    }));
    rows.extend(frozen!(BackupError {
        BackupError::Exists = BackupError::Exists => "backup.exists", Permanent;
        BackupError::Place(_) = BackupError::Place(io::ErrorKind::NotFound.into()) => "backup.place", Permanent;
    } passes on {
        BackupError::Store(_) = BackupError::Store(full()) => "store.disk_full", Quota;
    }));
    rows
}

fn of_spaces() -> Vec<Frozen> {
    let log = LogId::from_bytes([4; 16]);
    let mut rows = frozen!(SpaceError {
        SpaceError::UnknownSpace { .. } = SpaceError::UnknownSpace { space: SPACE } => "space.unknown", Permanent;
        SpaceError::UnsentChanges { .. } = SpaceError::UnsentChanges { space: SPACE, changes: 1 }
            => "space.unsent", Permanent;
        SpaceError::OnlyCopy { .. } = SpaceError::OnlyCopy { space: SPACE, changes: 1 } => "space.only_copy", Permanent;
        SpaceError::SpaceExists { .. } = SpaceError::SpaceExists { space: SPACE } => "space.exists", Permanent;
        SpaceError::OtherLog { .. } = SpaceError::OtherLog { stored: log } => "space.other_log", Retry;
    } passes on {
        SpaceError::Store(_) = full().into() => "store.disk_full", Quota;
    });
    rows.extend(frozen!(DirectionError {
        DirectionError::UnknownSpace { .. } = DirectionError::UnknownSpace { space: SPACE } => "space.unknown", Permanent;
        DirectionError::TooMany { .. } = DirectionError::TooMany { maximum: 1 } => "direction.too_many", Permanent;
    } passes on {
        DirectionError::Store(_) = full().into() => "store.disk_full", Quota;
    }));
    rows.extend(frozen!(FilterError {
        FilterError::UnknownSpace { .. } = FilterError::UnknownSpace { space: SPACE } => "space.unknown", Permanent;
        FilterError::TooLong { .. } = FilterError::TooLong { maximum: 1 } => "filter.too_long", Permanent;
    } passes on {
        FilterError::Store(_) = full().into() => "store.disk_full", Quota;
    }));
    rows
}

fn of_entities() -> Vec<Frozen> {
    let notes: Collection = "notes".parse().unwrap();
    let notes_again = notes.clone();
    let mut rows = frozen!(AppendError {
        AppendError::UnknownSpace { .. } = AppendError::UnknownSpace { space: SPACE } => "space.unknown", Permanent;
        AppendError::OtherSpace { .. } = AppendError::OtherSpace { entity: ENTITY, space: SPACE }
            => "entity.other_space", Permanent;
        AppendError::OtherCollection { .. } = AppendError::OtherCollection { entity: ENTITY, collection: notes }
            => "entity.other_collection", Permanent;
        AppendError::Purged { .. } = AppendError::Purged { entity: ENTITY } => "entity.purged", Permanent;
    } passes on {
        AppendError::Store(_) = full().into() => "store.disk_full", Quota;
    });
    rows.extend(frozen!(PurgeError {
        PurgeError::UnknownSpace { .. } = PurgeError::UnknownSpace { space: SPACE } => "space.unknown", Permanent;
        PurgeError::UnknownEntity { .. } = PurgeError::UnknownEntity { entity: ENTITY } => "entity.unknown", Permanent;
        PurgeError::OtherSpace { .. } = PurgeError::OtherSpace { entity: ENTITY, space: SPACE }
            => "entity.other_space", Permanent;
        PurgeError::ReadOnly { .. } = PurgeError::ReadOnly { space: SPACE } => "purge.read_only", Permanent;
        PurgeError::OnlyComesIn { .. } = PurgeError::OnlyComesIn { space: SPACE, collection: notes_again }
            => "purge.only_comes_in", Permanent;
    } passes on {
        PurgeError::Store(_) = full().into() => "store.disk_full", Quota;
    }));
    rows.extend(frozen!(EntityError {
        EntityError::UnknownEntity { .. } = EntityError::UnknownEntity { entity: ENTITY } => "entity.missing", Permanent;
        EntityError::UnknownChange { .. } = EntityError::UnknownChange { entity: ENTITY, hash: HASH }
            => "entity.unknown_change", Permanent;
        EntityError::SnapshotDiffers { .. } = EntityError::SnapshotDiffers { snapshot: 1, stored: 2 }
            => "entity.snapshot_differs", Retry;
        EntityError::Covered { .. } = EntityError::Covered { entity: ENTITY, hash: HASH } => "entity.covered", Retry;
    } passes on {
        EntityError::Store(_) = full().into() => "store.disk_full", Quota;
    }));
    rows.extend(frozen!(SnapshotError {
        SnapshotError::Missing { .. } = SnapshotError::Missing { entity: ENTITY } => "snapshot.missing", Retry;
        SnapshotError::DoesNotLoad { .. } = SnapshotError::DoesNotLoad { entity: ENTITY }
            => "snapshot.does_not_load", Permanent;
        SnapshotError::HeadsDiffer { .. } = SnapshotError::HeadsDiffer { entity: ENTITY }
            => "snapshot.heads_differ", Permanent;
        SnapshotError::ChangeMissing { .. } = SnapshotError::ChangeMissing { entity: ENTITY, hash: HASH }
            => "snapshot.change_missing", Permanent;
        SnapshotError::ChangeDiffers { .. } = SnapshotError::ChangeDiffers { entity: ENTITY, hash: HASH }
            => "snapshot.change_differs", Permanent;
        SnapshotError::HoldsOthers { .. } = SnapshotError::HoldsOthers { entity: ENTITY }
            => "snapshot.holds_others", Permanent;
    } passes on {
        SnapshotError::Store(_) = full().into() => "store.disk_full", Quota;
    }));
    rows
}

fn of_sync() -> Vec<Frozen> {
    let sequence = Sequence::new(1);
    let mut rows = frozen!(ReceiveError {
        ReceiveError::UnknownSpace { .. } = ReceiveError::UnknownSpace { space: SPACE } => "space.unknown", Permanent;
        ReceiveError::CursorMoved { .. } = ReceiveError::CursorMoved { stored: None::<Cursor> }
            => "receive.cursor_moved", Retry;
        ReceiveError::Gap { .. } = ReceiveError::Gap { sequence } => "receive.gap", Retry;
        ReceiveError::OutOfRun { .. } = ReceiveError::OutOfRun { sequence } => "receive.out_of_run", Retry;
        ReceiveError::NotHeld { .. } = ReceiveError::NotHeld { entity: ENTITY, hash: HASH, sequence }
            => "receive.not_held", Retry;
    } passes on {
        ReceiveError::Store(_) = full().into() => "store.disk_full", Quota;
    });
    rows.extend(frozen!(MarkError {
        MarkError::UnknownSpace { .. } = MarkError::UnknownSpace { space: SPACE } => "space.unknown", Permanent;
        MarkError::AboveCursor { .. } = MarkError::AboveCursor { sequence } => "mark.above_cursor", Retry;
    } passes on {
        MarkError::Store(_) = full().into() => "store.disk_full", Quota;
    }));
    rows
}

fn of_queries() -> Vec<Frozen> {
    let at = Position { line: 1, column: 1 };
    let name = String::new;
    frozen!(QueryError {
        QueryError::Syntax { .. } = QueryError::Syntax { at, ends_early: false } => "query.syntax", Permanent;
        QueryError::NotAllowed { .. } = QueryError::NotAllowed { what: "", at } => "query.not_allowed", Permanent;
        QueryError::UnknownField { .. } =
            QueryError::UnknownField { field: name(), nearest: None, known: vec![], at } => "query.unknown_field", Permanent;
        QueryError::Reshaped { .. } = QueryError::Reshaped { field: name(), at } => "query.reshaped", Permanent;
        QueryError::NotAField { .. } = QueryError::NotAField { at } => "query.not_a_field", Permanent;
        QueryError::UnknownFunction { .. } = QueryError::UnknownFunction { name: name(), nearest: None, at }
            => "query.unknown_function", Permanent;
        QueryError::Arguments { .. } = QueryError::Arguments { name: "", least: 1, most: 1, at }
            => "query.arguments", Permanent;
        QueryError::Parameters { .. } = QueryError::Parameters { expected: 1, given: 2 } => "query.parameters", Permanent;
        QueryError::TooLarge { .. } =
            QueryError::TooLarge { bytes_max: 1, depth_max: 1, operators_max: 1, values_max: 1 }
            => "query.too_large", Permanent;
        QueryError::TooMuchWork { .. } = QueryError::TooMuchWork { steps: 1 } => "query.too_much_work", Permanent;
        QueryError::NotComputable(_) = QueryError::NotComputable(sqlite()) => "query.not_computable", Permanent;
        QueryError::NotSearchable { .. } = QueryError::NotSearchable { collection: name() }
            => "search.not_declared", Permanent;
        QueryError::SearchSyntax = QueryError::SearchSyntax => "search.syntax", Permanent;
        QueryError::TooMany { .. } = QueryError::TooMany { indexes_max: 1, fields_max: 1 } => "index.too_many", Permanent;
        QueryError::UnknownSpace { .. } = QueryError::UnknownSpace { space: SPACE } => "space.unknown", Permanent;
    } passes on {
        QueryError::Store(_) = full().into() => "store.disk_full", Quota;
    })
}

#[test]
fn every_error_of_the_store_keeps_its_code_and_its_class_and_the_guide_tells_both() {
    let rows = [of_files(), of_spaces(), of_entities(), of_sync(), of_queries()].concat();
    assert_told_by_the_guide(GUIDE, &rows);
}
