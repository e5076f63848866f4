//! What a change depends on, directly and indirectly: the only part of a document that its verdict may rest on.

use super::DEPTH_MAX;
use super::engine::{self, Sequences};
use automerge::legacy::{ObjectId, OpId};
use automerge::{ActorId, Automerge, ChangeHash, ExpandedChange, ObjId, ObjType, ReadDoc};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

/// The most sets of dependencies whose past is remembered within one batch.
const CUTS_MAX: usize = 64;

/// Where a change ends: its sequence and its operations.
#[derive(Debug, Clone, Copy)]
struct Extent {
    sequence: u64,
    first_op: u64,
    max_op: u64,
    /// How many operations its actor has in the batch, up to and with this change.
    operations: u64,
}

/// The part of the document that a change does not depend on: of each actor what it does not.
/// An actor that is not named is depended on with everything the document holds of it.
type Cut = BTreeMap<ActorId, CutOff>;

/// Where the changes of an actor begin that are not depended on. The later of two has the higher sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct CutOff {
    sequence: u64,
    first_op: u64,
    /// How many operations these changes have.
    operations: u64,
}

/// All that one change depends on.
#[derive(Debug, Clone, Default)]
pub(super) struct Past {
    /// What it does not depend on in the document.
    cut: Rc<Cut>,
    /// The last sequence of each actor that it depends on in the batch.
    clock: Rc<BTreeMap<ActorId, u64>>,
    /// The highest operation that it depends on.
    pub(super) max_op: u64,
}

/// A document, and the changes of a batch that are about to be applied to it.
pub(super) struct History<'e> {
    engine: &'e Automerge,
    sequences: &'e Sequences,
    heads: Vec<ChangeHash>,
    /// How many changes of the document were passed over to find cuts, since it was last asked.
    passed_over: u64,
    cuts: BTreeMap<Vec<ChangeHash>, Rc<Cut>>,
    batch: BTreeMap<ChangeHash, Past>,
    extents: BTreeMap<ActorId, Vec<Extent>>,
    made: BTreeMap<(ActorId, u64), (ObjType, usize)>,
    depths: BTreeMap<(ActorId, u64), usize>,
}

impl<'e> History<'e> {
    pub(super) fn new(engine: &'e Automerge, sequences: &'e Sequences) -> Self {
        Self {
            engine,
            sequences,
            heads: engine.get_heads(),
            passed_over: 0,
            cuts: BTreeMap::new(),
            batch: BTreeMap::new(),
            extents: BTreeMap::new(),
            made: BTreeMap::new(),
            depths: BTreeMap::new(),
        }
    }

    /// Whether the document or the batch holds a change.
    pub(super) fn holds(&self, hash: &ChangeHash) -> bool {
        self.batch.contains_key(hash) || engine::holds(self.engine, hash)
    }

    /// The last sequence of an actor in the batch; 0 when there is none.
    pub(super) fn last_in_batch(&self, actor: &ActorId) -> u64 {
        self.extents.get(actor).and_then(|extents| extents.last()).map_or(0, |extent| extent.sequence)
    }

    /// How many changes of the document were passed over since this was last asked.
    pub(super) fn take_passed_over(&mut self) -> u64 {
        std::mem::take(&mut self.passed_over)
    }

    /// How many actors the batch has.
    pub(super) fn batch_actors(&self) -> usize {
        self.extents.len()
    }

    /// The past of a change with these dependencies, all of which are held.
    pub(super) fn past(&mut self, dependencies: &[ChangeHash]) -> Past {
        let mut in_document: Vec<ChangeHash> = Vec::new();
        let mut past: Option<Past> = None;
        for dependency in dependencies {
            match self.batch.get(dependency) {
                None => in_document.push(*dependency),
                Some(other) => match &mut past {
                    None => past = Some(other.clone()),
                    Some(past) => past.join(other),
                },
            }
        }
        if past.is_none() || !in_document.is_empty() {
            let known = self.document_past(in_document);
            match &mut past {
                None => past = Some(known),
                Some(past) => past.join(&known),
            }
        }
        past.unwrap_or_default()
    }

    /// Adds a change to the batch, with the objects it makes and how deep they stand.
    pub(super) fn add(
        &mut self,
        hash: ChangeHash,
        change: &ExpandedChange,
        mut past: Past,
        made: Vec<(u64, ObjType, usize)>,
    ) {
        let actor = &change.actor_id;
        let first_op = change.start_op.get();
        let max_op = first_op + change.operations.len() as u64 - 1;
        let before = self.extents.get(actor).and_then(|extents| extents.last()).map_or(0, |last| last.operations);
        let operations = before + change.operations.len() as u64;
        Rc::make_mut(&mut past.clock).insert(actor.clone(), change.seq);
        past.max_op = max_op;
        self.batch.insert(hash, past);
        let extent = Extent { sequence: change.seq, first_op, max_op, operations };
        self.extents.entry(actor.clone()).or_default().push(extent);
        for (counter, kind, depth) in made {
            self.made.insert((actor.clone(), counter), (kind, depth));
        }
    }

    /// How many operations a past has.
    pub(super) fn operations(&self, past: &Past) -> u64 {
        let cut_off: u64 = past.cut.values().map(|cut_off| cut_off.operations).sum();
        let in_batch = past.clock.iter().filter_map(|(actor, last)| {
            let extents = self.extents.get(actor)?;
            let after = extents.partition_point(|extent| extent.sequence <= *last);
            extents.get(after.checked_sub(1)?).map(|extent| extent.operations)
        });
        self.sequences.operations().saturating_sub(cut_off).saturating_add(in_batch.sum())
    }

    /// Whether a sequence of an actor is in a past.
    pub(super) fn has_sequence(&self, past: &Past, actor: &ActorId, sequence: u64) -> bool {
        if past.clock.get(actor).is_some_and(|last| sequence <= *last) {
            return true;
        }
        let held = self.sequences.last(actor).is_some_and(|last| sequence <= last);
        held && past.cut.get(actor).is_none_or(|cut_off| sequence < cut_off.sequence)
    }

    /// Whether an operation is in a past.
    pub(super) fn has_operation(&self, past: &Past, id: &OpId) -> bool {
        let in_batch = || {
            let last = past.clock.get(id.actor())?;
            let extents = self.extents.get(id.actor())?;
            let after = extents.partition_point(|extent| extent.first_op <= id.counter());
            let extent = extents.get(after.checked_sub(1)?)?;
            Some(id.counter() <= extent.max_op && extent.sequence <= *last)
        };
        if in_batch() == Some(true) {
            return true;
        }
        past.cut.get(id.actor()).is_none_or(|cut_off| id.counter() < cut_off.first_op)
            && self.engine.hash_for_opid(&object_id(id)).is_some()
    }

    /// The type of an object in a past; `None` when it is no object.
    pub(super) fn object_type(&self, id: &OpId) -> Option<ObjType> {
        match self.made.get(&(id.actor().clone(), id.counter())) {
            Some((kind, _)) => Some(*kind),
            None => self.engine.object_type(object_id(id)).ok(),
        }
    }

    /// How many steps an object in a past stands below the root.
    pub(super) fn depth(&mut self, id: &OpId) -> usize {
        let key = (id.actor().clone(), id.counter());
        if let Some((_, depth)) = self.made.get(&key) {
            return *depth;
        }
        if let Some(depth) = self.depths.get(&key) {
            return *depth;
        }
        // Automerge's own assertions, in builds that have them, fail on the parents of what stands in deleted elements.
        let counted = catch_unwind(AssertUnwindSafe(|| self.engine.parents(object_id(id)).map(Iterator::count)));
        let depth = match counted {
            Ok(Ok(depth)) => depth,
            _ => self.depth_by_changes(id),
        };
        self.depths.insert(key, depth);
        depth
    }

    /// Finds the depth of an object of the document by taking apart the changes that made it and those around it.
    fn depth_by_changes(&self, id: &OpId) -> usize {
        let around = |id: &OpId| {
            let hash = self.engine.hash_for_opid(&object_id(id))?;
            let change = self.engine.get_change_by_hash(&hash)?.decode();
            let place = usize::try_from(id.counter().checked_sub(change.start_op.get())?).ok()?;
            match &change.operations.get(place)?.obj {
                ObjectId::Root => None,
                ObjectId::Id(id) => Some(id.clone()),
            }
        };
        std::iter::successors(Some(id.clone()), around).take(DEPTH_MAX + 1).count()
    }

    fn document_past(&mut self, dependencies: Vec<ChangeHash>) -> Past {
        let max_op = dependencies
            .iter()
            .filter_map(|hash| self.engine.get_change_meta_by_hash(hash))
            .map(|change| change.max_op)
            .max()
            .unwrap_or(0);
        Past { cut: self.cut(dependencies), clock: Rc::default(), max_op }
    }

    fn cut(&mut self, dependencies: Vec<ChangeHash>) -> Rc<Cut> {
        if self.heads.iter().all(|head| dependencies.contains(head)) {
            return Rc::default();
        }
        if let Some(cut) = self.cuts.get(&dependencies) {
            return Rc::clone(cut);
        }
        // The engine also walks what the dependencies stand on, so every change of the document counts.
        self.passed_over = self.passed_over.saturating_add(self.sequences.total());
        let mut cut = Cut::new();
        for change in self.engine.get_changes_meta(&dependencies) {
            let operations = engine::operations_of(&change);
            match cut.get_mut(change.actor.as_ref()) {
                Some(known) => {
                    known.sequence = known.sequence.min(change.seq);
                    known.first_op = known.first_op.min(change.start_op);
                    known.operations += operations;
                }
                None => {
                    let cut_off = CutOff { sequence: change.seq, first_op: change.start_op, operations };
                    cut.insert(change.actor.into_owned(), cut_off);
                }
            }
        }
        let cut = Rc::new(cut);
        if self.cuts.len() < CUTS_MAX {
            self.cuts.insert(dependencies, Rc::clone(&cut));
        }
        cut
    }
}

impl Past {
    /// Adds another past to this one.
    fn join(&mut self, other: &Self) {
        self.max_op = self.max_op.max(other.max_op);
        if !Rc::ptr_eq(&self.clock, &other.clock) {
            let clock = Rc::make_mut(&mut self.clock);
            for (actor, last) in other.clock.iter() {
                match clock.get_mut(actor) {
                    Some(known) => *known = (*known).max(*last),
                    None => {
                        clock.insert(actor.clone(), *last);
                    }
                }
            }
        }
        if !Rc::ptr_eq(&self.cut, &other.cut) && !self.cut.is_empty() {
            let cut = Rc::make_mut(&mut self.cut);
            cut.retain(|actor, first| match other.cut.get(actor) {
                Some(theirs) => {
                    *first = (*first).max(*theirs);
                    true
                }
                None => false,
            });
        }
    }
}

/// Names an object to the engine.
pub(super) fn object(id: &ObjectId) -> ObjId {
    match id {
        ObjectId::Root => ObjId::Root,
        ObjectId::Id(id) => object_id(id),
    }
}

/// Names an operation to the engine. The third part is a hint that the engine does not rely on.
pub(super) fn object_id(id: &OpId) -> ObjId {
    ObjId::Id(id.counter(), id.actor().clone(), 0)
}
