//! The codes and classes of every error of the library, frozen: a swap or a new name breaks programs that rest on them.

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
    [of_entities::rows(), of_sync::rows()].concat()
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
    lines(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    let with_codes = found.iter().filter(|line| line.trim() == "pub fn code(&self) -> &'static str {").count();
    let tables: BTreeSet<_> = all().iter().map(|row| row.error).collect();
    assert_eq!(with_codes, tables.len(), "{tables:?}");
}
