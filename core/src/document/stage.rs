//! Applying to a copy, and finding the changes that the engine fails on.

use super::check::Parsed;
use super::engine;
use super::save::can_be_saved;
use super::verdict::QuarantineReason;
use automerge::{Automerge, Change, ChangeHash, ReadDoc};
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
}

/// The engine after a batch, and what became of each change of it.
pub(super) struct Settled {
    pub(super) engine: Automerge,
    pub(super) outcomes: Vec<Outcome>,
}

/// Applies changes that stand in causal order and whose dependencies are held, leaving out those that the engine fails
/// on and those that depend on them.
pub(super) fn settle(base: Automerge, changes: &[&Parsed], saving: Saving) -> Settled {
    let mut outcomes = Vec::with_capacity(changes.len());
    let engine = settle_part(base, changes, saving, &mut outcomes);
    Settled { engine, outcomes }
}

fn settle_part(base: Automerge, changes: &[&Parsed], saving: Saving, outcomes: &mut Vec<Outcome>) -> Automerge {
    let reason = match attempt(&base, changes, saving) {
        Ok(engine) => {
            outcomes.extend(changes.iter().map(|_| Outcome::Applied));
            return engine;
        }
        Err(reason) => reason,
    };
    if changes.len() <= 1 {
        outcomes.extend(changes.iter().map(|_| Outcome::Failed(reason)));
        return base;
    }
    let (left, right) = changes.split_at(changes.len() / 2);
    let base = settle_part(base, left, saving, outcomes);
    let orphaned = orphans(&base, right);
    if !orphaned.contains(&true) {
        return settle_part(base, right, saving, outcomes);
    }
    let kept: Vec<&Parsed> =
        right.iter().zip(&orphaned).filter(|(_, orphaned)| !**orphaned).map(|(change, _)| *change).collect();
    let mut settled = Vec::with_capacity(kept.len());
    let engine = settle_part(base, &kept, saving, &mut settled);
    let mut settled = settled.into_iter();
    outcomes.extend(orphaned.iter().map(|orphaned| match orphaned {
        true => Outcome::Orphaned,
        false => settled.next().expect("every change that was kept has an outcome"),
    }));
    engine
}

/// Which of the changes depend on one that is neither held nor among them.
fn orphans(base: &Automerge, changes: &[&Parsed]) -> Vec<bool> {
    let mut kept = BTreeSet::new();
    let mut is_orphan = |change: &Change| {
        let known = |dependency: &ChangeHash| kept.contains(dependency) || engine::holds(base, dependency);
        let orphan = !change.deps().iter().all(known);
        if !orphan {
            kept.insert(change.hash());
        }
        orphan
    };
    changes.iter().map(|parsed| is_orphan(&parsed.change)).collect()
}

/// Applies changes to a copy of `base` and checks that the copy holds them and nothing else.
fn attempt(base: &Automerge, changes: &[&Parsed], saving: Saving) -> Result<Automerge, QuarantineReason> {
    let staged = catch_unwind(AssertUnwindSafe(|| {
        let mut engine = base.clone();
        let owned: Vec<Change> = changes.iter().map(|parsed| parsed.change.clone()).collect();
        engine.apply_changes(owned).map_err(|_| QuarantineReason::Rejected)?;
        if !engine.get_missing_deps(&[]).is_empty() || engine.get_heads() != heads_after(base, changes) {
            return Err(QuarantineReason::Rejected);
        }
        read_back(base, &engine, changes)?;
        Ok(engine)
    }));
    let engine = staged.unwrap_or(Err(QuarantineReason::Panicked))?;
    let to_be_saved = saving == Saving::Always || changes.iter().any(|parsed| parsed.has_marks());
    // Where the base cannot be saved either, the cause is not among these changes.
    if to_be_saved && !can_be_saved(&engine) && can_be_saved(base) {
        return Err(QuarantineReason::PoisonsSave);
    }
    Ok(engine)
}

fn heads_after(base: &Automerge, changes: &[&Parsed]) -> Vec<ChangeHash> {
    let mut heads: BTreeSet<ChangeHash> = base.get_heads().into_iter().collect();
    for Parsed { change, .. } in changes {
        for dependency in change.deps() {
            heads.remove(dependency);
        }
        heads.insert(change.hash());
    }
    heads.into_iter().collect()
}

/// Checks that the engine gives every change back as it came.
fn read_back(base: &Automerge, engine: &Automerge, changes: &[&Parsed]) -> Result<(), QuarantineReason> {
    let given: BTreeMap<ChangeHash, Change> =
        engine.get_changes(&base.get_heads()).into_iter().map(|change| (change.hash(), change)).collect();
    let same = |parsed: &&Parsed| {
        let change = &parsed.change;
        given.get(&change.hash()).is_some_and(|given| given.raw_bytes() == change.raw_bytes())
    };
    if given.len() == changes.len() && changes.iter().all(same) {
        Ok(())
    } else {
        Err(QuarantineReason::ReadBackDiffers)
    }
}
