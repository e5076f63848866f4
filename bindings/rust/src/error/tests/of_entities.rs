//! What reads and writes entities, or asks for them.

use super::*;
use crate::purge::{PurgeError, Purged};
use crate::query::QueryError;
use afield_core::document::LoadError;
use afield_core::{Collection, frozen};
use std::io;

fn operation() -> OperationError {
    OperationError::Absent { step: 0 }
}

fn point() -> PointError {
    PointError::UnknownChange { hash: HASH }
}

fn shape() -> FromDocumentError {
    FromDocumentError::Missing { at: Default::default(), expected: "String" }
}

fn tag() -> TaggedJsonError {
    TaggedJsonError::UnknownTag
}

fn kept() -> EditError {
    EditError::Store(AppendError::from(full()))
}

pub(super) fn rows() -> Vec<Frozen> {
    [of_one(), of_reading(), of_editing(), of_files(), of_queries()].concat()
}

fn of_one() -> Vec<Frozen> {
    let [expected, found]: [Collection; 2] = ["notes", "tasks"].map(|name| name.parse().unwrap());
    let (entity, space) = (ENTITY, SPACE);
    frozen!(EntityError {
        EntityError::Missing { .. } = missing() => "entity.missing", Permanent;
        EntityError::NotHere { .. } = EntityError::NotHere { entity, space } => "entity.not_here", Retry;
        EntityError::OtherSpace { .. } = EntityError::OtherSpace { entity, expected: space, found: space }
            => "entity.other_space", Permanent;
        EntityError::OtherCollection { .. } = EntityError::OtherCollection { entity, expected, found }
            => "entity.other_collection", Permanent;
        EntityError::NotYet { .. } = EntityError::NotYet { entity } => "entity.not_yet", Retry;
        EntityError::Purged { .. } = EntityError::Purged { entity } => "entity.purged", Permanent;
        EntityError::Busy { .. } = EntityError::Busy { entity } => "entity.busy", Retry;
        EntityError::Nested = EntityError::Nested => "transaction.nested", Permanent;
        EntityError::Damaged { .. } = EntityError::Damaged { entity, source: LoadError::EmptySnapshot }
            => "entity.damaged", Permanent;
    } passes on {
        EntityError::Store(_) = EntityError::Store(full()) => "store.disk_full", Quota;
        EntityError::Driver(_) = EntityError::Driver(Box::new(DriverError::Reload(older())))
            => "open.sqlite_too_old", Upgrade;
    })
}

fn of_reading() -> Vec<Frozen> {
    let entity = ENTITY;
    frozen!(ReadError {
        ReadError::Shape { .. } = ReadError::Shape { entity, source: shape() } => "read.shape", Permanent;
        ReadError::Path { .. } = ReadError::Path { entity, source: operation() } => "read.path", Permanent;
        ReadError::Point { .. } = ReadError::Point { entity, source: point() } => "history.point", Permanent;
    } passes on {
        ReadError::Entity(_) = missing().into() => "entity.missing", Permanent;
        ReadError::Store(_) = full().into() => "store.disk_full", Quota;
    })
}

fn of_editing() -> Vec<Frozen> {
    let entity = ENTITY;
    let nothing = || ToValueError::Nothing { at: Default::default() };
    let hidden = LensError::Hidden { field: String::new() };
    let purge = afield_store::PurgeError::from(full());
    let mut rows = frozen!(EditError {
        EditError::Operation(_) = operation().into() => "edit.operation", Permanent;
        EditError::Refused(_) = EditError::Refused(Box::new(DocumentError::Full)) => "edit.refused", Permanent;
        EditError::Refused(_) = EditError::Refused(Box::new(DocumentError::Poisoned)) => "edit.refused", Retry;
        EditError::Shape(_) = shape().into() => "read.shape", Permanent;
        EditError::Value(_) = nothing().into() => "edit.value", Permanent;
        EditError::NotAnObject { .. } = EditError::NotAnObject { found: afield_core::document::Kind::Text }
            => "edit.not_an_object", Permanent;
        EditError::Json(_) = EditError::Json(tag()) => "edit.json", Permanent;
        EditError::Lens(_) = hidden.into() => "edit.lens", Permanent;
        EditError::Point { .. } = EditError::Point { entity, source: point() } => "history.point", Permanent;
        EditError::Unconfirmed { .. } = EditError::Unconfirmed { entity, places: 1, is_deleted: false }
            => "edit.unconfirmed", Permanent;
        EditError::Aborted(_) = EditError::aborted("the shop is closed") => "edit.aborted", Permanent;
    } passes on {
        EditError::Entity(_) = missing().into() => "entity.missing", Permanent;
        EditError::Entity(_) = EntityError::Driver(Box::new(DriverError::Reload(older()))).into()
            => "open.sqlite_too_old", Upgrade;
        EditError::Store(_) = kept() => "store.disk_full", Quota;
    });
    rows.extend(frozen!(EditFailure<()> {
        EditFailure::Document(_) = EditFailure::Document(DocumentError::Full) => "edit.refused", Permanent;
        EditFailure::Document(_) = EditFailure::Document(DocumentError::Poisoned) => "edit.refused", Retry;
    } passes on {
        EditFailure::Entity(_) = missing().into() => "entity.missing", Permanent;
        EditFailure::Store(_) = EditFailure::Store(full().into()) => "store.disk_full", Quota;
    }));
    rows.extend(frozen!(PurgeError {
        PurgeError::Unconfirmed { .. } = PurgeError::Unconfirmed { space: SPACE, extent: Purged::default() }
            => "purge.unconfirmed", Permanent;
        PurgeError::Nested = PurgeError::Nested => "purge.nested", Permanent;
        PurgeError::ReadOnly { .. } = PurgeError::ReadOnly { space: SPACE } => "purge.read_only", Permanent;
        PurgeError::OnlyComesIn { .. } = PurgeError::OnlyComesIn { space: SPACE, collection: "notes".parse().unwrap() }
            => "purge.only_comes_in", Permanent;
    } passes on {
        PurgeError::Entity(_) = missing().into() => "entity.missing", Permanent;
        PurgeError::Store(_) = PurgeError::Store(purge) => "store.disk_full", Quota;
    }));
    rows
}

fn of_files() -> Vec<Frozen> {
    let id = "no id".parse::<EntityId>().unwrap_err();
    let io = |kind: io::ErrorKind| TransferError::Io(kind.into());
    let mut rows = frozen!(LineProblem {
        LineProblem::Json { .. } = LineProblem::Json { column: 1 } => "line.json", Permanent;
        LineProblem::Collection(_) = ParseCollectionError.into() => "line.collection_name", Permanent;
        LineProblem::Id(_) = id.into() => "line.id", Permanent;
        LineProblem::Value(_) = tag().into() => "line.value", Permanent;
    } passes on {});
    rows.extend(frozen!(TransferError {
        TransferError::Io(_) = io(io::ErrorKind::PermissionDenied) => "transfer.io", Permanent;
        TransferError::Io(_) = io(io::ErrorKind::StorageFull) => "transfer.io", Quota;
        TransferError::Incomplete { .. } = TransferError::Incomplete { written: 1, skipped: vec![] }
            => "transfer.incomplete", Permanent;
    } passes on {
        TransferError::Line { .. } = TransferError::Line { line: 1, problem: LineProblem::Json { column: 1 } }
            => "line.json", Permanent;
        TransferError::Read(_) = ReadError::from(missing()).into() => "entity.missing", Permanent;
        TransferError::Edit { .. } = TransferError::Edit { line: 1, source: kept() } => "store.disk_full", Quota;
        TransferError::Store(_) = StoreError::Poisoned.into() => "store.poisoned", Retry;
    }));
    rows.extend(frozen!(AutomergeFileError {
        AutomergeFileError::NotADocument = AutomergeFileError::NotADocument => "automerge.document", Permanent;
        AutomergeFileError::Empty = AutomergeFileError::Empty => "automerge.empty", Permanent;
        AutomergeFileError::Change { .. } = AutomergeFileError::Change { hash: HASH } => "automerge.change", Permanent;
    } passes on {
        AutomergeFileError::Edit(_) = kept().into() => "store.disk_full", Quota;
    }));
    rows
}

fn of_queries() -> Vec<Frozen> {
    let refused = QueryError::Refused(afield_store::QueryError::SearchSyntax);
    frozen!(QueryError {
        QueryError::Nested = QueryError::Nested => "query.nested", Permanent;
    } passes on {
        QueryError::Refused(_) = refused => "search.syntax", Permanent;
        QueryError::Read(_) = full().into() => "store.disk_full", Quota;
    })
}
