//! The guarded apply: changes that came from elsewhere reach the document only by way of a checked copy.

use super::check::{self, Parsed};
use super::engine::{self, Sequences};
use super::past::History;
use super::stage::{Outcome, Saving, settle};
use super::verdict::{Applied, Poisoned, QuarantineReason, Revoked, Verdict};
use super::{Document, Incoming};
use crate::limits::Limits;
use automerge::{Automerge, ChangeHash};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The most changes times actors that one round takes, so that what each change depends on fits in memory.
const ROUND_SIZE_MAX: usize = 1_000_000;

impl Document {
    /// Applies changes that came from elsewhere, each in full or not at all.
    ///
    /// Every change is checked against the rules of its header and its operations; those whose dependencies are held
    /// are applied to a copy in one batch, read back, and only then is the copy swapped in. When the engine fails on
    /// the batch, halving finds the changes it fails on; all others are applied. `limits` decides verdicts, so it has
    /// to be the same on all devices: the defaults of the protocol, not what one relay has in force.
    ///
    /// # Errors
    ///
    /// The document is poisoned.
    pub fn apply_guarded(&mut self, incoming: &[Incoming<'_>], limits: &Limits) -> Result<Applied, Poisoned> {
        let mut engine = self.engine.take().ok_or(Poisoned)?;
        let before = engine.get_heads();
        let mut batch = Batch::parse(incoming, &engine, limits);
        loop {
            let ready = batch.ready(&engine, &self.sequences, limits);
            if ready.is_empty() {
                break;
            }
            let changes: Vec<&Parsed> = ready.iter().map(|(_, parsed)| parsed).collect();
            let settled = settle(engine, &changes, Saving::OfMarks);
            engine = settled.engine;
            for ((index, parsed), outcome) in ready.into_iter().zip(settled.outcomes) {
                if outcome == Outcome::Applied {
                    self.sequences.note(parsed.change.actor_id(), parsed.change.seq());
                }
                batch.close(index, parsed, outcome);
            }
        }
        self.engine = Some(engine);
        let mut revoked = if self.verification_is_due() { self.verify_save()? } else { Vec::new() };
        let verdicts = batch.verdicts(incoming, self.automerge(), &mut revoked);
        let after = self.heads();
        Ok(Applied { verdicts, before, after, revoked })
    }
}

/// The changes of one call.
struct Batch {
    /// What is known of each incoming change.
    verdicts: Vec<Option<Verdict>>,
    /// The well-formed changes without a verdict, by their place among the incoming ones.
    open: BTreeMap<usize, Parsed>,
    /// Changes that came more than once: the later places, and the first.
    repeated: Vec<(usize, usize)>,
}

impl Batch {
    fn parse(incoming: &[Incoming<'_>], engine: &Automerge, limits: &Limits) -> Self {
        let mut batch = Self { verdicts: vec![None; incoming.len()], open: BTreeMap::new(), repeated: Vec::new() };
        let mut first = BTreeMap::new();
        for (index, (incoming, verdict)) in incoming.iter().zip(&mut batch.verdicts).enumerate() {
            match check::parse(incoming, limits) {
                Err(reason) => *verdict = Some(Verdict::Quarantined(reason)),
                Ok(_) if engine::holds(engine, &incoming.hash) => *verdict = Some(Verdict::Held),
                Ok(parsed) => match first.get(&incoming.hash) {
                    Some(first) => batch.repeated.push((index, *first)),
                    None => {
                        first.insert(incoming.hash, index);
                        batch.open.insert(index, parsed);
                    }
                },
            }
        }
        batch
    }

    /// Takes out the changes that can be applied now and puts them in causal order; quarantines those that break a
    /// rule.
    ///
    /// Of two changes with one actor and sequence the later is left for the next round, when it is known what became
    /// of the first.
    fn ready(&mut self, engine: &Automerge, sequences: &Sequences, limits: &Limits) -> Vec<(usize, Parsed)> {
        let mut history = History::new(engine, sequences);
        let (mut waiting, mut next) = self.dependents(&history);
        let mut ready = Vec::new();
        while let Some(index) = next.pop_first() {
            if ready.len().saturating_mul(history.batch_actors()) > ROUND_SIZE_MAX {
                break;
            }
            let Some(parsed) = self.open.get(&index) else { continue };
            let (hash, actor, sequence) = (parsed.change.hash(), parsed.change.actor_id(), parsed.change.seq());
            if sequences.last(actor).is_some_and(|last| sequence <= last) {
                self.quarantine(index, QuarantineReason::ActorForked);
            } else if sequence > history.last_in_batch(actor) {
                match admit(parsed, &mut history, limits) {
                    Ok(()) => {
                        ready.extend(self.open.remove(&index).map(|parsed| (index, parsed)));
                        next.extend(waiting.unblock(&hash));
                    }
                    Err(reason) => self.quarantine(index, reason),
                }
            }
        }
        ready
    }

    /// Finds out who waits for whom, and who waits for nobody.
    fn dependents(&self, history: &History<'_>) -> (Waiting, BTreeSet<usize>) {
        let mut waiting = Waiting::default();
        let mut free = BTreeSet::new();
        for (index, parsed) in &self.open {
            let mut count = 0;
            for dependency in parsed.change.deps().iter().filter(|dependency| !history.holds(dependency)) {
                waiting.dependents.entry(*dependency).or_default().push(*index);
                count += 1;
            }
            if count == 0 {
                free.insert(*index);
            } else {
                waiting.counts.insert(*index, count);
            }
        }
        (waiting, free)
    }

    fn quarantine(&mut self, index: usize, reason: QuarantineReason) {
        self.open.remove(&index);
        self.set(index, Verdict::Quarantined(reason));
    }

    /// Notes what became of a change. One whose dependency failed is open again, to be found waiting.
    fn close(&mut self, index: usize, parsed: Parsed, outcome: Outcome) {
        match outcome {
            Outcome::Applied => self.set(index, Verdict::Applied),
            Outcome::Failed(reason) => self.set(index, Verdict::Quarantined(reason)),
            Outcome::Orphaned => {
                self.open.insert(index, parsed);
            }
        }
    }

    fn set(&mut self, index: usize, verdict: Verdict) {
        if let Some(known) = self.verdicts.get_mut(index) {
            *known = Some(verdict);
        }
    }

    /// The verdicts on all changes. Of the changes that were taken out of the document again, those of this call are
    /// removed from `revoked` and get their new verdict here.
    fn verdicts(mut self, incoming: &[Incoming<'_>], engine: &Automerge, revoked: &mut Vec<Revoked>) -> Vec<Verdict> {
        for (index, parsed) in std::mem::take(&mut self.open) {
            self.set(index, Verdict::Waiting { missing: missing(engine, parsed.change.deps()) });
        }
        if !revoked.is_empty() {
            for (incoming, verdict) in incoming.iter().zip(&mut self.verdicts) {
                let taken_out = revoked.iter().find(|revoked| revoked.hash == incoming.hash);
                if let (Some(Verdict::Applied), Some(taken_out)) = (&verdict, taken_out) {
                    *verdict = Some(taken_out.verdict.clone());
                    revoked.retain(|revoked| revoked.hash != incoming.hash);
                }
            }
        }
        for (index, first) in std::mem::take(&mut self.repeated) {
            if let Some(verdict) = self.verdicts.get(first).cloned().flatten() {
                let repeated = if verdict == Verdict::Applied { Verdict::Held } else { verdict };
                self.set(index, repeated);
            }
        }
        self.verdicts.into_iter().map(|verdict| verdict.expect("every change was open, repeated or judged")).collect()
    }
}

/// Those of the dependencies that the document does not hold.
pub(super) fn missing(engine: &Automerge, dependencies: &[ChangeHash]) -> Vec<ChangeHash> {
    dependencies.iter().filter(|dependency| !engine::holds(engine, dependency)).copied().collect()
}

/// Who waits for which change of the same batch.
#[derive(Default)]
struct Waiting {
    dependents: BTreeMap<ChangeHash, Vec<usize>>,
    counts: BTreeMap<usize, usize>,
}

impl Waiting {
    /// Notes that a change is there, and gives those that waited for nothing else.
    fn unblock(&mut self, hash: &ChangeHash) -> Vec<usize> {
        let mut free = self.dependents.remove(hash).unwrap_or_default();
        free.retain(|index| match self.counts.get_mut(index) {
            Some(count) => {
                *count -= 1;
                *count == 0
            }
            None => false,
        });
        free
    }
}

/// Checks a change whose dependencies are all held, and adds it to the history.
fn admit(parsed: &Parsed, history: &mut History<'_>, limits: &Limits) -> Result<(), QuarantineReason> {
    let checked = catch_unwind(AssertUnwindSafe(|| {
        let past = history.past(parsed.change.deps());
        check::against_past(parsed, &past, history, limits).map(|made| (past, made))
    }));
    let (past, made) = checked.unwrap_or(Err(QuarantineReason::Panicked))?;
    history.add(parsed.change.hash(), &parsed.expanded, past, made);
    Ok(())
}

#[cfg(test)]
pub(in crate::document) mod hostile;
#[cfg(test)]
mod tests;
