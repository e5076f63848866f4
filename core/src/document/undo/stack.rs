//! Which steps there are to undo and to redo, read from the history.

use super::{Direction, Remade, TYPING_PAUSE_MAX_MS, UNDO_CHANGES_MAX, Undoes, name, object_id};
use crate::change::is_derived;
use crate::document::engine::operations_of;
use crate::document::history::Walk;
use automerge::legacy::{Key, ObjectId, OpType};
use automerge::{ActorId, Automerge, ChangeHash, ObjType, ReadDoc, ScalarValue};

/// One's own changes, as far as they can be undone and redone.
pub(super) struct Stack {
    undo: Vec<Entry>,
    redo: Vec<Entry>,
    pub(super) remade: Remade,
}

/// One change.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) hash: ChangeHash,
    actor: ActorId,
    time_ms: i64,
    undoes: Option<Undoes>,
}

/// What typing does, key by key.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Typing {
    text: ObjectId,
    deletes: bool,
}

impl Stack {
    /// Follows the history from the oldest of the changes that are looked back over.
    pub(super) fn of(engine: &Automerge, own: impl Fn(&ActorId) -> bool) -> Self {
        let mut stack = Self { undo: Vec::new(), redo: Vec::new(), remade: Remade::default() };
        let mut entries = Vec::new();
        for change in Walk::new(engine, engine.get_heads()).take(UNDO_CHANGES_MAX) {
            // Changes without operations join what others wrote, and those that are nobody's create containers.
            if operations_of(&change) == 0 || is_derived(change.actor.to_bytes()) {
                continue;
            }
            let undoes = change.message.as_deref().and_then(Undoes::parse);
            if undoes.is_some() {
                stack.remade.note(change.actor.clone().into_owned(), change.start_op, change.max_op);
            }
            if own(&change.actor) {
                let (hash, time_ms) = (change.hash, change.timestamp);
                entries.push(Entry { hash, time_ms, undoes, actor: change.actor.into_owned() });
            }
        }
        entries.into_iter().rev().for_each(|entry| stack.push(entry));
        stack
    }

    fn push(&mut self, entry: Entry) {
        match &entry.undoes {
            None => {
                self.redo.clear();
                self.undo.push(entry);
            }
            Some(undoes) if undoes.direction == Direction::Undo => {
                take_out(&mut self.undo, undoes);
                self.redo.push(entry);
            }
            Some(undoes) => {
                take_out(&mut self.redo, undoes);
                self.undo.push(entry);
            }
        }
    }

    /// The changes of a step, from the oldest on.
    pub(super) fn step(&self, engine: &Automerge, direction: Direction, skipped: usize) -> Option<Vec<&Entry>> {
        let entries = match direction {
            Direction::Undo => &self.undo,
            Direction::Redo => &self.redo,
        };
        let mut end = entries.len();
        for left in (0..=skipped).rev() {
            let mut start = end.checked_sub(1)?;
            while let Some(earlier) = start.checked_sub(1)
                && let (Some(one), Some(next)) = (entries.get(earlier), entries.get(start))
                && is_one_step(engine, one, next)
            {
                start = earlier;
            }
            if left == 0 {
                return entries.get(start..end).map(|step| step.iter().collect());
            }
            end = start;
        }
        None
    }
}

/// Takes out what an undo or a redo has taken back.
fn take_out(entries: &mut Vec<Entry>, undoes: &Undoes) {
    let place = |wanted: &str| entries.iter().rposition(|entry| name(&entry.hash) == wanted);
    if let (Some(first), Some(last)) = (place(&undoes.first), place(&undoes.last))
        && first <= last
    {
        entries.drain(first..=last);
    }
}

/// Whether two changes are undone together: those of one edit, and keys that follow each other without a pause.
fn is_one_step(engine: &Automerge, earlier: &Entry, later: &Entry) -> bool {
    match (&earlier.undoes, &later.undoes) {
        (Some(one), Some(other)) => return one == other,
        (None, None) => {}
        _ => return false,
    }
    let pause_ms = later.time_ms.saturating_sub(earlier.time_ms);
    if pause_ms == 0 && earlier.actor == later.actor {
        return true;
    }
    if !(0..=TYPING_PAUSE_MAX_MS).contains(&pause_ms) {
        return false;
    }
    let typing = typing(engine, &later.hash);
    typing.is_some() && typing == self::typing(engine, &earlier.hash)
}

/// What a change types, if that is all it does.
fn typing(engine: &Automerge, hash: &ChangeHash) -> Option<Typing> {
    let operations = engine.get_change_by_hash(hash)?.decode().operations;
    let text = operations.first()?.obj.clone();
    let deletes = operations.first()?.action == OpType::Delete;
    let types = operations.iter().all(|operation| {
        let fits = match &operation.action {
            OpType::Delete => deletes,
            OpType::Put(ScalarValue::Str(_)) => !deletes && operation.insert,
            _ => false,
        };
        fits && operation.obj == text && matches!(operation.key, Key::Seq(_))
    });
    let is_text = engine.object_type(object_id(&text)).is_ok_and(|kind| kind == ObjType::Text);
    (types && is_text).then_some(Typing { text, deletes })
}
