//! What the changes of a region did, by the places they did it to.

use super::region::Region;
use super::{DELETED_KEY, Id, Key, Register};
use automerge::ExpandedChange;
use automerge::legacy::{ElementId, Key as LegacyKey, ObjectId, Op, OpType};
use std::collections::{BTreeMap, BTreeSet};

/// What was done, and by which changes of the region.
#[derive(Default)]
pub(super) struct Gathered {
    /// Who wrote each register.
    pub(super) registers: BTreeMap<Register, Vec<Write>>,
    /// The registers at which something was created that is the same on every device: no writes, and looked at all the same.
    pub(super) created: BTreeSet<Register>,
    /// Who wrote something into each object, or incremented each counter.
    pub(super) edits: BTreeMap<Target, BTreeSet<usize>>,
    /// Where objects were made and values written, but for the scalars that were inserted, which name their own place.
    pub(super) makers: BTreeMap<Id, Register>,
}

/// A write of a register.
pub(super) struct Write {
    pub(super) change: usize,
    pub(super) operation: Id,
    /// What it took away.
    pub(super) predecessors: Vec<Id>,
    pub(super) deletes: bool,
}

/// What is edited rather than replaced.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Target {
    Object(Option<Id>),
    Counter { register: Register, counter: Id },
}

impl Gathered {
    pub(super) fn from(region: &Region) -> Self {
        let mut gathered = Self::default();
        for (number, member) in region.changes.iter().enumerate() {
            gathered.add_creation(member.creation.as_ref());
            let Some(content) = &member.content else { continue };
            for (operation, counter) in content.operations.iter().zip(content.start_op.get()..) {
                gathered.add(number, operation, Id(counter, content.actor_id.clone()));
            }
        }
        gathered
    }

    fn add_creation(&mut self, creation: Option<&ExpandedChange>) {
        let Some((operation, creation)) = creation.and_then(|creation| Some((creation.operations.first()?, creation)))
        else {
            return;
        };
        let id = Id(creation.start_op.get(), creation.actor_id.clone());
        if let Some(register) = register_of(operation, &id) {
            self.registers.entry(register.clone()).or_default();
            self.created.insert(register.clone());
            self.makers.insert(id, register);
        }
    }

    fn add(&mut self, change: usize, operation: &Op, id: Id) {
        let deletes = operation.action == OpType::Delete;
        let register = register_of(operation, &id);
        let object = object_of(operation);
        if !deletes && !is_deletion_mark(operation) {
            self.edits.entry(Target::Object(object)).or_default().insert(change);
        }
        let Some(register) = register else { return };
        let predecessors: Vec<Id> = operation.pred.iter().map(Id::of).collect();
        match operation.action {
            OpType::Increment(_) => {
                for counter in predecessors {
                    let target = Target::Counter { register: register.clone(), counter };
                    self.edits.entry(target).or_default().insert(change);
                }
                return;
            }
            OpType::Delete => {}
            OpType::Put(_) if operation.insert => {}
            _ => {
                self.makers.insert(id.clone(), register.clone());
            }
        }
        self.registers.entry(register).or_default().push(Write { change, operation: id, predecessors, deletes });
    }
}

/// The register that an operation works on; `None` for the marks of texts.
pub(super) fn register_of(operation: &Op, id: &Id) -> Option<Register> {
    if matches!(operation.action, OpType::MarkBegin(_) | OpType::MarkEnd(_)) {
        return None;
    }
    let key = match &operation.key {
        LegacyKey::Map(key) => Key::Map(key.to_string()),
        LegacyKey::Seq(_) if operation.insert => Key::Element(id.clone()),
        LegacyKey::Seq(ElementId::Id(element)) => Key::Element(Id::of(element)),
        LegacyKey::Seq(ElementId::Head) => return None,
    };
    Some(Register { object: object_of(operation), key })
}

fn object_of(operation: &Op) -> Option<Id> {
    match &operation.obj {
        ObjectId::Root => None,
        ObjectId::Id(id) => Some(Id::of(id)),
    }
}

/// Whether an operation says of the entity that it is deleted or not.
fn is_deletion_mark(operation: &Op) -> bool {
    operation.obj == ObjectId::Root && matches!(&operation.key, LegacyKey::Map(key) if key == DELETED_KEY)
}
