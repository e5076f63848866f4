//! Marks and blocks of texts: the operations of an edit, and writing the difference between rich texts.

use super::DEPTH_MAX;
use super::derived::Container;
use super::edit::Edit;
use super::error::OperationError;
use super::hunks::rich_text_hunks;
use super::operations::Place;
use super::path::Path;
use super::read::{Object, Standing, read_object, read_text};
use super::rich::{BLOCK_CHARACTER, Block, Expand, RichText};
use super::value::{Kind, Value};
use automerge::marks::Mark;
use automerge::transaction::Transactable;
use automerge::{ObjType, Prop, ReadDoc};
use std::collections::BTreeMap;
use std::ops::Range;

/// How many operations begin and end a mark.
const MARK_OPERATIONS: u64 = 2;

impl Edit<'_> {
    /// Covers characters of the text at `text` with a mark, in place of another value of that name.
    ///
    /// `value` is a scalar, such as `true` for bold or the address of a link, and neither a counter nor NaN; null takes the
    /// mark away. Whatever is written
    /// within the mark by anybody is marked, and at its edges as `expand` says. Of marks of one name that several devices
    /// set at the same time one is shown, the same everywhere. An empty range marks nothing.
    ///
    /// ```
    /// # use afield_core::document::{Document, EditContext, Expand, Value};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let by = EditContext::new([1_u8; 16].into(), Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 });
    /// document.edit(&by, &Limits::DEFAULT, |edit| {
    ///     edit.splice_text("body", 0, 0, "Read this")?;
    ///     edit.mark("body", 0..4, "bold", true, Expand::After)?;
    ///     edit.mark("body", 5..9, "link", "https://example.org", Expand::None)
    /// })?;
    /// let body = document.read_at("body")?.and_then(|body| body.to_rich_text()).unwrap_or_default();
    /// assert_eq!(body.marks().next(), Some(("bold", 0..4, &Value::from(true))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// No text stands there, the range is not within it, or the value is no scalar or too large.
    pub fn mark(
        &mut self,
        text: impl Into<Path>,
        range: Range<usize>,
        name: &str,
        value: impl Into<Value>,
        expand: Expand,
    ) -> Result<(), OperationError> {
        let (path, value) = (text.into(), value.into());
        self.operation(|edit| {
            let (text, _) = edit.text_at(&path)?;
            edit.refuse_beyond(range.end, edit.reader().length(&text.id))?;
            edit.put_mark(&text, range, name, &value, expand)
        })
    }

    /// Takes a mark away from characters of the text at `text`.
    ///
    /// `expand` says whether characters that are inserted at the edges are without the mark, too. Use the same as where the
    /// mark was set.
    ///
    /// ```
    /// # use afield_core::document::{Document, EditContext, Expand, Value};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let by = EditContext::new([1_u8; 16].into(), Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 });
    /// document.edit(&by, &Limits::DEFAULT, |edit| {
    ///     edit.splice_text("body", 0, 0, "Read this")?;
    ///     edit.mark("body", 0..4, "bold", true, Expand::After)
    /// })?;
    /// document.edit(&by, &Limits::DEFAULT, |edit| edit.unmark("body", 0..4, "bold", Expand::After))?;
    /// assert_eq!(document.read_at("body")?, Some(Value::Text("Read this".into())));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Edit::mark`].
    pub fn unmark(
        &mut self,
        text: impl Into<Path>,
        range: Range<usize>,
        name: &str,
        expand: Expand,
    ) -> Result<(), OperationError> {
        self.mark(text, range, name, Value::Null, expand)
    }

    /// Inserts a block into the text at `text`, to which the characters from `position` to the next block then belong. An
    /// absent text is created.
    ///
    /// ```
    /// # use afield_core::document::{Block, Document, EditContext};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let by = EditContext::new([1_u8; 16].into(), Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 });
    /// document.edit(&by, &Limits::DEFAULT, |edit| {
    ///     edit.splice_text("body", 0, 0, "Trip")?;
    ///     edit.split_block("body", 0, &Block::new("heading").with_attribute("level", 1))
    /// })?;
    /// let body = document.read_at("body")?.and_then(|body| body.to_rich_text()).unwrap_or_default();
    /// assert_eq!(body.block(0).and_then(Block::kind), Some("heading"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The place of the text does not exist or holds something else, the position is beyond the end, or the block is too
    /// large or nests too deep.
    pub fn split_block(&mut self, text: impl Into<Path>, position: usize, block: &Block) -> Result<(), OperationError> {
        let path = text.into();
        self.operation(|edit| {
            edit.check_value(&path, &Value::Map(block.entries().clone()))?;
            let (text, depth) = edit.container(&path, Container::Text, position)?;
            edit.insert_block(&text, depth, position, block)
        })
    }

    /// Takes the block at `position` of the text at `text` out, so that the characters behind it belong to the block
    /// before.
    ///
    /// ```
    /// # use afield_core::document::{Block, Document, EditContext, Value};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let by = EditContext::new([1_u8; 16].into(), Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 });
    /// document.edit(&by, &Limits::DEFAULT, |edit| {
    ///     edit.splice_text("body", 0, 0, "Trip")?;
    ///     edit.split_block("body", 0, &Block::new("heading").with_attribute("level", 1))
    /// })?;
    /// document.edit(&by, &Limits::DEFAULT, |edit| edit.join_block("body", 0))?;
    /// assert_eq!(document.read_at("body")?, Some(Value::Text("Trip".into())));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// No text stands there, or no block at that position of it.
    pub fn join_block(&mut self, text: impl Into<Path>, position: usize) -> Result<(), OperationError> {
        let path = text.into();
        self.operation(|edit| {
            let (text, depth) = edit.text_at(&path)?;
            edit.block_at(&text, depth, position)?;
            edit.splice(&text, position, 1, "")
        })
    }

    /// Makes the block at `position` of the text at `text` another one. What differs is written alone, so that entries and
    /// attributes that others change at the same time merge.
    ///
    /// ```
    /// # use afield_core::document::{Block, Document, EditContext, Value};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let by = EditContext::new([1_u8; 16].into(), Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 });
    /// document.edit(&by, &Limits::DEFAULT, |edit| {
    ///     edit.splice_text("body", 0, 0, "Trip")?;
    ///     edit.split_block("body", 0, &Block::new("heading").with_attribute("level", 1))
    /// })?;
    /// let heading = Block::new("heading").with_attribute("level", 2);
    /// document.edit(&by, &Limits::DEFAULT, |edit| edit.update_block("body", 0, &heading))?;
    /// let body = document.read_at("body")?.and_then(|body| body.to_rich_text()).unwrap_or_default();
    /// assert_eq!(body.block(0).and_then(|block| block.attribute("level")), Some(&Value::from(2)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// No text stands there, or no block at that position of it; or the block is too large or nests too deep.
    pub fn update_block(
        &mut self,
        text: impl Into<Path>,
        position: usize,
        block: &Block,
    ) -> Result<(), OperationError> {
        let path = text.into();
        self.operation(|edit| {
            let (text, depth) = edit.text_at(&path)?;
            let found = edit.block_at(&text, depth, position)?;
            edit.assign_block(&found, depth + 1, block)
        })
    }

    /// Turns a text, which stands `depth` steps away from the root, into another with its marks and blocks.
    pub(super) fn assign_rich_text(
        &mut self,
        text: &Object,
        depth: usize,
        before: Option<&str>,
        after: &RichText,
    ) -> Result<(), OperationError> {
        let current = read_text(self.reader(), &text.id).to_rich_text().ok_or(OperationError::Stale)?;
        if before.is_some_and(|before| before != current.as_str()) {
            return Err(OperationError::Stale);
        }
        for hunk in rich_text_hunks(&current, after).iter().rev() {
            self.splice(text, hunk.position, hunk.delete, &hunk.insert)?;
        }
        self.settle_blocks(text, depth, after)?;
        self.settle_marks(text, after)
    }

    /// Makes blocks stand where `after` has them, and characters where it has not, in a text with the same string.
    fn settle_blocks(&mut self, text: &Object, depth: usize, after: &RichText) -> Result<(), OperationError> {
        let places: Vec<usize> = positions_of_block_characters(after.as_str());
        for position in places {
            let place = block_place(text, depth, position);
            match (self.at(&place)?, after.block(position)) {
                (Some(Standing::Object(map)), Some(block)) if map.kind == ObjType::Map => {
                    self.assign_block(&map, depth + 1, block)?;
                }
                (_, Some(block)) => {
                    self.splice(text, position, 1, "")?;
                    self.insert_block(text, depth, position, block)?;
                }
                (Some(Standing::Object(_)), None) => {
                    self.splice(text, position, 1, BLOCK_CHARACTER.encode_utf8(&mut [0; 4]))?;
                }
                (_, None) => {}
            }
        }
        Ok(())
    }

    /// Writes the marks that differ, in a text with the same string and blocks.
    pub(super) fn settle_marks(&mut self, text: &Object, after: &RichText) -> Result<(), OperationError> {
        let current = read_text(self.reader(), &text.id).to_rich_text().ok_or(OperationError::Stale)?;
        let mut names: Vec<&String> = current.mark_names().chain(after.mark_names()).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            for (range, value) in mark_steps(&current, after, name) {
                let expand = if value.is_null() { taking_away(after, &range, name) } else { Expand::of(name) };
                self.put_mark(text, range, name, &value, expand)?;
            }
        }
        Ok(())
    }

    fn put_mark(
        &mut self,
        text: &Object,
        range: Range<usize>,
        name: &str,
        value: &Value,
        expand: Expand,
    ) -> Result<(), OperationError> {
        if !value.can_be_of_a_mark() {
            return Err(OperationError::NoMarkValue { found: value.kind() });
        }
        if range.is_empty() {
            return Ok(());
        }
        self.charge(name.len(), &text.id, None)?;
        self.charge_operations(MARK_OPERATIONS, &text.id, None)?;
        let value = self.scalar(value, &text.id, None)?;
        let mark = Mark::new(name.to_owned(), value, range.start, range.end);
        Ok(self.writing(&text.id).mark(&text.id, mark, expand.into())?)
    }

    pub(super) fn insert_block(
        &mut self,
        text: &Object,
        depth: usize,
        position: usize,
        block: &Block,
    ) -> Result<(), OperationError> {
        if depth >= DEPTH_MAX {
            return Err(OperationError::TooDeep);
        }
        self.charge(0, &text.id, None)?;
        let id = self.writing(&text.id).split_block(&text.id, position)?;
        let map = Object { id, kind: ObjType::Map };
        block.entries().iter().filter(|(_, value)| !value.is_null()).try_for_each(|(key, value)| {
            let prop = Prop::from(key.as_str());
            self.write(&Place { parent: map.clone(), prop, depth: depth + 2 }, value)
        })
    }

    fn assign_block(&mut self, map: &Object, depth: usize, block: &Block) -> Result<(), OperationError> {
        let current = read_object(self.reader(), map);
        let empty = BTreeMap::new();
        self.assign_map(map, depth, current.as_map().unwrap_or(&empty), block.entries())
    }

    /// The text at a path, and how deep it stands.
    fn text_at(&self, path: &Path) -> Result<(Object, usize), OperationError> {
        let place = self.place(path)?;
        match self.at(&place)? {
            Some(Standing::Object(text)) if text.kind == ObjType::Text => Ok((text, place.depth)),
            other => {
                let found = other.map_or(Kind::Null, |other| other.kind());
                Err(OperationError::wrong_kind(place.depth, found, Kind::Text))
            }
        }
    }

    /// The map of the block at a position.
    fn block_at(&self, text: &Object, depth: usize, position: usize) -> Result<Object, OperationError> {
        match self.at(&block_place(text, depth, position))? {
            Some(Standing::Object(map)) if map.kind == ObjType::Map => Ok(map),
            _ => Err(OperationError::NoBlock { position }),
        }
    }
}

/// How many operations it takes to mark the characters and blocks of a text as they are.
pub(super) fn operations(text: &RichText) -> u64 {
    let plain = RichText::new();
    text.mark_names().map(|name| MARK_OPERATIONS * mark_steps(&plain, text, name).len() as u64).sum()
}

fn block_place(text: &Object, depth: usize, position: usize) -> Place {
    Place { parent: text.clone(), prop: Prop::Seq(position), depth: depth + 1 }
}

fn positions_of_block_characters(text: &str) -> Vec<usize> {
    text.chars()
        .enumerate()
        .filter(|(_, character)| *character == BLOCK_CHARACTER)
        .map(|(position, _)| position)
        .collect()
}

/// What has to be marked, and with which value, so that a mark covers what it does in `after`; null takes it away.
///
/// What one value is to cover on both sides of blocks is marked at once, so that a mark stays one over them.
fn mark_steps(current: &RichText, after: &RichText, name: &str) -> Vec<(Range<usize>, Value)> {
    let mut cuts: Vec<usize> = [current, after]
        .into_iter()
        .flat_map(|text| text.marked(name))
        .flat_map(|marked| [marked.range.start, marked.range.end])
        .collect();
    cuts.sort_unstable();
    cuts.dedup();
    let mut steps: Vec<(Range<usize>, Value)> = Vec::new();
    for (start, end) in cuts.iter().zip(cuts.iter().skip(1)) {
        let (old, new) = (current.mark_at(name, *start), after.mark_at(name, *start));
        let among_blocks = |range: Range<usize>| range.into_iter().all(|position| after.block(position).is_some());
        if old == new {
            continue;
        }
        match steps.last_mut() {
            Some((range, value)) if value == new && among_blocks(range.end..*start) => range.end = *end,
            _ => steps.push((*start..*end, new.clone())),
        }
    }
    steps
}

/// How a mark goes from characters so that what is typed at their edges has it only where the character beside them has: it may
/// have been set to grow over both.
fn taking_away(after: &RichText, range: &Range<usize>, name: &str) -> Expand {
    let is_marked = |position: Option<usize>| position.is_some_and(|position| !after.mark_at(name, position).is_null());
    let own = Expand::of(name);
    let before = own.before() || !is_marked(range.start.checked_sub(1));
    match (before, own.after() || !is_marked(Some(range.end))) {
        (true, true) => Expand::Both,
        (true, false) => Expand::Before,
        (false, true) => Expand::After,
        (false, false) => Expand::None,
    }
}

#[cfg(test)]
mod tests;
