//! The changes of one call: which are ready, who waits for whom, and what became of each.

use crate::change::ChangeHeader;
use crate::document::Incoming;
use crate::document::check::{self, Parsed};
use crate::document::effort::Effort;
use crate::document::engine::{self, Sequences};
use crate::document::past::History;
use crate::document::stage::{Candidate, Outcome};
use crate::document::verdict::{QuarantineReason, Revoked, Verdict};
use crate::id::EntityId;
use crate::limits::Limits;
use automerge::{Automerge, ChangeHash};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The most changes times actors that one round takes, so that what each change depends on fits in memory.
const ROUND_SIZE_MAX: usize = 1_000_000;

/// The changes of one call.
pub(super) struct Batch<'b> {
    incoming: &'b [Incoming<'b>],
    /// What is known of each incoming change.
    verdicts: Vec<Option<Verdict>>,
    /// The headers of the changes without a verdict, by their place among the incoming ones. Their operations are read
    /// one change at a time, when it is its turn: expanded they take a thousand times the bytes.
    open: BTreeMap<usize, ChangeHeader>,
    /// Changes that came more than once: the later places, and the first.
    repeated: Vec<(usize, usize)>,
}

/// A change that meets the rules, with its place among the incoming ones.
pub(super) struct Ready {
    index: usize,
    header: ChangeHeader,
    pub(super) candidate: Candidate,
}

impl<'b> Batch<'b> {
    pub(super) fn read(entity: EntityId, incoming: &'b [Incoming<'b>], engine: &Automerge, limits: &Limits) -> Self {
        let mut batch =
            Self { incoming, verdicts: vec![None; incoming.len()], open: BTreeMap::new(), repeated: Vec::new() };
        let mut first = BTreeMap::new();
        for (index, (incoming, verdict)) in incoming.iter().zip(&mut batch.verdicts).enumerate() {
            match check::header(entity, incoming, limits) {
                Err(reason) => *verdict = Some(Verdict::Quarantined(reason)),
                Ok(_) if engine::holds(engine, &incoming.hash) => *verdict = Some(Verdict::Held),
                Ok(header) => match first.get(&incoming.hash) {
                    Some(first) => batch.repeated.push((index, *first)),
                    None => {
                        first.insert(incoming.hash, index);
                        batch.open.insert(index, header);
                    }
                },
            }
        }
        batch
    }

    /// Takes out the changes that can be applied now, as many as one portion holds, and puts them in causal order;
    /// quarantines those that break a rule.
    ///
    /// Of two changes with one actor and sequence the later is left for the next round, when it is known what became
    /// of the first.
    pub(super) fn ready(
        &mut self,
        engine: &Automerge,
        sequences: &Sequences,
        limits: &Limits,
        effort: &mut Effort,
    ) -> Vec<Ready> {
        let mut history = History::new(engine, sequences);
        let (mut waiting, mut next) = self.dependents(&history);
        let (mut ready, mut weight) = (Vec::new(), 0_u64);
        while let Some(index) = next.pop_first() {
            if ready.len().saturating_mul(history.batch_actors()) > ROUND_SIZE_MAX || effort.is_spent() {
                break;
            }
            let (Some(header), Some(incoming)) = (self.open.get(&index), self.incoming.get(index)) else { continue };
            if !ready.is_empty() && weight.saturating_add(header.weight()) > effort.portion_weight_max {
                break;
            }
            weight = weight.saturating_add(header.weight());
            if sequences.last(&header.actor).is_some_and(|last| header.sequence <= last) {
                effort.read(header.weight());
                let reason = check::content(incoming, header).err().unwrap_or(QuarantineReason::ActorForked);
                self.quarantine(index, reason);
            } else if header.sequence > history.last_in_batch(&header.actor) {
                effort.read(header.weight());
                let admitted = check::content(incoming, header).and_then(|parsed| admit(parsed, &mut history, limits));
                effort.pass_over(history.take_passed_over());
                match admitted {
                    Ok(candidate) => {
                        let hash = header.hash;
                        ready.extend(self.open.remove(&index).map(|header| Ready { index, header, candidate }));
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
        for (index, header) in &self.open {
            let mut count = 0;
            for dependency in header.dependencies.iter().filter(|dependency| !history.holds(dependency)) {
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

    /// Notes what became of a change. One that was not tried, or whose dependency failed, is open again.
    pub(super) fn close(&mut self, ready: Ready, outcome: Outcome) {
        match outcome {
            Outcome::Applied => self.set(ready.index, Verdict::Applied),
            Outcome::Failed(reason) => self.set(ready.index, Verdict::Quarantined(reason)),
            Outcome::Orphaned | Outcome::Untried => {
                self.open.insert(ready.index, ready.header);
            }
        }
    }

    fn set(&mut self, index: usize, verdict: Verdict) {
        if let Some(known) = self.verdicts.get_mut(index) {
            *known = Some(verdict);
        }
    }

    /// The verdicts on all changes; what is open was left for another call when the effort of this one is spent, and waits
    /// otherwise. Of the changes that were taken out of the document again, those of this call are removed from `revoked`
    /// and get their new verdict here.
    pub(super) fn verdicts(mut self, engine: &Automerge, revoked: &mut Vec<Revoked>, effort: &Effort) -> Vec<Verdict> {
        for (index, header) in std::mem::take(&mut self.open) {
            let waits = || Verdict::Waiting { missing: missing(engine, &header.dependencies) };
            self.set(index, if effort.is_spent() { Verdict::Undecided } else { waits() });
        }
        if !revoked.is_empty() {
            for (incoming, verdict) in self.incoming.iter().zip(&mut self.verdicts) {
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
pub(in crate::document) fn missing(engine: &Automerge, dependencies: &[ChangeHash]) -> Vec<ChangeHash> {
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
fn admit(parsed: Parsed, history: &mut History<'_>, limits: &Limits) -> Result<Candidate, QuarantineReason> {
    let checked = catch_unwind(AssertUnwindSafe(|| {
        let past = history.past(parsed.change.deps());
        check::against_past(&parsed, &past, history, limits).map(|made| (past, made))
    }));
    let (past, made) = checked.unwrap_or(Err(QuarantineReason::Panicked))?;
    history.add(parsed.change.hash(), &parsed.expanded, past, made);
    Ok(Candidate::from(parsed))
}
