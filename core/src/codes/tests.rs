//! The codes and classes of these errors, frozen: a swap or a new name breaks programs that rest on them.

use super::*;
use crate::ChangeHash;
use crate::document::{Kind, Path, QuarantineReason};
use crate::frozen;
use crate::frozen::{Frozen, assert_told_by_the_guide};
use automerge::{AutomergeError, Change};

const GUIDE: &str = include_str!("../../../bindings/rust/src/guide/errors.md");
const HASH: ChangeHash = ChangeHash([3; 32]);

fn of_operations() -> Vec<Frozen> {
    let (path, bytes, bytes_max) = (|| Path::from("title"), 2, 1);
    frozen!(OperationError {
        OperationError::Absent { .. } = OperationError::Absent { step: 0 } => "operation.absent", Permanent;
        OperationError::WrongKind { .. } = OperationError::WrongKind { step: 0, found: Kind::Text, needed: Kind::List }
            => "operation.wrong_kind", Permanent;
        OperationError::OutOfRange { .. } = OperationError::OutOfRange { position: 2, length: 1 }
            => "operation.out_of_range", Permanent;
        OperationError::Root = OperationError::Root => "operation.root", Permanent;
        OperationError::TooDeep = OperationError::TooDeep => "operation.too_deep", Permanent;
        OperationError::ValueTooLarge { .. } = OperationError::ValueTooLarge { path: path(), bytes, bytes_max }
            => "operation.value_too_large", Permanent;
        OperationError::TooLarge { .. } = OperationError::TooLarge { path: path(), bytes, bytes_max }
            => "operation.too_large", Permanent;
        OperationError::TooManyOperations { .. }
            = OperationError::TooManyOperations { path: path(), operations: 2, operations_max: 1 }
            => "operation.too_many", Permanent;
        OperationError::NoBlock { .. } = OperationError::NoBlock { position: 0 } => "operation.no_block", Permanent;
        OperationError::NoMarkValue { .. } = OperationError::NoMarkValue { found: Kind::Text }
            => "operation.no_mark_value", Permanent;
        OperationError::CounterOverflow = OperationError::CounterOverflow => "operation.counter_overflow", Permanent;
        OperationError::Stale = OperationError::Stale => "operation.stale", Permanent;
        OperationError::Decided = OperationError::Decided => "operation.decided", Permanent;
        OperationError::NoSuchSide = OperationError::NoSuchSide => "operation.no_such_side", Permanent;
        OperationError::Halfway = OperationError::Halfway => "operation.halfway", Permanent;
        OperationError::Unsound(_) = OperationError::Unsound(QuarantineReason::Malformed) => "operation.unsound", Permanent;
        OperationError::Engine(_) = OperationError::Engine(AutomergeError::Fail) => "operation.engine", Permanent;
    } passes on {
    })
}

fn of_documents() -> Vec<Frozen> {
    let unparsable = Change::from_bytes(Vec::new()).unwrap_err();
    let mut rows = frozen!(LoadError {
        LoadError::EmptySnapshot = LoadError::EmptySnapshot => "load.empty", Permanent;
        LoadError::Snapshot(_) = LoadError::Snapshot(AutomergeError::Fail) => "load.snapshot", Permanent;
        LoadError::Change { .. } = LoadError::Change { hash: HASH, source: unparsable } => "load.change", Permanent;
        LoadError::WrongHash { .. } = LoadError::WrongHash { hash: HASH } => "load.hash", Permanent;
        LoadError::Apply(_) = LoadError::Apply(AutomergeError::Fail) => "load.apply", Permanent;
        LoadError::MissingDependencies { .. } = LoadError::MissingDependencies { missing: vec![HASH] }
            => "load.dependencies", Permanent;
        LoadError::Panicked = LoadError::Panicked => "load.panicked", Permanent;
    } passes on {
    });
    rows.extend(frozen!(EditError<&'static str> {
        EditError::Closure(_) = EditError::Closure("given up") => "edit.aborted", Permanent;
        EditError::Refused(_) | EditError::Full | EditError::Poisoned = EditError::Refused(OperationError::Root)
            => "edit.refused", Permanent;
        EditError::Refused(_) | EditError::Full | EditError::Poisoned = EditError::Full => "edit.refused", Permanent;
        EditError::Refused(_) | EditError::Full | EditError::Poisoned = EditError::Poisoned => "edit.refused", Retry;
    } passes on {
    }));
    rows.extend(frozen!(PointError {
        PointError::UnknownChange { .. } = PointError::UnknownChange { hash: HASH }
            => "point.unknown_change", Permanent;
        PointError::NothingYet = PointError::NothingYet => "point.nothing_yet", Permanent;
    } passes on {
    }));
    rows
}

fn of_values() -> Vec<Frozen> {
    let mut rows = frozen!(TaggedJsonError {
        TaggedJsonError::UnknownTag = TaggedJsonError::UnknownTag => "json.tag", Permanent;
        TaggedJsonError::WrongValue { .. } = TaggedJsonError::WrongValue { tag: "$bytes", needed: "a string" }
            => "json.value", Permanent;
    } passes on {
    });
    rows.extend(frozen!(LensError {
        LensError::Hidden { .. } = LensError::Hidden { field: String::new() } => "lens.hidden", Permanent;
        LensError::NotAMap = LensError::NotAMap => "lens.not_a_map", Permanent;
    } passes on {
    }));
    rows
}

fn of_texts() -> Vec<Frozen> {
    let id = "my notes".parse::<crate::SpaceId>().unwrap_err();
    let mut rows = frozen!(ParseIdError { ParseIdError { .. } = id => "parse.id", Permanent; } passes on {});
    rows.extend(frozen!(ParseCollectionError {
        ParseCollectionError = ParseCollectionError => "parse.collection", Permanent;
    } passes on {}));
    rows.extend(frozen!(ParseInvitationError {
        ParseInvitationError = ParseInvitationError => "parse.invitation", Permanent;
    } passes on {}));
    rows.extend(frozen!(ParsePathError {
        ParsePathError { .. } = ParsePathError { position: 0, needed: "a key" } => "parse.path", Permanent;
    } passes on {}));
    rows.extend(frozen!(ParseStrategyError {
        ParseStrategyError = ParseStrategyError => "parse.strategy", Permanent;
    } passes on {}));
    rows.extend(frozen!(ParseRoleError {
        ParseRoleError = ParseRoleError => "parse.role", Permanent;
    } passes on {}));
    rows.extend(frozen!(ParseTextCursorError {
        ParseTextCursorError = ParseTextCursorError => "parse.text_cursor", Permanent;
    } passes on {}));
    rows.extend(frozen!(ParseConflictIdError {
        ParseConflictIdError = ParseConflictIdError => "parse.conflict_id", Permanent;
    } passes on {}));
    rows
}

#[test]
fn every_error_that_an_app_may_see_keeps_its_code_and_its_class_and_the_guide_tells_both() {
    let rows = [of_operations(), of_documents(), of_values(), of_texts()].concat();
    assert_told_by_the_guide(GUIDE, &rows);
}
