//! Deletions of which there were too many once: on the side that sends they stay so, and on the side that receives it is told what would be.

use crate::column;
use crate::error::StoreError;
use crate::guard::UnsentDeletion;
use crate::held::{held, limits_of, living, there};
use crate::reader::Reader;
use crate::store::Store;
use crate::transaction::rows;
use afield_core::{Collection, EntityId, SpaceId};
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet};

impl Store {
    /// Answers as [`Store::held_to_send`] does, and holds that back from now on until somebody has confirmed it, or taken one of them back or
    /// set another guard, which has it judged anew; also when what was sent before it counts no more.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn hold_to_send(&mut self, space: SpaceId, now_ms: i64) -> Result<Vec<UnsentDeletion>, StoreError> {
        let held = self.held_to_send(space, now_ms)?;
        let stuck = self.read(|connection| stuck(connection, space))?;
        // What is deleted after that counts anew.
        if !held.is_empty() && !held.iter().any(|deletion| stuck.contains(&deletion.entity)) {
            let sql = "UPDATE deletions SET over = 1 WHERE entity = ?2
                       AND space_row = (SELECT space_row FROM spaces WHERE space = ?1)";
            let _ = self.write(|transaction| -> Result<(), StoreError> {
                for deletion in &held {
                    transaction.execute(sql, (space.as_bytes(), deletion.entity.as_bytes()))?;
                }
                Ok(())
            })?;
        }
        Ok(held)
    }
}

impl Reader {
    /// Whether these deletions by others, by collection, would be held back here, with those that are held already and those that were
    /// let through unasked a moment ago: see [`Store::judge_held`].
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn would_hold(
        &self,
        space: SpaceId,
        deletions: &BTreeMap<Collection, BTreeSet<EntityId>>,
        passed: &BTreeMap<Collection, BTreeSet<EntityId>>,
    ) -> Result<bool, StoreError> {
        self.read(|connection| {
            let mut deletions = deletions.clone();
            for held in held(connection, space)?.into_iter().filter(|held| !held.is_confirmed) {
                if held.is_over {
                    return Ok(true);
                }
                deletions.entry(held.collection).or_default().insert(held.entity);
            }
            for (collection, entities) in &deletions {
                let passed = passed.get(collection).into_iter().flatten();
                let count = entities.iter().chain(passed).collect::<BTreeSet<_>>().len() as u64;
                let living = living(connection, space, entities.iter().copied())?;
                let others = there(connection, space, collection)?.saturating_sub(living);
                if limits_of(connection, space, collection)?.are_exceeded_by(count, others) {
                    return Ok(true);
                }
            }
            Ok(false)
        })
    }
}

/// The entities whose deletions were too many to be sent once, and were not confirmed since.
pub(crate) fn stuck(connection: &Connection, space: SpaceId) -> Result<BTreeSet<EntityId>, StoreError> {
    let sql = "SELECT entity FROM deletions WHERE over = 1 AND sent = 0 AND confirmed = 0
               AND space_row = (SELECT space_row FROM spaces WHERE space = ?)";
    Ok(rows(connection, sql, [space.as_bytes()], |row| column::entity(row, 0))?.into_iter().collect())
}
