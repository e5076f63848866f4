//! Automerge files: a document with its whole history, from another application or for one.

use crate::collection::{Collection, mark_existing};
use crate::driver::Existence;
use crate::entity::Entity;
use crate::error::{AutomergeFileError, ReadError};
use crate::replica::Replica;
use afield_core::change::ChangeHeader;
use afield_core::document::{DELETED_KEY, Document, Incoming, LocalChange, Verdict};
use afield_core::{ChangeHash, EntityId, Limits};
use automerge::Automerge;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

impl<T> Collection<T> {
    /// Reads a document that Automerge has saved in as a new entity, with its whole history: every change stays the one it was.
    ///
    /// Fields that no model knows stay as they are. Reading one file in twice makes two entities.
    ///
    /// # Errors
    ///
    /// The bytes are no document of Automerge's, one of its changes has no room in Afield or says what no device would take in, or the
    /// store failed: nothing is stored then.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use afield::automerge::{AutoCommit, ROOT, transaction::Transactable};
    ///
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// let mut elsewhere = AutoCommit::new();
    /// elsewhere.put(&ROOT, "title", "Milk")?;
    /// let id = notes.import_automerge(&elsewhere.save())?;
    /// assert_eq!(notes.json().read(id)?["title"], "Milk");
    /// # Ok(())
    /// # }
    /// ```
    pub fn import_automerge(&self, saved: &[u8]) -> Result<EntityId, AutomergeFileError> {
        let entity = self.shared.fresh_entity();
        let (document, changes) = document_of(entity, saved)?;
        let target = self.target(entity, Existence::Either);
        let _ = Replica::on_shared(&self.shared)
            .transaction(|transaction| {
                let is_deleted =
                    document.read_at(DELETED_KEY).is_ok_and(|mark| mark.is_some_and(|mark| !mark.is_null()));
                let _ = transaction.extend(&target, document, changes)?;
                // An entity without a field exists, too, and one that was deleted where it came from is not read in to be deleted.
                if is_deleted { Ok(()) } else { transaction.change(target.clone(), mark_existing) }
            })
            .map_err(AutomergeFileError::from)?;
        Ok(entity)
    }
}

impl Entity {
    /// The document as a file of Automerge's, with its whole history.
    ///
    /// # Errors
    ///
    /// The entity cannot be read.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// let id = notes.json().insert(&serde_json::json!({"title": "Milk"}))?;
    /// let file = notes.entity(id)?.export_automerge()?;
    /// let copy = notes.import_automerge(&file)?;
    /// assert_eq!(notes.json().read(copy)?, notes.json().read(id)?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn export_automerge(&self) -> Result<Vec<u8>, ReadError> {
        Ok(self.raw(Automerge::save)?)
    }
}

/// The document of a file and all of its changes in causal order, taken in as if they had come from elsewhere (invariant D7).
fn document_of(entity: EntityId, saved: &[u8]) -> Result<(Document, Vec<LocalChange>), AutomergeFileError> {
    // What the engine says in a panic may hold content (invariant S6).
    let loaded = catch_unwind(AssertUnwindSafe(|| {
        let loaded = Automerge::load(saved).ok()?;
        Some(
            loaded
                .get_changes(&[])
                .iter()
                .map(|change| (change.hash(), change.raw_bytes().to_vec()))
                .collect::<Vec<_>>(),
        )
    }));
    let changes = loaded.ok().flatten().ok_or(AutomergeFileError::NotADocument)?;
    if changes.is_empty() {
        return Err(AutomergeFileError::Empty);
    }
    let refused = |hash: &ChangeHash| AutomergeFileError::Change { hash: *hash };
    let made = changes.into_iter().map(|(hash, bytes)| {
        let header = ChangeHeader::read_in(entity, &bytes, &Limits::DEFAULT).map_err(|_| refused(&hash))?;
        let ChangeHeader { actor, sequence, .. } = header;
        Ok(LocalChange { hash, bytes, actor, sequence, derived: false })
    });
    let changes = made.collect::<Result<Vec<_>, AutomergeFileError>>()?;
    let mut document = Document::new(entity);
    let mut left: BTreeMap<ChangeHash, &LocalChange> = changes.iter().map(|change| (change.hash, change)).collect();
    while !left.is_empty() {
        let incoming: Vec<_> = changes
            .iter()
            .filter(|change| left.contains_key(&change.hash))
            .map(|change| Incoming { hash: change.hash, bytes: &change.bytes })
            .collect();
        let applied =
            document.apply_guarded(&incoming, &Limits::DEFAULT).map_err(|_| AutomergeFileError::NotADocument)?;
        if let Some(revoked) = applied.revoked.first() {
            return Err(refused(&revoked.hash));
        }
        for (one, verdict) in incoming.iter().zip(&applied.verdicts) {
            match verdict {
                Verdict::Applied | Verdict::Held => drop(left.remove(&one.hash)),
                Verdict::Undecided => {}
                Verdict::Waiting { .. } | Verdict::Quarantined(_) => return Err(refused(&one.hash)),
            }
        }
    }
    Ok((document, changes))
}

#[cfg(test)]
mod tests;
