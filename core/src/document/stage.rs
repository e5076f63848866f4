//! Applying to a copy, and finding the changes that the engine fails on.

use super::check::{Parsed, is_mark};
use super::effort::Effort;
use super::engine;
use super::past::object;
use super::read::read_characters;
use super::save::can_be_saved;
use super::verdict::QuarantineReason;
use automerge::legacy::ObjectId;
use automerge::{Automerge, Change, ChangeHash, ObjId, ObjType, ReadDoc};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// When a batch is also saved and loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Saving {
    /// Only when it holds marks, for which Automerge checks more when it loads than when it applies.
    OfMarks,
    /// Always.
    Always,
}

/// What became of one change of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is part of the engine now.
    Applied,
    /// The engine fails on it.
    Failed(QuarantineReason),
    /// The engine fails on a change it depends on.
    Orphaned,
    /// Too many attempts had failed before.
    Untried,
}

/// The engine after a batch, and what became of each change of it.
pub(super) struct Settled {
    pub(super) engine: Automerge,
    pub(super) outcomes: Vec<Outcome>,
}

/// A change that meets the rules and is to be applied.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) change: Change,
    /// Whether it marks parts of a text. What Automerge wants of marks can only be seen by saving and loading.
    pub(super) has_marks: bool,
    /// The objects that its operations work on.
    touched: Vec<ObjectId>,
}

impl From<Parsed> for Candidate {
    fn from(Parsed { change, expanded }: Parsed) -> Self {
        let has_marks = expanded.operations.iter().any(is_mark);
        let mut touched: Vec<ObjectId> = Vec::new();
        for operation in expanded.operations {
            if touched.last() != Some(&operation.obj) {
                touched.push(operation.obj);
            }
        }
        Self { change, has_marks, touched }
    }
}

impl Candidate {
    /// A change that the document holds already, to be applied to another one.
    pub(super) fn trusted(change: Change) -> Self {
        Self { change, has_marks: false, touched: Vec::new() }
    }
}

/// Applies changes that stand in causal order and whose dependencies are held, leaving out those that the engine fails
/// on and those that depend on them.
pub(super) fn settle(base: Automerge, changes: &[&Candidate], saving: Saving, effort: &mut Effort) -> Settled {
    let mut stage =
        Stage { base, base_can_be_saved: None, saving, effort, outcomes: Vec::with_capacity(changes.len()) };
    stage.settle(changes);
    Settled { engine: stage.base, outcomes: stage.outcomes }
}

/// A document that changes are being added to.
struct Stage<'e> {
    base: Automerge,
    /// Whether it can be saved, where that is known.
    base_can_be_saved: Option<bool>,
    saving: Saving,
    effort: &'e mut Effort,
    outcomes: Vec<Outcome>,
}

impl Stage<'_> {
    fn settle(&mut self, changes: &[&Candidate]) {
        if changes.is_empty() {
            return;
        }
        if !self.effort.may_fail() {
            return self.all(changes, Outcome::Untried);
        }
        let reason = match self.attempt(changes) {
            Ok(()) => return self.all(changes, Outcome::Applied),
            Err(reason) => reason,
        };
        self.effort.fail();
        if changes.len() == 1 {
            return self.all(changes, Outcome::Failed(reason));
        }
        let (left, right) = changes.split_at(changes.len() / 2);
        self.settle(left);
        let orphaned = orphans(&self.base, right);
        if !orphaned.contains(&true) {
            return self.settle(right);
        }
        let kept: Vec<&Candidate> =
            right.iter().zip(&orphaned).filter(|(_, orphaned)| !**orphaned).map(|(change, _)| *change).collect();
        let before = self.outcomes.len();
        self.settle(&kept);
        let mut settled = self.outcomes.split_off(before).into_iter();
        self.outcomes.extend(orphaned.iter().map(|orphaned| match orphaned {
            true => Outcome::Orphaned,
            false => settled.next().expect("every change that was kept has an outcome"),
        }));
    }

    fn all(&mut self, changes: &[&Candidate], outcome: Outcome) {
        self.outcomes.extend(changes.iter().map(|_| outcome));
    }

    /// Applies changes to a copy of the base and checks that the copy holds them and nothing else and can be read; the
    /// copy is the base then.
    fn attempt(&mut self, changes: &[&Candidate]) -> Result<(), QuarantineReason> {
        let base = &self.base;
        let staged = catch_unwind(AssertUnwindSafe(|| {
            let mut engine = base.clone();
            let owned: Vec<Change> = changes.iter().map(|candidate| candidate.change.clone()).collect();
            engine.apply_changes(owned).map_err(|_| QuarantineReason::Rejected)?;
            if !engine.get_missing_deps(&[]).is_empty() || engine.get_heads() != heads_after(base, changes) {
                return Err(QuarantineReason::Rejected);
            }
            read_back(base, &engine, changes)?;
            // Whoever has the document reads it next, and not under a guard like this one.
            read_touched(&engine, changes);
            Ok(engine)
        }));
        let engine = staged.unwrap_or(Err(QuarantineReason::Panicked))?;
        let mut saved = None;
        if self.saving == Saving::Always || changes.iter().any(|candidate| candidate.has_marks) {
            saved = Some(can_be_saved(&engine));
            // Where the base cannot be saved either, the cause is not among these changes.
            if saved == Some(false) && *self.base_can_be_saved.get_or_insert_with(|| can_be_saved(base)) {
                return Err(QuarantineReason::PoisonsSave);
            }
        }
        (self.base, self.base_can_be_saved) = (engine, saved);
        Ok(())
    }
}

/// Which of the changes depend on one that is neither held nor among them.
fn orphans(base: &Automerge, changes: &[&Candidate]) -> Vec<bool> {
    let mut kept = BTreeSet::new();
    let mut is_orphan = |change: &Change| {
        let known = |dependency: &ChangeHash| kept.contains(dependency) || engine::holds(base, dependency);
        let orphan = !change.deps().iter().all(known);
        if !orphan {
            kept.insert(change.hash());
        }
        orphan
    };
    changes.iter().map(|candidate| is_orphan(&candidate.change)).collect()
}

fn heads_after(base: &Automerge, changes: &[&Candidate]) -> Vec<ChangeHash> {
    let mut heads: BTreeSet<ChangeHash> = base.get_heads().into_iter().collect();
    for Candidate { change, .. } in changes {
        for dependency in change.deps() {
            heads.remove(dependency);
        }
        heads.insert(change.hash());
    }
    heads.into_iter().collect()
}

/// Reads the objects that changes have touched, each without those below it: nothing was done to any other.
fn read_touched(engine: &Automerge, changes: &[&Candidate]) {
    let touched: BTreeSet<ObjId> = changes.iter().flat_map(|candidate| &candidate.touched).map(object).collect();
    for id in touched {
        match engine.object_type(&id) {
            Ok(ObjType::Text) => drop(read_characters(engine, &id)),
            Ok(ObjType::List) => engine.list_range(&id, ..).for_each(drop),
            Ok(ObjType::Map | ObjType::Table) => engine.map_range(&id, ..).for_each(drop),
            Err(_) => {}
        }
    }
}

/// Checks that the engine gives every change back as it came.
fn read_back(base: &Automerge, engine: &Automerge, changes: &[&Candidate]) -> Result<(), QuarantineReason> {
    let given: BTreeMap<ChangeHash, Change> =
        engine.get_changes(&base.get_heads()).into_iter().map(|change| (change.hash(), change)).collect();
    let same = |candidate: &&Candidate| {
        let change = &candidate.change;
        given.get(&change.hash()).is_some_and(|given| given.raw_bytes() == change.raw_bytes())
    };
    if given.len() == changes.len() && changes.iter().all(same) {
        Ok(())
    } else {
        Err(QuarantineReason::ReadBackDiffers)
    }
}
