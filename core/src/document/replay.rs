//! Changes from elsewhere that are redone as local edits: what the engine does for an edit costs the same in a short
//! and in a long text, while applying a change walks through every operation ever made in the object.
//!
//! A change that depends on all heads, and whose operations number on from the last, is what its author's engine made
//! in the very state that is held here. The same calls in the same state make the same change, and its hash says so: it
//! covers every byte, the dependencies among them. What does not come out the same was not made by such calls; it
//! leaves nothing behind and goes the normal way.

use super::engine;
use super::past::object;
use super::stage::Candidate;
use automerge::legacy::{ElementId, Key, Op, OpId, OpType};
use automerge::transaction::{CommitOptions, OwnedTransaction, Transactable};
use automerge::{
    Automerge, AutomergeError, Change, ChangeHash, Cursor, ExpandedChange, ObjId, ObjType, PatchLogMismatch, ReadDoc,
    ScalarValue,
};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How many operations and changes are redone whatever the document: less work than the merge's own in a small one.
const WEIGHT_MIN: u64 = 16;
/// How many operations of the document the merge walks in the time in which one is redone.
const WALKED_PER_OPERATION: u64 = 256;

/// Whether changes from elsewhere are redone as local edits where that gives the same bytes.
///
/// The verdicts and the document are the same either way, and so is what the document is saved as.
///
/// ```
/// use afield_core::document::Replay;
///
/// assert_eq!(Replay::default(), Replay::On); // `Off` is for measuring what it saves
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Replay {
    /// They are: a keystroke of somebody else then costs as much in a long text as in a short one.
    #[default]
    On,
    /// Every change is applied by the engine's own merge.
    Off,
}

/// A change cannot be redone here, or gave other bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Unfit;

impl From<AutomergeError> for Unfit {
    fn from(_: AutomergeError) -> Self {
        Self
    }
}

impl From<PatchLogMismatch> for Unfit {
    fn from(_: PatchLogMismatch) -> Self {
        Self
    }
}

/// Redoes changes that stand in causal order on a copy of the document; `None` unless every one of them comes out with
/// its own hash.
pub(super) fn redo(base: &Automerge, changes: &[&Candidate]) -> Option<Automerge> {
    if !is_worthwhile(base, changes) || !sit_on_the_heads(base, changes) {
        return None;
    }
    let redone = catch_unwind(AssertUnwindSafe(|| {
        let redone = changes.iter().try_fold(base.clone(), |engine, candidate| redo_one(engine, &candidate.change));
        redone.map(engine::of_nobody)
    }));
    redone.ok()?.ok()
}

/// Whether the merge would take longer: it walks through an object once, however many changes there are.
fn is_worthwhile(base: &Automerge, changes: &[&Candidate]) -> bool {
    let weight: u64 = changes.iter().map(|candidate| candidate.change.len() as u64 + 1).sum();
    weight <= WEIGHT_MIN.saturating_add(base.stats().num_ops / WALKED_PER_OPERATION)
}

/// Whether each change depends on all heads that there are before it and numbers its operations on from the last.
///
/// It may depend on one change more, which is then its actor's last: the engine names that one even below the heads.
fn sit_on_the_heads(base: &Automerge, changes: &[&Candidate]) -> bool {
    let mut heads: BTreeSet<ChangeHash> = base.get_heads().into_iter().collect();
    let mut max_op = engine::max_op(base);
    changes.iter().all(|Candidate { change, has_marks, .. }| {
        let (deps, start_op) = (change.deps(), change.start_op().get());
        let sits = heads.iter().all(|head| deps.contains(head)) && deps.len() <= heads.len() + 1;
        let fits = sits && start_op == max_op + 1 && !has_marks;
        heads = BTreeSet::from([change.hash()]);
        max_op = start_op - 1 + change.len() as u64;
        fits
    })
}

fn redo_one(engine: Automerge, change: &Change) -> Result<Automerge, Unfit> {
    let expanded = change.decode();
    // The engine takes another actor with another author.
    let mut engine = engine.with_author(expanded.author.clone()).with_actor(expanded.actor_id.clone());
    let mut options = CommitOptions::default().with_time(expanded.time);
    options.message.clone_from(&expanded.message);
    let made = if expanded.operations.is_empty() {
        Some(engine.empty_commit(options))
    } else {
        // One that owns the document: one that borrows it rolls back when it is dropped, also while a panic unwinds.
        let mut redoing = Redoing { transaction: engine.into_transaction(None, None)?, change: &expanded, last: None };
        redoing.all()?;
        let (after, made, _) = redoing.transaction.commit_with(options);
        engine = after;
        made
    };
    if made == Some(change.hash()) { Ok(engine) } else { Err(Unfit) }
}

/// The operations of one change, as they are redone.
struct Redoing<'c> {
    transaction: OwnedTransaction,
    change: &'c ExpandedChange,
    /// The element that was last inserted or found, and the index right after it: most operations go on from there.
    last: Option<(OpId, usize)>,
}

impl Redoing<'_> {
    /// Redoes all operations. Each has to give exactly one, or what comes after would be numbered otherwise.
    fn all(&mut self) -> Result<(), Unfit> {
        let mut left = self.change.operations.as_slice();
        while let Some((operation, after)) = left.split_first() {
            let object = object(&operation.obj);
            let done = match &operation.key {
                Key::Map(key) => self.entry(&object, key.as_str(), operation).map(|()| 1)?,
                Key::Seq(element) if operation.insert => self.insert(&object, element, left)?,
                Key::Seq(ElementId::Id(element)) => self.update(&object, element, operation).map(|()| 1)?,
                Key::Seq(ElementId::Head) => return Err(Unfit),
            };
            left = after.get(done - 1..).ok_or(Unfit)?;
            if self.transaction.pending_ops() + left.len() != self.change.operations.len() {
                return Err(Unfit);
            }
        }
        Ok(())
    }

    fn entry(&mut self, object: &ObjId, key: &str, operation: &Op) -> Result<(), Unfit> {
        match &operation.action {
            OpType::Put(value) => self.transaction.put(object, key, value.clone())?,
            OpType::Make(kind) => drop(self.transaction.put_object(object, key, *kind)?),
            OpType::Delete => self.transaction.delete(object, key)?,
            OpType::Increment(by) => self.transaction.increment(object, key, *by)?,
            OpType::MarkBegin(_) | OpType::MarkEnd(_) => return Err(Unfit),
        }
        Ok(())
    }

    /// Inserts the first of these operations, and those after it that make one run of characters with it; says how many.
    fn insert(&mut self, object: &ObjId, element: &ElementId, operations: &[Op]) -> Result<usize, Unfit> {
        let operation = operations.first().ok_or(Unfit)?;
        let number = self.transaction.pending_ops();
        let is_text = self.transaction.object_type(object)? == ObjType::Text;
        let index = match element {
            ElementId::Head => 0,
            ElementId::Id(id) => self.index_after(object, id, is_text)?,
        };
        let run = if is_text { self.run(operations, number) } else { String::new() };
        let count = run.chars().count().max(1);
        match &operation.action {
            _ if !run.is_empty() => self.transaction.splice_text(object, index, 0, &run)?,
            OpType::Put(value) => self.transaction.insert(object, index, value.clone())?,
            OpType::Make(kind) => drop(self.transaction.insert_object(object, index, *kind)?),
            OpType::Delete | OpType::Increment(_) | OpType::MarkBegin(_) | OpType::MarkEnd(_) => return Err(Unfit),
        }
        self.last = Some((self.own(number + count - 1), index + count));
        Ok(count)
    }

    /// The characters that these operations insert one after the other.
    fn run(&self, operations: &[Op], number: usize) -> String {
        let first = operations.first();
        let goes_on = |(place, operation): &(usize, &Op)| {
            let before = place.checked_sub(1).map(|before| Key::Seq(ElementId::Id(self.own(number + before))));
            operation.insert
                && first.is_some_and(|first| first.obj == operation.obj)
                && before.is_none_or(|before| operation.key == before)
        };
        operations.iter().enumerate().take_while(goes_on).map_while(|(_, operation)| character(operation)).collect()
    }

    /// Deletes or changes an element that is there.
    fn update(&mut self, object: &ObjId, element: &OpId, operation: &Op) -> Result<(), Unfit> {
        let is_text = self.transaction.object_type(object)? == ObjType::Text;
        let index = self.index_of(object, element, is_text)?;
        match &operation.action {
            OpType::Delete => self.transaction.delete(object, index)?,
            OpType::Put(value) if !is_text => self.transaction.put(object, index, value.clone())?,
            OpType::Make(kind) if !is_text => drop(self.transaction.put_object(object, index, *kind)?),
            OpType::Increment(by) if !is_text => self.transaction.increment(object, index, *by)?,
            _ => return Err(Unfit),
        }
        // What was deleted has the next one at its place, and what was not is the last one before the next.
        let next = if operation.action == OpType::Delete { index } else { index + 1 };
        self.last = Some((element.clone(), next));
        Ok(())
    }

    /// The index of an element that is there.
    fn index_of(&self, object: &ObjId, element: &OpId, is_text: bool) -> Result<usize, Unfit> {
        if let Some((_, next)) = self.last
            && self.stands_at(object, element, next)
        {
            return Ok(next);
        }
        let index = self.seek(object, element)?;
        if is_text && !self.stands_at(object, element, index) { Err(Unfit) } else { Ok(index) }
    }

    /// The index at which something is inserted after an element, or after where a mark begins or ends.
    fn index_after(&self, object: &ObjId, element: &OpId, is_text: bool) -> Result<usize, Unfit> {
        if let Some((last, next)) = &self.last
            && last == element
        {
            return Ok(*next);
        }
        let index = self.seek(object, element)?;
        Ok(if is_text && !self.stands_at(object, element, index) { index } else { index + 1 })
    }

    fn seek(&self, object: &ObjId, OpId(counter, actor): &OpId) -> Result<usize, Unfit> {
        let cursor = Cursor::try_from(format!("{counter}@{actor}"))?;
        Ok(self.transaction.get_cursor_position(object, &cursor, None)?)
    }

    /// Whether what stands at an index was put there by the operation that inserted an element.
    fn stands_at(&self, object: &ObjId, OpId(counter, actor): &OpId, index: usize) -> bool {
        let found = self.transaction.get(object, index).ok().flatten();
        found.is_some_and(|(_, id)| matches!(&id, ObjId::Id(at, by, _) if at == counter && by == actor))
    }

    /// The operation with a place in this change.
    fn own(&self, place: usize) -> OpId {
        OpId(self.change.start_op.get().saturating_add(place as u64), self.change.actor_id.clone())
    }
}

/// The character that an operation inserts, unless it is something else or several.
fn character(operation: &Op) -> Option<char> {
    let OpType::Put(ScalarValue::Str(text)) = &operation.action else { return None };
    let mut characters = text.chars();
    characters.next().filter(|_| characters.next().is_none())
}

#[cfg(test)]
mod tests;
