//! Purged entities, as one transaction sees them.

use super::Archive;
use crate::log::LogError;
use afield_core::ErasureReason;
use rusqlite::OptionalExtension;
use std::cell::RefCell;
use std::collections::BTreeMap;

/// What is stored of a purged entity.
#[derive(Debug, Clone, Copy)]
pub(in crate::log::sqlite) struct StoredErasure {
    /// Where its erasure record stands.
    pub(in crate::log::sqlite) position: i64,
    /// Its reason.
    pub(in crate::log::sqlite) reason: ErasureReason,
    /// Up to where segments hold nothing of it.
    pub(super) cleared: i64,
}

/// What a transaction has looked up.
#[derive(Debug, Default)]
pub(super) struct Erasures {
    /// Whether there are any at all; most logs have none.
    are_any: Option<bool>,
    known: BTreeMap<i64, Option<StoredErasure>>,
}

/// The most entities that one transaction remembers.
const KNOWN_MAX: usize = 16_384;

impl Archive<'_, '_> {
    /// What is stored of the entity in a row, where it was purged.
    pub(in crate::log::sqlite) fn erasure(&self, entity: i64) -> Result<Option<StoredErasure>, LogError> {
        look_up(self, &self.erasures, entity)
    }
}

fn look_up(
    archive: &Archive<'_, '_>,
    erasures: &RefCell<Erasures>,
    entity: i64,
) -> Result<Option<StoredErasure>, LogError> {
    let mut erasures = erasures.borrow_mut();
    let are_any = match erasures.are_any {
        Some(known) => known,
        None => {
            let found = archive.transaction.statement("SELECT 1 FROM erasures LIMIT 1")?.exists([])?;
            *erasures.are_any.insert(found)
        }
    };
    if !are_any {
        return Ok(None);
    }
    if let Some(known) = erasures.known.get(&entity) {
        return Ok(*known);
    }
    let sql = "SELECT position, reason, cleared FROM erasures WHERE entity = ?1";
    let found = archive.transaction.statement(sql)?.query_row([entity], |row| {
        // A reason that decayed to none is told as the one that says least.
        let reason = ErasureReason::from_number(row.get(1)?).unwrap_or(ErasureReason::ASKED);
        Ok(StoredErasure { position: row.get(0)?, reason, cleared: row.get(2)? })
    });
    let found = found.optional()?;
    if erasures.known.len() >= KNOWN_MAX {
        erasures.known.clear();
    }
    erasures.known.insert(entity, found);
    Ok(found)
}
