//! The codes and classes of every error of the library, frozen: a swap or a new name breaks programs that rest on them.

mod of_causes;
mod of_entities;
mod of_sync;

use super::*;
use afield_core::ChangeHash;
use afield_core::frozen::{Frozen, assert_told_by_the_guide};
use std::collections::BTreeSet;
use std::path::Path;

const GUIDE: &str = include_str!("../guide/errors.md");
const SPACE: SpaceId = SpaceId::from_bytes([1; 16]);
const ENTITY: EntityId = EntityId::from_bytes([2; 16]);
const HASH: ChangeHash = ChangeHash([3; 32]);

/// A cause whose class few others have, so that what passes it on shows it.
fn full() -> StoreError {
    StoreError::DiskFull(rusqlite::Error::QueryReturnedNoRows)
}

/// Another, so that two that pass something on differ.
fn older() -> OpenError {
    OpenError::SqliteTooOld { found: 1, needed: 2 }
}

fn missing() -> EntityError {
    EntityError::Missing { entity: ENTITY, space: SPACE }
}

fn all() -> Vec<Frozen> {
    [of_causes::rows(), of_entities::rows(), of_sync::rows()].concat()
}

#[test]
fn every_error_of_the_library_keeps_its_code_and_its_class_and_the_guide_tells_both() {
    assert_told_by_the_guide(GUIDE, &all());
}

/// The lines of all sources below a folder.
fn lines(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            lines(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.extend(std::fs::read_to_string(&path).unwrap().lines().map(str::to_owned));
        }
    }
}

#[test]
fn every_enum_of_errors_that_has_codes_has_a_table_here() {
    let mut found = Vec::new();
    for folder in ["src", "../../transport/src"] {
        lines(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut found);
    }
    let with_codes = found.iter().filter(|line| line.trim() == "pub fn code(&self) -> &'static str {").count();
    let tables: BTreeSet<_> = all().iter().map(|row| row.error).collect();
    assert_eq!(with_codes, tables.len(), "{tables:?}");
}

/// Has the compiler look that errors have a code and a class, and gives their names.
macro_rules! with_code_and_class {
    ($($module:ident { $($error:ident $(<$of:ty>)?),+ $(,)? })+) => {
        [$($({
            type Named = $module::$error$(<$of>)?;
            let _: (fn(&Named) -> &'static str, fn(&Named) -> Class) = (Named::code, Named::class);
            stringify!($error)
        }),+),+]
    };
}

/// What the `pub use` of a source give a name that is one of an error.
fn exported_errors(source: &str) -> Vec<&str> {
    let lists = source.split("\npub use ").skip(1).chain(source.split("\n    pub use ").skip(1));
    let names = lists.filter_map(|rest| rest.split_once(';')).flat_map(|(list, _)| {
        list.split(|c: char| !c.is_ascii_alphanumeric())
            .filter(|name| ["Error", "Problem"].iter().any(|end| name.ends_with(end)))
    });
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    names
}

#[test]
fn every_error_that_an_app_can_name_has_a_code_and_a_class() {
    use crate as root;
    use crate::{document, store, typed};
    let mut known = with_code_and_class! {
        root {
            AppendError, AutomergeFileError, BackupError, ConnectError, DeclareError, DirectionError, DriverError, EditError,
            EntityError, FetchError, FilterError, GuardError, HandOverError, HandOverProblem, LensError, LineProblem,
            MaintainError, OpenError, OperationError, ParseAddressError, ParseCollectionError, ParseConflictIdError,
            ParseIdError, ParseInvitationError, ParsePathError, ParseRoleError, ParseStrategyError, ParseTextCursorError, ParseTokenError, PlanError, PointError,
            PresenceError, ProbeError, PurgeError, QueryError, ReadError, RefreshTokenError, ReplicaError, RequestError,
            SandboxError, ScheduleError, SpaceError, StoreError, SyncError, TaggedJsonError, TransferError, WaitError,
        }
        document { EditError<()>, LoadError }
        store { DirectionError, EntityError, FilterError, MarkError, QueryError, ReceiveError, SpaceError }
        typed { FromDocumentError, ToValueError }
    };
    known.sort_unstable();
    let sources = [include_str!("../lib.rs"), include_str!("../typed/mod.rs")].concat();
    assert_eq!(exported_errors(&sources), known);
    let control = "\npub use a::{B, NewError};\n    pub use c::OddProblem;\nuse d::OtherError;\n";
    assert_eq!(exported_errors(control), ["NewError", "OddProblem"], "the control");
}
