//! What an edit changed: the value before against the value after.

use super::{
    align::{self, Source},
    tree::{Content, Element, Node, Standing, Tree},
};
use afield_core::document::{Edit, OperationError, Path, Step, Value};
use std::collections::BTreeMap;

/// One thing to write. The patches of an edit are applied in order, and each sees what those before it wrote.
///
/// ```
/// # use afield::{model, typed};
/// # #[model]
/// # struct Note { title: String, tags: Vec<String> }
/// let before = Note { title: "Shopping".into(), tags: vec!["food".into()] };
/// let after = Note { title: "Shopping".into(), tags: vec!["food".into(), "today".into()] };
/// let patches = typed::difference(&typed::to_tree(&before)?, &typed::to_tree(&after)?);
/// assert_eq!(patches.len(), 1); // the tags alone: what was not changed is not written
/// # Ok::<(), typed::ToValueError>(())
/// ```
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
    /// Write null where absence would say something else: in place of what stands there, at a free key, in a variant,
    /// or where an absent field reads as another value.
    Null {
        /// The place, from the root of the entity.
        path: Path,
    },
    /// Write an enum's variant with data: a map of its own in place of what stands there, so that of several written at
    /// the same time one is read, whole, and the others are a conflict.
    Variant {
        /// The place of the enum, from the root of the entity.
        path: Path,
        /// The variant's data, under its name.
        entries: BTreeMap<String, Value>,
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
    /// ```
    /// # use afield::{Replica, Text, model, typed};
    /// # #[model]
    /// # struct Note {
    /// #     title: String,
    /// #     body: Text,
    /// # }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = Replica::open_in_memory()?.create_space("Home")?.collection::<Note>("notes")?;
    /// let id = notes.insert(&Note { title: "Shopping".into(), body: "milk".into() })?;
    /// let (entity, mut note) = (notes.entity(id)?, notes.read(id)?);
    /// let before = typed::to_tree(&note)?;
    /// note.body.push_str(", bread");
    /// let patches = typed::difference(&before, &typed::to_tree(&note)?);
    /// entity.edit(|edit| Ok(patches.iter().try_for_each(|patch| patch.apply(edit))?))?;
    /// assert_eq!(notes.read(id)?.body, "milk, bread");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the document does not hold what the value before the edit was read from, or the value is too deep or too
    /// large.
    pub fn apply(&self, edit: &mut Edit<'_>) -> Result<(), OperationError> {
        match self {
            Self::Assign { path, before, after } => edit.assign(path, before, after),
            Self::Null { path } => edit.put(path, Value::Null),
            Self::Variant { path, entries } => edit.put_own_map(path, entries.clone()),
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
///
/// ```
/// # use afield::{Text, model, typed};
/// # #[model]
/// # #[derive(Clone)]
/// # struct Note { title: String, body: Text }
/// let before = Note { title: "Shopping".into(), body: "milk".into() };
/// let mut after = before.clone();
/// after.title = "Groceries".into();
/// let patches = typed::difference(&typed::to_tree(&before)?, &typed::to_tree(&after)?);
/// assert!(matches!(&patches[..], [typed::Patch::Assign { path, .. }] if path.to_string() == "title"));
/// # Ok::<(), typed::ToValueError>(())
/// ```
pub fn difference(before: &Tree, after: &Tree) -> Vec<Patch> {
    let mut walk = Walk { path: Vec::new(), patches: Vec::new() };
    walk.value(&before.0, &after.0);
    walk.patches
}

/// Gives the nulls of a new entity that have to be written after its other values, which [`Tree::value`] gives.
pub(super) fn nulls(tree: &Tree) -> Vec<Patch> {
    let mut walk = Walk { path: Vec::new(), patches: Vec::new() };
    walk.rest(&ABSENT, &tree.0, Written::Whole);
    walk.patches
}

/// What stands before an edit where nothing does.
static ABSENT: Node =
    Node { content: Content::Leaf(Value::Null), standing: Standing::Absent, implied: false, is_variant: false };

/// What of a value was written before its rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    /// All but nulls.
    Whole,
    /// All but nulls and variants with data, which others may be writing to the same place.
    Shared,
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
            (Content::Map(old), Content::Map(new)) if before.is_held() && !self.is_switched(before, after) => {
                self.map(old, new);
            }
            (Content::List(old), Content::List(new)) if before.is_held() && is_aligned(old, new) => self.list(old, new),
            _ => self.write(before, after),
        }
    }

    /// Whether an enum has another variant with data than before. The entity itself has no place to put another map.
    fn is_switched(&self, before: &Node, after: &Node) -> bool {
        !self.path.is_empty() && before.variant() != after.variant()
    }

    /// Writes a value that differs from the one before as a whole, but for what its absence says.
    fn write(&mut self, before: &Node, after: &Node) {
        let (held, before) = if before.is_held() { (before.value(), &ABSENT) } else { (Value::Null, before) };
        if after.is_null() {
            self.patches.push(Patch::Null { path: self.here() });
        } else if !self.variant(before, after) {
            let value = changed(before, after, Written::Shared);
            self.patches.push(Patch::Assign { path: self.here(), before: held, after: value });
            self.rest(before, after, Written::Shared);
        }
    }

    /// Writes a variant with data in a map of its own; `false` where that is not due, or the value is the entity itself.
    fn variant(&mut self, before: &Node, after: &Node) -> bool {
        if self.path.is_empty() || !is_chosen(before, after) {
            return false;
        }
        let Value::Map(entries) = changed(before, after, Written::Whole) else { return false };
        self.patches.push(Patch::Variant { path: self.here(), entries });
        self.rest(before, after, Written::Whole);
        true
    }

    fn map(&mut self, old: &BTreeMap<String, Node>, new: &BTreeMap<String, Node>) {
        for (key, before) in old {
            if before.standing != Standing::Absent && !new.contains_key(key) {
                let path = self.at(Step::Key(key.clone()));
                self.patches.push(Patch::Delete { path });
            }
        }
        for (key, after) in new {
            self.within(Step::Key(key.clone()), |walk| match old.get(key) {
                Some(before) => walk.value(before, after),
                None if after.is_null() && after.implied => {}
                None => walk.write(&ABSENT, after),
            });
        }
    }

    /// Writes what writing [`changed`] left out.
    fn rest(&mut self, before: &Node, after: &Node, written: Written) {
        match &after.content {
            Content::Leaf(_) => {}
            Content::List(elements) => {
                for (index, element) in elements.iter().enumerate() {
                    self.within(Step::Index(index), |walk| walk.rest(&ABSENT, &element.node, Written::Whole));
                }
            }
            Content::Map(entries) => {
                for (key, after) in entries {
                    let Some(before) = left_to_write(before, key, after) else { continue };
                    self.within(Step::Key(key.clone()), |walk| match after.is_null() {
                        true if after.implied => {}
                        true => walk.patches.push(Patch::Null { path: walk.here() }),
                        false if written == Written::Shared && walk.variant(before, after) => {}
                        false => walk.rest(before, after, written),
                    });
                }
            }
        }
    }

    fn list(&mut self, old: &[Element], new: &[Element]) {
        let (old, new) = standing(old, new);
        let sources = align::sources(old, new);
        self.restructure(old.len(), new, &sources);
        for (index, (source, after)) in sources.iter().zip(new).enumerate() {
            let (Source::Kept(from) | Source::Moved(from)) = source else { continue };
            let Some(before) = old.get(*from) else { continue };
            self.within(Step::Index(index), |walk| walk.value(&before.node, &after.node));
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
                    self.within(Step::Index(next), |walk| walk.rest(&ABSENT, &element.node, Written::Whole));
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

    fn within(&mut self, step: Step, walk: impl FnOnce(&mut Self)) {
        self.path.push(step);
        walk(self);
        self.path.pop();
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

/// The old elements that the document has, and the new ones without those that are absent at the end and stay so: a
/// tuple has elements that an older version of its type did not write.
fn standing<'e>(old: &'e [Element], new: &'e [Element]) -> (&'e [Element], &'e [Element]) {
    let present = old.iter().take_while(|element| element.node.standing != Standing::Absent).count();
    let mut pairs = old.iter().zip(new).enumerate().skip(present);
    let end = match old.len() == new.len() {
        true => pairs.rfind(|(_, (old, new))| !old.node.same(&new.node)).map_or(present, |(last, _)| last + 1),
        false => new.len(),
    };
    (old.get(..present).unwrap_or(old), new.get(..end).unwrap_or(new))
}

/// Whether an enum is of a variant with data that somebody chose. One that was read as a default is edited as other defaults are, so
/// that edits of its parts meet those of others.
fn is_chosen(before: &Node, after: &Node) -> bool {
    after.variant().is_some() && after.variant() != before.variant()
}

/// What to write where the document holds nothing: of a map all but what its absence says, so that nobody else's
/// concurrent entries are met by defaults; of all else the whole, since no part of it stands in the document.
fn changed(before: &Node, after: &Node, written: Written) -> Value {
    let Content::Map(entries) = &after.content else { return after.value() };
    let left = entries.iter().filter_map(|(key, after)| Some((key, left_to_write(before, key, after)?, after)));
    let left = left.filter(|(_, before, after)| written == Written::Whole || !is_chosen(before, after));
    Value::Map(left.map(|(key, before, after)| (key.clone(), changed(before, after, written))).collect())
}

/// The value before of an entry of a map that the document does not hold, if the entry has to be written.
///
/// It need not be when it did not change and its absence says the same. What changed in a map that was absent itself
/// is written in any case; of a map that is new the whole.
fn left_to_write<'b>(before: &'b Node, key: &str, after: &Node) -> Option<&'b Node> {
    let Content::Map(old) = &before.content else { return Some(&ABSENT) };
    let before = old.get(key).unwrap_or(&ABSENT);
    (!(after.implied && before.same(after))).then_some(before)
}
