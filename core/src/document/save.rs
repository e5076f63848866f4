//! The check that a document can be saved and loaded, and finding the changes that prevent it.

use super::apply::missing;
use super::effort::Effort;
use super::engine::{self, Sequences};
use super::read::{Object, read_object};
use super::stage::{Candidate, Outcome, Saving, settle};
use super::verdict::{Poisoned, Revoked, Verdict};
use super::{Document, QuarantineReason};
use automerge::{Automerge, ChangeHash, ReadDoc};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

/// How many operations and changes may come between two checks, at least: below that, a check costs more than it can
/// save.
const UNVERIFIED_MAX: u64 = 1_000;

/// What of a document is known to be saved and loaded without loss.
#[derive(Debug, Clone, Default)]
pub(super) struct Verified {
    heads: Vec<ChangeHash>,
    size: u64,
}

impl Verified {
    /// The whole of a document.
    pub(super) fn at(engine: &Automerge) -> Self {
        Self { heads: engine.get_heads(), size: size(engine) }
    }
}

impl Document {
    /// Checks that the document can be saved and loaded, and takes out the changes that prevent it.
    ///
    /// No change is known that passes the guarded apply and poisons a save; this is for the unknown ones. It costs a
    /// save and a load. The guarded apply does it whenever the document has doubled since, and callers do it before
    /// they drop the single changes that a snapshot covers.
    ///
    /// The changes taken out are in the answer; they are no part of the document any more and have to be filed anew.
    ///
    /// ```
    /// # use afield_core::document::{Document, EditContext};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let by = EditContext::new([1_u8; 16].into(), Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 });
    /// document.edit(&by, &Limits::DEFAULT, |edit| edit.put("title", "Trip"))?;
    /// assert!(document.verify_save()?.is_empty(), "nothing had to be taken out");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The document is poisoned, or is now since the engine panicked when it was taken apart.
    pub fn verify_save(&mut self) -> Result<Vec<Revoked>, Poisoned> {
        let engine = self.engine.take().ok_or(Poisoned)?;
        let (engine, revoked) = if can_be_saved(&engine) {
            (engine, Vec::new())
        } else {
            // What cannot even be taken apart is loaded again from stored chunks.
            let rebuilt = catch_unwind(AssertUnwindSafe(|| without_poison(&engine, &self.verified.heads)));
            rebuilt.map_err(|_| Poisoned)?
        };
        if !revoked.is_empty() {
            self.sequences = Sequences::of(&engine);
            self.parts = Mutex::default();
        }
        self.verified = Verified::at(&engine);
        self.engine = Some(engine);
        Ok(revoked)
    }

    /// Whether so much came since the last check that the next one is worth its cost.
    pub(super) fn verification_is_due(&self) -> bool {
        let size = self.engine.as_ref().map_or(0, size);
        size.saturating_sub(self.verified.size) > self.verified.size.max(UNVERIFIED_MAX)
    }
}

/// Whether a document can be saved, loaded and read, and is the same afterwards.
pub(super) fn can_be_saved(engine: &Automerge) -> bool {
    let same = catch_unwind(AssertUnwindSafe(|| {
        let loaded = engine::load(&engine.save()).ok()?;
        let read = |engine: &Automerge| read_object(engine, &Object::ROOT);
        Some(loaded.get_heads() == engine.get_heads() && read(&loaded) == read(engine))
    }));
    matches!(same, Ok(Some(true)))
}

/// Builds a document again from what was verified, adding all other changes as far as the result can be saved.
fn without_poison(engine: &Automerge, verified: &[ChangeHash]) -> (Automerge, Vec<Revoked>) {
    let suspects: Vec<Candidate> = engine.get_changes(verified).into_iter().map(Candidate::trusted).collect();
    let hashes: BTreeSet<ChangeHash> = suspects.iter().map(|suspect| suspect.change.hash()).collect();
    let base = engine::without(engine, |hash| hashes.contains(hash));
    let mut effort = Effort::default();
    let settled = settle(base, &suspects.iter().collect::<Vec<_>>(), Saving::Always, &mut effort);
    let revoked = suspects.iter().zip(settled.outcomes).filter_map(|(suspect, outcome)| {
        let verdict = match outcome {
            Outcome::Applied => return None,
            Outcome::Failed(_) => Verdict::Quarantined(QuarantineReason::PoisonsSave),
            Outcome::Orphaned if effort.is_spent() => Verdict::Undecided,
            Outcome::Orphaned => Verdict::Waiting { missing: missing(&settled.engine, suspect.change.deps()) },
            Outcome::Untried => Verdict::Undecided,
        };
        Some(Revoked { hash: suspect.change.hash(), verdict })
    });
    let revoked = revoked.collect();
    (settled.engine, revoked)
}

/// How much a document holds: operations and changes.
fn size(engine: &Automerge) -> u64 {
    let stats = engine.stats();
    stats.num_ops.saturating_add(stats.num_changes)
}

#[cfg(test)]
mod tests;
