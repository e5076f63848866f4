//! Leaving a space: nothing of it stays in the file.

use crate::entity;
use crate::error::SpaceError;
use crate::filter;
use crate::query;
use crate::space;
use crate::store::Store;
use crate::transaction::WriteTransaction;
use afield_core::{Durable, SpaceId};

/// What to do with changes that no relay is known to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unsent {
    /// The space is not left while there are any.
    Keep,
    /// They are removed with all the rest, for good unless another device holds them.
    Discard,
}

/// What was removed with a space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Left {
    /// Entities, deleted ones included.
    pub entities: u64,
    /// Changes.
    pub changes: u64,
    /// Those of them that were in the outbox.
    pub unsent: u64,
}

/// In the order in which nothing refers to what is gone; bodies go with their changes.
const REMOVALS: [&str; 23] = [
    "DELETE FROM trash_looks WHERE space_row = ?",
    "DELETE FROM trashed WHERE entity_row IN (SELECT entity_row FROM entities WHERE space_row = ?)",
    "DELETE FROM strategies WHERE space_row = ?",
    "DELETE FROM deletions WHERE space_row = ?",
    "DELETE FROM held_deletions WHERE space_row = ?",
    "DELETE FROM guards WHERE space_row = ?",
    "DELETE FROM directions WHERE space_row = ?",
    "DELETE FROM runs WHERE space_row = ?",
    "DELETE FROM pushes WHERE space_row = ?",
    "DELETE FROM sync_settings WHERE space_row = ?",
    "DELETE FROM erasures WHERE space_row = ?",
    "DELETE FROM trash WHERE space_row = ?",
    "DELETE FROM blocks WHERE space_row = ?",
    "DELETE FROM quarantine WHERE space_row = ?",
    "DELETE FROM snapshots WHERE entity_row IN (SELECT entity_row FROM entities WHERE space_row = ?)",
    "DELETE FROM snapshots_second WHERE entity_row IN (SELECT entity_row FROM entities WHERE space_row = ?)",
    "DELETE FROM conflicts WHERE entity_row IN (SELECT entity_row FROM entities WHERE space_row = ?)",
    "DELETE FROM conflicts_stale WHERE entity_row IN (SELECT entity_row FROM entities WHERE space_row = ?)",
    "DELETE FROM projections WHERE entity_row IN (SELECT entity_row FROM entities WHERE space_row = ?)",
    entity::KEEP_NUMBERS,
    "DELETE FROM changes WHERE space_row = ?",
    "DELETE FROM entities WHERE space_row = ?",
    "DELETE FROM spaces WHERE space_row = ?",
];

impl Store {
    /// Removes a space and everything that the device holds of it, in one transaction that overwrites what it deletes.
    ///
    /// What was deleted or rewritten earlier may still be readable in free pages and in the WAL: [`Store::shrink`] takes
    /// that away, too.
    ///
    /// # Errors
    ///
    /// [`SpaceError::UnsentChanges`] when there are any and they are to be kept, and [`SpaceError::OnlyCopy`] where the relay knows no such
    /// space any more, with nothing removed; [`SpaceError::UnknownSpace`], or the storage failed.
    pub fn leave_space(&mut self, space: SpaceId, unsent: Unsent) -> Result<Durable<Left>, SpaceError> {
        self.extracted = None;
        // Nobody depends on it: on a full disk, or where the file is damaged, the store goes on with the space.
        self.write_optional(|transaction| {
            let (row, _) = space::find(transaction, space)?.ok_or(SpaceError::UnknownSpace { space })?;
            let left = count(transaction, row.0)?;
            let lost = transaction.row("SELECT lost FROM spaces WHERE space_row = ?", [row], |row| row.get(0))?;
            if unsent == Unsent::Keep {
                // A sync would bring nothing of a lost space anywhere, so it is no way out.
                let is_lost = lost.unwrap_or(false);
                match if is_lost { all(transaction, row.0)? } else { left.unsent } {
                    0 => {}
                    changes if is_lost => return Err(SpaceError::OnlyCopy { space, changes }),
                    changes => return Err(SpaceError::UnsentChanges { space, changes }),
                }
            }
            filter::forget(transaction, row)?;
            query::forget(transaction, row)?;
            for removal in REMOVALS {
                transaction.execute(removal, [row])?;
            }
            Ok(left)
        })
    }
}

/// All that may be nowhere else where the relay has lost the space: changes, erasure records, and what was set aside.
fn all(transaction: &mut WriteTransaction<'_>, space: i64) -> Result<u64, SpaceError> {
    let sql = "SELECT (SELECT count(*) FROM changes WHERE space_row = ?1) + (SELECT count(*) FROM erasures WHERE space_row = ?1)
               + (SELECT count(*) FROM quarantine WHERE space_row = ?1)";
    Ok(transaction.row(sql, [space], |row| crate::column::count(row, 0))?.unwrap_or(0))
}

fn count(transaction: &mut WriteTransaction<'_>, space: i64) -> Result<Left, SpaceError> {
    let sql = "SELECT (SELECT count(*) FROM entities WHERE space_row = ?1), count(*), count(*) FILTER (WHERE sequence IS NULL)
               + (SELECT count(*) FROM erasures WHERE space_row = ?1 AND sequence IS NULL) FROM changes WHERE space_row = ?1";
    let counted = transaction.row(sql, [space], |row| {
        let number = |column| crate::column::count(row, column);
        Ok(Left { entities: number(0)?, changes: number(1)?, unsent: number(2)? })
    })?;
    Ok(counted.unwrap_or_default())
}
