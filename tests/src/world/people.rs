//! What people do beyond writing: they delete, bring back, take back, and decide what others wrote beside them; and what
//! queries and the list of conflicts then hold.

use super::{Device, Random, Violation, World};
use afield::document::{Direction, Document};
use afield::{ChangeHash, Choice, EditError, EditFailure, EntityId, Existence, Value};
use afield_core::document::DELETED_KEY;
use afield_store::{ConflictQuery, ConflictRow, ListQuery, Projection, Reader};
use std::collections::{BTreeMap, BTreeSet};

/// What is shown of an entity without its document: its projection and its conflicts, each where it is not stale.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Shown {
    projection: Option<Projection>,
    conflicts: Option<Vec<ConflictRow>>,
}

impl World {
    /// Does one of these things to an entity. Answers whether that is stored.
    pub fn change_mind(&mut self, device: Device, entity: EntityId, random: &mut Random) -> bool {
        let before = self.returned.len();
        let (what, is_stored) = match random.below(4) {
            0 => ("a deletion", self.mark(device, entity, Value::Timestamp(random.below(1_000) as i64))),
            1 => ("an entity brought back", self.bring_back(device, random)),
            2 => {
                let direction = if random.chance(300) { Direction::Redo } else { Direction::Undo };
                ("an undo", self.undo(device, entity, direction))
            }
            _ => ("a decision", self.decide(device, random)),
        };
        if self.returned.len() > before {
            self.count(what);
        }
        is_stored
    }

    /// What is done by [`World::change_mind`].
    pub fn changes_of_mind() -> impl Iterator<Item = &'static str> {
        ["a deletion", "an entity brought back", "an undo", "a decision"].into_iter()
    }

    fn mark(&mut self, device: Device, entity: EntityId, mark: Value) -> bool {
        self.edit_existing(device, entity, |edit| edit.put(DELETED_KEY, mark))
    }

    fn bring_back(&mut self, device: Device, random: &mut Random) -> bool {
        let deleted = self.listed(device, Some(true));
        match deleted.get(random.below(deleted.len().max(1))) {
            Some(entity) => self.mark(device, *entity, Value::Null),
            None => false,
        }
    }

    fn undo(&mut self, device: Device, entity: EntityId, direction: Direction) -> bool {
        let (target, now) = (self.target(entity, Existence::Required), self.now_on(device));
        let Some(driver) = self.driver(device) else { return false };
        let undone = driver.undo(&target, now, direction);
        let changes = undone.as_ref().ok().and_then(|edited| edited.as_ref().map(|edited| edited.changes.clone()));
        let stored = changes.is_some();
        self.returned(device, &changes.unwrap_or_default());
        match undone {
            Err(EditFailure::Store(_)) => self.crash_or_reload(device),
            Err(EditFailure::Entity(error)) => self.not_opened(device, entity, &error),
            Err(error) => self.find(Violation::of("D1", format!("an edit cannot be taken back: {}", said(&error)))),
            Ok(_) => {}
        }
        self.wake(device);
        stored
    }

    fn decide(&mut self, device: Device, random: &mut Random) -> bool {
        let now = self.now_on(device);
        let Some(driver) = self.driver(device) else { return false };
        let query = ConflictQuery { space: self.space, collection: None, entity: None };
        let listed = driver.with_store(|store| store.reader().conflicts(&query)).expect("the store can be read");
        let Some(one) = listed.get(random.below(listed.len().max(1))) else { return false };
        let target = self.target(one.entity, Existence::Required);
        // What is listed may be older than the document, or a disk may fail: then nobody decides.
        let Ok(all) = driver.read_document(&target, now, Document::conflicts) else { return false };
        let Some(found) = all.get(random.below(all.len().max(1))) else { return false };
        let choice = Choice::Keep(random.below(found.values.len()));
        self.edit_existing(device, one.entity, |edit| edit.resolve(found, &choice))
    }

    /// Checks that devices whose entity has the same heads show the same of it, byte by byte, wherever what they show is
    /// not stale (D9).
    pub(super) fn check_shown(&self) -> Result<(), Violation> {
        let mut known: BTreeMap<(EntityId, BTreeSet<ChangeHash>), Shown> = BTreeMap::new();
        for device in self.all() {
            for (entity, shown) in self.shown(device) {
                let Ok(heads) = self.heads_of(device, entity) else { continue };
                let same = known.entry((entity, heads)).or_insert_with(|| shown.clone());
                let is_another =
                    differ(&same.projection, &shown.projection) || differ(&same.conflicts, &shown.conflicts);
                if is_another {
                    let found = format!("device {} shows {entity} otherwise than others with the same heads", device.0);
                    return Violation::of("D9", found);
                }
                same.projection = same.projection.take().or(shown.projection);
                same.conflicts = same.conflicts.take().or(shown.conflicts);
            }
        }
        Ok(())
    }

    fn shown(&self, device: Device) -> BTreeMap<EntityId, Shown> {
        let Some(driver) = self.driver(device) else { return BTreeMap::new() };
        let read = |reader: &Reader| {
            let all = ListQuery { space: self.space, collection: None, deleted: None, after: None, limit: usize::MAX };
            let query = ConflictQuery { space: self.space, collection: None, entity: None };
            let stale: BTreeSet<_> =
                reader.entities_with_stale_conflicts(&query)?.into_iter().map(|(entity, _)| entity).collect();
            let mut conflicts: BTreeMap<EntityId, Vec<ConflictRow>> = BTreeMap::new();
            for listed in reader.conflicts(&query)? {
                conflicts.entry(listed.entity).or_default().push(listed.row);
            }
            let shown = |found: afield_store::ProjectedEntity| {
                let projection = (!found.stale).then_some(found.projection);
                let rows = conflicts.remove(&found.entity).unwrap_or_default();
                let conflicts = (!stale.contains(&found.entity)).then_some(rows);
                (found.entity, Shown { projection, conflicts })
            };
            Ok::<_, afield::StoreError>(reader.list(&all)?.into_iter().map(shown).collect())
        };
        driver.with_store(|store| read(&store.reader())).expect("the store can be read")
    }
}

/// Whether both are known and not the same.
fn differ<T: PartialEq>(one: &Option<T>, other: &Option<T>) -> bool {
    matches!((one, other), (Some(one), Some(other)) if one != other)
}

fn said(error: &EditFailure<EditError>) -> String {
    format!("{error:?}")
}
