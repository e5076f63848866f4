//! The guarded apply: changes that came from elsewhere reach the document only by way of a checked copy.

mod batch;

pub(super) use batch::missing;

use super::effort::Effort;
use super::replay::{self, Replay};
use super::stage::{Candidate, Outcome, Saving, Settled, settle};
use super::verdict::{Applied, Poisoned};
use super::{Document, Incoming};
use crate::limits::Limits;
use batch::Batch;
use std::sync::PoisonError;

impl Document {
    /// Applies changes that came from elsewhere, each in full or not at all.
    ///
    /// Every change is checked against the rules of its header and its operations; those whose dependencies are held
    /// are applied to a copy in portions, read back, and only then is the copy swapped in. When the engine fails on a
    /// portion, halving finds the changes it fails on; all others are applied. `limits` decides verdicts, so it has
    /// to be the same on all devices: the defaults of the protocol, not what one relay has in force.
    ///
    /// What sits on the heads is redone as an edit where that gives the same bytes, unless [`Document::set_replay`] says
    /// otherwise.
    ///
    /// One call does a bounded amount of work. What it leaves [`super::Verdict::Undecided`] is handed in again, once the
    /// other verdicts are stored; each call decides on one change at least.
    ///
    /// ```
    /// # use afield_core::document::{Document, EditContext, Incoming, Verdict};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # let entity = EntityId::from_bytes([7; 16]);
    /// # let (mut document, mut other) = (Document::new(entity), Document::new(entity));
    /// # let by = |actor: u8| {
    /// #     let now = Now { wall_ms: 1_000 * i64::from(actor), monotonic_ms: 0 };
    /// #     EditContext::new([actor; 16].into(), now)
    /// # };
    /// other.edit(&by(2), &Limits::DEFAULT, |edit| edit.put("title", "Trip"))?;
    /// let changes = other.changes_since(&document.heads());
    /// let incoming: Vec<_> = changes.iter().map(|(hash, bytes)| Incoming { hash: *hash, bytes }).collect();
    /// let applied = document.apply_guarded(&incoming, &Limits::DEFAULT)?;
    /// assert_eq!(applied.verdicts, [Verdict::Applied]);
    /// assert_eq!(document.read(), other.read());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The document is poisoned.
    pub fn apply_guarded(&mut self, incoming: &[Incoming<'_>], limits: &Limits) -> Result<Applied, Poisoned> {
        self.apply_within(incoming, limits, Effort::default())
    }

    pub(super) fn apply_within(
        &mut self,
        incoming: &[Incoming<'_>],
        limits: &Limits,
        mut effort: Effort,
    ) -> Result<Applied, Poisoned> {
        let mut engine = self.engine.take().ok_or(Poisoned)?;
        let before = engine.get_heads();
        let mut batch = Batch::read(self.entity, incoming, &engine, limits);
        let mut replayed = 0;
        loop {
            let ready = batch.ready(&engine, &self.sequences, limits, &mut effort);
            if ready.is_empty() {
                break;
            }
            let candidates: Vec<&Candidate> = ready.iter().map(|ready| &ready.candidate).collect();
            let redone = if self.replay == Replay::On { replay::redo(&engine, &candidates) } else { None };
            let settled = match redone {
                Some(redone) => {
                    replayed += candidates.len();
                    Settled { engine: redone, outcomes: vec![Outcome::Applied; candidates.len()] }
                }
                None => settle(engine, &candidates, Saving::OfMarks, &mut effort),
            };
            engine = settled.engine;
            let parts = self.parts.get_mut().unwrap_or_else(PoisonError::into_inner);
            parts.forget_written(candidates.iter().map(|candidate| &candidate.change));
            for (ready, outcome) in ready.into_iter().zip(settled.outcomes) {
                if outcome == Outcome::Applied {
                    let change = &ready.candidate.change;
                    self.sequences.note(change.actor_id(), change.seq(), change.len() as u64);
                }
                batch.close(ready, outcome);
            }
        }
        self.engine = Some(engine);
        let mut revoked = if self.verification_is_due() { self.verify_save()? } else { Vec::new() };
        let verdicts = batch.verdicts(self.automerge(), &mut revoked, &effort);
        let after = self.heads();
        Ok(Applied { verdicts, before, after, revoked, replayed })
    }
}

#[cfg(any(test, feature = "test-support"))]
pub(in crate::document) mod hostile;
#[cfg(test)]
mod tests;
