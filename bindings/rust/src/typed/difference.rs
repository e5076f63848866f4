//! What an edit changed: the value before against the value after.

use super::{
    align::{self, Source},
    tree::{Content, Element, Node, Tree},
};
use afield_core::document::{Edit, OperationError, Path, Step, Value};
use std::collections::BTreeMap;

/// One thing to write. The patches of an edit are applied in order, and each sees what those before it wrote.
#[derive(Debug, Clone, PartialEq)]
pub enum Patch {
    /// Write what differs between two values at a place that no list of maps lies below.
    ///
    /// When `before` is null the document holds nothing there, or something of another kind.
    Assign {
        /// The place, from the root of the entity.
        path: Path,
        /// The value as it was read.
        before: Value,
        /// The value as it is now.
        after: Value,
    },
    /// Delete an entry of a map or an element of a list.
    Delete {
        /// The place, from the root of the entity.
        path: Path,
    },
    /// Insert an element into a list.
    Insert {
        /// The place of the list, from the root of the entity.
        list: Path,
        /// The position that the element has after this step.
        index: usize,
        /// The element.
        value: Value,
    },
    /// Move an element of a list with all that the document holds in it, known to the type or not.
    ///
    /// The engine has no such operation: the element is read, deleted and inserted as it was read. What others wrote
    /// into it meanwhile is lost with the deletion.
    Move {
        /// The place of the list, from the root of the entity.
        list: Path,
        /// The position that the element has before this step.
        from: usize,
        /// The position that the element has after this step.
        to: usize,
    },
}

impl Patch {
    /// Writes it as a part of an edit of the document.
    ///
    /// # Errors
    /// When the document does not hold what the value before the edit was read from, or the value is too deep or too
    /// large.
    pub fn apply(&self, edit: &mut Edit<'_>) -> Result<(), OperationError> {
        match self {
            Self::Assign { path, before, after } => edit.assign(path, before, after),
            Self::Delete { path } => edit.delete(path),
            Self::Insert { list, index, value } => edit.insert(list, *index, value.clone()),
            Self::Move { list, from, to } => {
                let element = list.clone().index(*from);
                let whole = edit.read(&element)?.ok_or(OperationError::Stale)?;
                edit.delete(element)?;
                edit.insert(list, *to, whole)
            }
        }
    }
}

/// Gives what has to be written to bring a document from `before` to `after`.
///
/// `before` comes from [`before_edit`](super::before_edit), `after` from [`to_tree`](super::to_tree). Equal parts give
/// no step, so an edit without effect gives none at all, and what neither tree knows is never touched.
pub fn difference(before: &Tree, after: &Tree) -> Vec<Patch> {
    let mut walk = Walk { path: Vec::new(), patches: Vec::new() };
    walk.value(&before.0, &after.0);
    walk.patches
}

struct Walk {
    path: Vec<Step>,
    patches: Vec<Patch>,
}

impl Walk {
    fn value(&mut self, before: &Node, after: &Node) {
        if before.same(after) {
            return;
        }
        match (&before.content, &after.content) {
            (Content::Map(old), Content::Map(new)) if before.held => self.map(old, new),
            (Content::List(old), Content::List(new)) if before.held && is_aligned(old, new) => self.list(old, new),
            _ => self.patches.push(Patch::Assign {
                path: self.here(),
                before: if before.held { before.value() } else { Value::Null },
                after: if before.held { after.value() } else { changed(before, after) },
            }),
        }
    }

    fn map(&mut self, old: &BTreeMap<String, Node>, new: &BTreeMap<String, Node>) {
        for (key, before) in old {
            if before.held && !new.contains_key(key) {
                let path = self.at(Step::Key(key.clone()));
                self.patches.push(Patch::Delete { path });
            }
        }
        let absent = Node { held: false, ..Node::leaf(Value::Null) };
        for (key, after) in new {
            self.path.push(Step::Key(key.clone()));
            self.value(old.get(key).unwrap_or(&absent), after);
            self.path.pop();
        }
    }

    fn list(&mut self, old: &[Element], new: &[Element]) {
        let sources = align::sources(old, new);
        self.restructure(old.len(), new, &sources);
        for (index, (source, after)) in sources.iter().zip(new).enumerate() {
            let (Source::Kept(from) | Source::Moved(from)) = source else { continue };
            let Some(before) = old.get(*from) else { continue };
            self.path.push(Step::Index(index));
            self.value(&before.node, &after.node);
            self.path.pop();
        }
    }

    /// Deletes, moves and inserts elements until each stands where it ends; their contents come afterwards.
    fn restructure(&mut self, old_length: usize, new: &[Element], sources: &[Source]) {
        let mut stays = vec![false; old_length];
        for source in sources {
            if let Source::Kept(from) | Source::Moved(from) = source
                && let Some(stays) = stays.get_mut(*from)
            {
                *stays = true;
            }
        }
        for (index, _) in stays.iter().enumerate().rev().filter(|(_, stays)| !**stays) {
            let path = self.at(Step::Index(index));
            self.patches.push(Patch::Delete { path });
        }

        let mut current: Vec<Option<usize>> =
            stays.iter().enumerate().filter_map(|(index, stays)| stays.then_some(Some(index))).collect();
        // Everything before `next` stands where it ends, but for elements that are still to be moved away.
        let mut next = 0;
        for (source, element) in sources.iter().zip(new) {
            match source {
                Source::Kept(from) => {
                    let ahead = current.iter().skip(next).position(|slot| *slot == Some(*from)).unwrap_or(0);
                    next += ahead + 1;
                }
                Source::New => {
                    current.insert(next, None);
                    self.patches.push(Patch::Insert { list: self.here(), index: next, value: element.node.value() });
                    next += 1;
                }
                Source::Moved(from) => {
                    let Some(position) = current.iter().position(|slot| *slot == Some(*from)) else { continue };
                    let moved = current.remove(position);
                    let to = if position < next { next - 1 } else { next };
                    current.insert(to, moved);
                    if position != to {
                        self.patches.push(Patch::Move { list: self.here(), from: position, to });
                    }
                    next = to + 1;
                }
            }
        }
    }

    fn here(&self) -> Path {
        self.path.iter().cloned().collect()
    }

    fn at(&self, step: Step) -> Path {
        self.path.iter().cloned().chain([step]).collect()
    }
}

/// Whether the elements are matched here, because they have an identity or unknown fields, and not as plain values.
fn is_aligned(old: &[Element], new: &[Element]) -> bool {
    old.iter().chain(new).any(|element| element.node.is_container() || element.identity.is_some())
}

/// What to write where the document holds nothing: of a map whose default is empty only what changed, so that nobody
/// else's concurrent entries are met by defaults; of all else the whole, since no part of it stands in the document.
fn changed(before: &Node, after: &Node) -> Value {
    match (&before.content, &after.content) {
        (Content::Map(old), Content::Map(new)) if before.is_empty_default() => Value::Map(
            new.iter()
                .filter_map(|(key, after)| match old.get(key) {
                    Some(before) if before.same(after) => None,
                    Some(before) => Some((key.clone(), changed(before, after))),
                    None => Some((key.clone(), after.value())),
                })
                .collect(),
        ),
        _ => after.value(),
    }
}
