//! Which of the places that were written to are in conflict, and what their sides are.

use super::gathered::{Gathered, Target, Write};
use super::region::Region;
use super::standing::{Places, Reached, Visible};
use super::{Conflict, ConflictKind, ConflictValue, Id, Key, Register};
use crate::document::path::Path;
use crate::document::value::Value;
use crate::id::EntityId;
use automerge::{Automerge, ChangeHash};
use std::collections::{BTreeMap, BTreeSet};

/// The conflicts of a document that are among the changes of a region, in the order of their places.
pub(super) fn conflicts(entity: EntityId, engine: &Automerge, region: Region) -> Vec<Conflict> {
    if region.changes.is_empty() {
        return Vec::new();
    }
    let gathered = Gathered::from(&region);
    let places = Places::new(engine, &gathered);
    let mut judge = Judge { entity, region: &region, gathered: &gathered, places };
    let gone = judge.gone();
    let mark = Register::deletion();
    let registers = gathered.registers.iter().filter(|(register, _)| **register != mark);
    let mut conflicts: Vec<Conflict> = registers
        // One write is beside no other, and most are insertions into lists.
        .filter(|(register, writes)| {
            writes.len() > 1 || gone.contains_key(*register) || gathered.created.contains(*register)
        })
        .map(|(register, writes)| (register, writes, gone.get(register).cloned().unwrap_or_default()))
        .filter_map(|(register, writes, gone)| judge.register(register, writes, gone))
        .collect();
    conflicts.extend(gathered.registers.get(&mark).and_then(|writes| judge.whole_entity(&mark, writes)));
    conflicts.sort_by(|left, right| (&left.path, left.id).cmp(&(&right.path, right.id)));
    conflicts
}

struct Judge<'r> {
    entity: EntityId,
    region: &'r Region,
    gathered: &'r Gathered,
    places: Places<'r>,
}

/// Who edited what stood at a register and is gone, by the operation that wrote it.
type Edited = BTreeMap<Id, BTreeSet<usize>>;

impl Judge<'_> {
    /// Finds what was edited and is gone, by the outermost register that lost it.
    fn gone(&mut self) -> BTreeMap<Register, Edited> {
        let mut gone: BTreeMap<Register, Edited> = BTreeMap::new();
        for (target, changes) in &self.gathered.edits {
            if let Reached::Gone { register, value } = self.places.reach(target) {
                gone.entry(register).or_default().entry(value).or_default().extend(changes);
            }
        }
        gone
    }

    /// What is in conflict at one register.
    fn register(&mut self, register: &Register, writes: &[Write], gone: Edited) -> Option<Conflict> {
        if self.places.is_in_text(register) {
            return None;
        }
        let Reached::At(parent) = self.places.reach_object(register.object.as_ref()) else { return None };
        let visible = self.places.visible(register);
        let mut sides = Sides { values: Vec::new(), gone: BTreeSet::new() };
        for found in &visible {
            self.add_visible(&mut sides, found);
        }
        let kind = if sides.values.len() > 1 { Some(ConflictKind::Values) } else { None };
        let deletion = self.add_deletions(&mut sides, register, writes, &visible).then_some(ConflictKind::Deleted);
        let lost = self.add_lost(&mut sides, register, writes, gone).then_some(ConflictKind::Lost);
        let kind = kind.or(lost).or(deletion)?;
        let path = self.places.step(register, parent)?;
        let standing: BTreeSet<Id> = visible.into_iter().map(|found| found.operation).collect();
        let gone = sides.gone.difference(&standing).cloned().collect();
        let id = register.conflict_id(self.entity);
        Some(Conflict { id, path, kind, values: sides.values, register: register.clone(), gone })
    }

    /// Adds a value that stands at a register, unless one that says the same is there.
    fn add_visible(&self, sides: &mut Sides, found: &Visible) {
        let Some(change) = self.places.engine.hash_for_opid(&found.operation.object()) else { return };
        if found.is_object || !sides.values.iter().any(|side| side.value.as_ref() == Some(&found.value)) {
            let wins = sides.values.is_empty();
            let operation = Some(found.operation.clone());
            sides.values.push(ConflictValue { value: Some(found.value.clone()), change, wins, operation });
        }
    }

    /// Adds what deletions say that nobody wrote after: that the place is empty, or that it keeps what stood beside what they
    /// took away. Says whether this is in conflict with what stands there, or with one another where nothing does.
    fn add_deletions(&self, sides: &mut Sides, register: &Register, writes: &[Write], visible: &[Visible]) -> bool {
        let wrote = |found: &Visible| {
            let hash = self.places.engine.hash_for_opid(&found.operation.object())?;
            self.region.find(&hash)
        };
        let standing: Vec<usize> = visible.iter().filter_map(wrote).collect();
        let (mut deleted, mut keepers) = (BTreeSet::new(), BTreeSet::new());
        let (mut kept, mut kept_before): (Vec<ConflictValue>, BTreeSet<Id>) = Default::default();
        if !writes.iter().any(|write| write.deletes) {
            return false;
        }
        let overwritten = self.region.before(&makers(writes));
        let is_last = |write: &&Write| {
            let later = |other: &Write| other.change == write.change && other.operation > write.operation;
            !overwritten.has(write.change) && !writes.iter().any(later)
        };
        let last = writes.iter().filter(|write| write.deletes).filter(is_last);
        let named = last.filter_map(|write| Some((self.region.changes.get(write.change)?.hash, write)));
        // Not in the order in which they came to this device.
        for (change, deletion) in named.collect::<BTreeMap<_, _>>() {
            // What every device creates alike is no answer to a deletion.
            let beside = |wrote: &usize| self.region.are_concurrent(*wrote, deletion.change);
            if !visible.is_empty() && !standing.iter().any(beside) {
                continue;
            }
            sides.gone.extend(deletion.predecessors.iter().cloned());
            let Some(side) = self.places.visible_to(register, &[change]).into_iter().next() else {
                deleted.insert(deletion.change);
                continue;
            };
            keepers.insert(deletion.change);
            let stands = |known: &ConflictValue| known.operation.as_ref() == Some(&side.operation);
            // Two maps are two, whatever is in them now: others write into one of them.
            let says_the_same = |known: &ConflictValue| !side.is_object && known.value.as_ref() == Some(&side.value);
            let is_listed = sides.values.iter().any(|known| stands(known) || says_the_same(known));
            let is_kept = kept.iter().any(says_the_same) || !kept_before.insert(side.operation.clone());
            if (!standing.is_empty() || visible.is_empty()) && !is_listed && !is_kept {
                kept.push(ConflictValue { value: Some(side.value), change, wins: false, operation: None });
            }
        }
        let contested = !kept.is_empty() || !deleted.is_empty() && !visible.is_empty();
        // Where those who kept different things emptied the place together, nobody else did.
        let emptied = if deleted.is_empty() && visible.is_empty() { keepers } else { deleted };
        let emptied = self.region.latest(emptied).map(|latest| latest.hash);
        let empty = emptied.map(|change| ConflictValue { value: None, change, wins: false, operation: None });
        if visible.is_empty() {
            sides.values.extend(empty.into_iter().map(|side| ConflictValue { wins: true, ..side }).chain(kept));
        } else {
            sides.values.extend(kept.into_iter().chain(empty));
        }
        contested
    }

    /// Adds what was edited without the knowledge of whoever took it away; says whether anything was.
    fn add_lost(&self, sides: &mut Sides, register: &Register, writes: &[Write], gone: Edited) -> bool {
        if gone.is_empty() {
            return false;
        }
        let (mut found, sight) = (false, self.region.sight(&makers(writes)));
        for (operation, changes) in gone.into_iter().rev() {
            // Nobody who wrote the register had seen the edit, and somebody of them was not seen by it either.
            let is_unseen = |edit: &usize| !sight.has(*edit) && !sight.is_known_to(*edit);
            let unseen: Vec<usize> = changes.into_iter().filter(is_unseen).collect();
            let Some(change) = self.region.latest(unseen.iter().copied()).map(|latest| latest.hash) else { continue };
            let editors: Vec<ChangeHash> =
                unseen.iter().filter_map(|edit| self.region.changes.get(*edit)).map(|member| member.hash).collect();
            let Some(value) = self.places.gone(register, &operation, &editors) else { continue };
            sides.gone.insert(operation);
            sides.values.push(ConflictValue { value: Some(value), change, wins: false, operation: None });
            found = true;
        }
        found
    }

    /// What is in conflict at the mark that says whether the entity is deleted.
    fn whole_entity(&mut self, register: &Register, writes: &[Write]) -> Option<Conflict> {
        let visible = self.places.visible(register);
        let winner = visible.first()?;
        let is_deletion = |found: &Visible| !found.value.is_null();
        let written = |found: &Visible| self.places.engine.hash_for_opid(&found.operation.object());
        let deletions: Vec<ChangeHash> =
            visible.iter().filter(|found| is_deletion(found)).filter_map(written).collect();
        let restored = visible.iter().find(|found| !is_deletion(found)).and_then(written);
        let marks: BTreeSet<usize> = deletions.iter().filter_map(|hash| self.region.find(hash)).collect();
        let (fields, unseen) = self.edited_beside(writes, &marks);
        // A deletion that all the others knew of is beside nothing, and need not be among the changes of the region.
        let is_beside = |mark: &usize| {
            let sight = self.region.sight(&BTreeSet::from([*mark]));
            unseen.iter().any(|edit| !sight.is_known_to(*edit))
        };
        let beside = marks.into_iter().filter(|mark| restored.is_some() || is_beside(mark));
        let deleted = self.region.latest(beside)?.hash;
        let kept = restored.or_else(|| self.region.latest(unseen).map(|latest| latest.hash))?;
        let deleted_wins = is_deletion(winner);
        let side = |value, change, wins| ConflictValue { value, change, wins, operation: None };
        let mut values = vec![side(None, deleted, deleted_wins), side(Some(Value::Map(fields)), kept, !deleted_wins)];
        if !deleted_wins {
            values.reverse();
        }
        let id = register.conflict_id(self.entity);
        let (path, kind) = (Path::ROOT, ConflictKind::Entity);
        Some(Conflict { id, path, kind, values, register: register.clone(), gone: Vec::new() })
    }

    /// The fields that were edited beside the deletion of the entity, as they read now, and by which changes.
    fn edited_beside(
        &mut self,
        writes: &[Write],
        marks: &BTreeSet<usize>,
    ) -> (BTreeMap<String, Value>, BTreeSet<usize>) {
        let (mut fields, mut all) = (BTreeMap::new(), BTreeSet::new());
        let (of_all, of_marks) = (self.region.sight(&makers(writes)), self.region.sight(marks));
        let is_unseen = |edit: usize| !of_all.has(edit) && !of_marks.is_known_to(edit);
        let mark = Register::deletion();
        for (register, written) in self.gathered.registers.iter().filter(|(register, _)| **register != mark) {
            let (None, Key::Map(key)) = (&register.object, &register.key) else { continue };
            let unseen: Vec<usize> = written
                .iter()
                .filter(|write| !write.deletes)
                .map(|write| write.change)
                .filter(|edit| is_unseen(*edit))
                .collect();
            if !unseen.is_empty() {
                all.extend(unseen);
                fields.insert(key.clone(), register.clone());
            }
        }
        let mut below = Vec::new();
        for (target, changes) in &self.gathered.edits {
            let unseen: Vec<usize> = changes.iter().copied().filter(|edit| is_unseen(*edit)).collect();
            if !unseen.is_empty() && *target != Target::Object(None) {
                below.push((target, unseen));
            }
        }
        for (target, unseen) in below {
            if let Some(register) = self.places.field_of(target)
                && let Key::Map(key) = &register.key
            {
                fields.insert(key.clone(), register.clone());
                all.extend(unseen);
            }
        }
        let read = |(key, register): (String, Register)| {
            self.places.visible(&register).into_iter().next().map(|found| (key, found.value))
        };
        (fields.into_iter().filter_map(read).collect(), all)
    }
}

/// Who wrote a register.
fn makers(writes: &[Write]) -> BTreeSet<usize> {
    writes.iter().map(|write| write.change).collect()
}

/// The sides of a conflict while they are found.
struct Sides {
    values: Vec<ConflictValue>,
    gone: BTreeSet<Id>,
}
