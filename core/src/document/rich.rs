//! A text with marks and blocks, apart from any document.

mod block;
pub(super) mod json;

pub use block::Block;

use super::value::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// The character that stands for a block where a text is read as a string: U+FFFC, "object replacement character".
///
/// ```
/// use afield_core::document::{BLOCK_CHARACTER, Block, RichText};
///
/// let mut text = RichText::from("Hello");
/// text.insert_block(0, Block::new("heading"));
/// assert_eq!(text.as_str(), format!("{BLOCK_CHARACTER}Hello"));
/// ```
pub const BLOCK_CHARACTER: char = '\u{fffc}';

/// A text with marks (such as bold) and blocks (such as headings).
///
/// Positions count Unicode code points, and a block counts as one. Read as a string, [`BLOCK_CHARACTER`] stands for each
/// block, so that positions in the string and in the text are the same. A block stands before the characters that belong
/// to it, up to the next one.
///
/// ```
/// use afield_core::document::{Block, RichText, Span};
///
/// let mut text = RichText::new();
/// text.insert_block(0, Block::new("heading").with_attribute("level", 1));
/// text.splice(1, 0, "Hello world");
/// text.mark(7..12, "bold", true);
/// let spans: Vec<_> = text.spans().collect();
/// assert!(matches!(spans[0], Span::Block(block) if block.kind() == Some("heading")));
/// assert!(matches!(&spans[2], Span::Text { text: "world", marks } if marks.contains_key("bold")));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RichText {
    text: String,
    /// How many code points the string has.
    length: usize,
    /// By name the stretches with a value: in order, apart from each other, over characters alone and none of them empty.
    marks: BTreeMap<String, Vec<Marked>>,
    blocks: BTreeMap<usize, Block>,
}

/// Characters that a mark covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Marked {
    pub(super) range: Range<usize>,
    pub(super) value: Value,
}

/// One stretch of a rich text: characters with the same marks, or a block.
///
/// ```
/// use afield_core::document::{RichText, Span};
///
/// let mut text = RichText::from("read this");
/// text.mark(0..4, "bold", true);
/// let html: String = text.spans().map(|span| match span {
///     Span::Text { text, marks } if marks.contains_key("bold") => format!("<b>{text}</b>"),
///     Span::Text { text, .. } => text.to_owned(),
///     Span::Block(_) => "<p>".to_owned(),
/// }).collect();
/// assert_eq!(html, "<b>read</b> this");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Span<'t> {
    /// Characters, and the marks that cover all of them, by name.
    Text {
        /// The characters.
        text: &'t str,
        /// The marks and their values.
        marks: BTreeMap<&'t str, &'t Value>,
    },
    /// A block, to which what follows belongs.
    Block(&'t Block),
}

/// Whether characters that are inserted at the edge of a mark are marked, too.
///
/// ```
/// use afield_core::document::Expand;
///
/// assert_eq!(Expand::of("bold"), Expand::After); // what is typed behind a bold word is bold
/// assert_eq!(Expand::of("link"), Expand::None); // what is typed behind a link is no part of it
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Expand {
    /// Those before its first character.
    Before,
    /// Those behind its last character: what people expect of bold and italic.
    After,
    /// Those at either edge.
    Both,
    /// Neither: what people expect of links and comments.
    None,
}

impl Expand {
    /// How a mark of this name grows where nobody says it: `link` and `comment` do not, all others do behind their last
    /// character.
    ///
    /// ```
    /// use afield_core::document::Expand;
    ///
    /// assert_eq!(Expand::of("bold"), Expand::After);
    /// assert_eq!(Expand::of("link"), Expand::None);
    /// ```
    pub fn of(name: &str) -> Self {
        match name {
            "link" | "comment" => Self::None,
            _ => Self::After,
        }
    }

    pub(super) fn before(self) -> bool {
        matches!(self, Self::Before | Self::Both)
    }

    pub(super) fn after(self) -> bool {
        matches!(self, Self::After | Self::Both)
    }
}

impl From<Expand> for automerge::marks::ExpandMark {
    fn from(expand: Expand) -> Self {
        match expand {
            Expand::Before => Self::Before,
            Expand::After => Self::After,
            Expand::Both => Self::Both,
            Expand::None => Self::None,
        }
    }
}

impl RichText {
    /// Makes an empty text.
    ///
    /// ```
    /// use afield_core::document::RichText;
    ///
    /// let mut text = RichText::new();
    /// text.splice(0, 0, "milk");
    /// assert_eq!(text, RichText::from("milk"));
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// The text as a string, with [`BLOCK_CHARACTER`] for each block.
    ///
    /// ```
    /// use afield_core::document::{Block, RichText};
    ///
    /// let mut text = RichText::from("Trip");
    /// text.insert_block(0, Block::new("heading"));
    /// assert_eq!(text.as_str(), "\u{fffc}Trip");
    /// ```
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// How many code points and blocks there are.
    ///
    /// ```
    /// use afield_core::document::{Block, RichText};
    ///
    /// let mut text = RichText::from("é🦀");
    /// text.insert_block(0, Block::new("heading"));
    /// assert_eq!(text.len(), 3);
    /// ```
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are neither characters nor blocks.
    ///
    /// ```
    /// use afield_core::document::RichText;
    ///
    /// assert!(RichText::new().is_empty());
    /// assert!(!RichText::from("milk").is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Whether there are neither marks nor blocks, so that the string says everything.
    ///
    /// ```
    /// use afield_core::document::RichText;
    ///
    /// let mut text = RichText::from("milk");
    /// assert!(text.is_plain());
    /// text.mark(0..4, "bold", true);
    /// assert!(!text.is_plain());
    /// ```
    pub fn is_plain(&self) -> bool {
        self.marks.is_empty() && self.blocks.is_empty()
    }

    /// The block at a position; `None` when none stands there.
    ///
    /// ```
    /// use afield_core::document::{Block, RichText};
    ///
    /// let mut text = RichText::from("Trip");
    /// text.insert_block(0, Block::new("heading"));
    /// assert_eq!(text.block(0).and_then(Block::kind), Some("heading"));
    /// assert_eq!(text.block(1), None);
    /// ```
    pub fn block(&self, position: usize) -> Option<&Block> {
        self.blocks.get(&position)
    }

    /// The block at a position, to be changed; `None` when none stands there.
    ///
    /// ```
    /// use afield_core::document::{Block, RichText};
    ///
    /// let mut text = RichText::from("Trip");
    /// text.insert_block(0, Block::new("heading"));
    /// if let Some(block) = text.block_mut(0) {
    ///     *block = Block::new("paragraph");
    /// }
    /// assert_eq!(text.block(0).and_then(Block::kind), Some("paragraph"));
    /// ```
    pub fn block_mut(&mut self, position: usize) -> Option<&mut Block> {
        self.blocks.get_mut(&position)
    }

    /// The blocks with their positions.
    ///
    /// ```
    /// use afield_core::document::{Block, RichText};
    ///
    /// let mut text = RichText::from("Trip");
    /// text.insert_block(0, Block::new("heading"));
    /// text.push_block(Block::new("paragraph"));
    /// let kinds: Vec<_> = text.blocks().map(|(position, block)| (position, block.kind())).collect();
    /// assert_eq!(kinds, [(0, Some("heading")), (5, Some("paragraph"))]);
    /// ```
    pub fn blocks(&self) -> impl Iterator<Item = (usize, &Block)> {
        self.blocks.iter().map(|(position, block)| (*position, block))
    }

    /// The marks: name, the characters that it covers, and value.
    ///
    /// ```
    /// use afield_core::document::{RichText, Value};
    ///
    /// let mut text = RichText::from("Read this");
    /// text.mark(0..4, "bold", true);
    /// assert_eq!(text.marks().collect::<Vec<_>>(), [("bold", 0..4, &Value::from(true))]);
    /// ```
    pub fn marks(&self) -> impl Iterator<Item = (&str, Range<usize>, &Value)> {
        self.marks
            .iter()
            .flat_map(|(name, all)| all.iter().map(move |one| (name.as_str(), one.range.clone(), &one.value)))
    }

    /// The text in stretches of the same marks, and the blocks between them.
    ///
    /// ```
    /// use afield_core::document::{RichText, Span};
    ///
    /// let mut text = RichText::from("Read this");
    /// text.mark(0..4, "bold", true);
    /// let bold = text.spans().filter_map(|span| match span {
    ///     Span::Text { text, marks } if marks.contains_key("bold") => Some(text),
    ///     _ => None,
    /// });
    /// assert_eq!(bold.collect::<Vec<_>>(), ["Read"]);
    /// ```
    pub fn spans(&self) -> impl Iterator<Item = Span<'_>> {
        let mut cuts: BTreeSet<usize> = self.blocks.keys().flat_map(|position| [*position, position + 1]).collect();
        cuts.extend(self.marks().flat_map(|(_, range, _)| [range.start, range.end]));
        cuts.insert(0);
        let mut offsets = self.text.char_indices().map(|(offset, _)| offset).chain([self.text.len()]).enumerate();
        let mut cuts: Vec<(usize, usize)> =
            cuts.into_iter().filter_map(|cut| Some((cut, offsets.find(|(position, _)| *position == cut)?.1))).collect();
        cuts.push((usize::MAX, self.text.len()));
        let ends: Vec<usize> = cuts.iter().skip(1).map(|(_, offset)| *offset).collect();
        cuts.into_iter().zip(ends).filter_map(|((position, start), end)| match self.blocks.get(&position) {
            Some(block) => Some(Span::Block(block)),
            None => {
                let text = self.text.get(start..end).filter(|text| !text.is_empty())?;
                Some(Span::Text { text, marks: self.marks_at(position) })
            }
        })
    }

    /// Deletes `delete` code points or blocks from `position` on and puts characters in their place.
    ///
    /// They have the marks that grow over them by [`Expand::of`]. A position behind the end means the end, and a deletion
    /// ends with the text.
    ///
    /// ```
    /// use afield_core::document::{RichText, Value};
    ///
    /// let mut text = RichText::from("by train");
    /// text.mark(0..2, "bold", true);
    /// text.splice(2, 1, " night ");
    /// assert_eq!(text.as_str(), "by night train");
    /// assert_eq!(text.marks().next(), Some(("bold", 0..9, &Value::from(true))), "bold grows behind its end");
    /// ```
    pub fn splice(&mut self, position: usize, delete: usize, insert: &str) {
        let length = self.len();
        let start = position.min(length);
        let end = position.saturating_add(delete).min(length);
        self.text.replace_range(byte_offset(&self.text, start)..byte_offset(&self.text, end), insert);
        let inserted = insert.chars().count();
        self.length = length - (end - start) + inserted;
        let behind = |place: usize| place - (end - start) + inserted;
        let blocks = std::mem::take(&mut self.blocks);
        let kept = blocks.into_iter().filter(|(place, _)| !(start..end).contains(place));
        self.blocks = kept.map(|(place, block)| (if place < start { place } else { behind(place) }, block)).collect();
        for (name, all) in &mut self.marks {
            let expand = Expand::of(name);
            for Marked { range, .. } in all.iter_mut() {
                // What begins or ends within what is deleted begins or ends at its place.
                let (first, last) = (range.start, range.end);
                range.start = match first {
                    _ if first < start || (first == start && expand.before()) => first,
                    _ if first <= end => start + inserted,
                    _ => behind(first),
                };
                range.end = match last {
                    _ if last < start || (last == start && !expand.after()) => last,
                    _ if last > end => behind(last),
                    _ if first < start && expand.after() => start + inserted,
                    _ => start,
                };
            }
            normalise(all);
        }
        self.marks.retain(|_, all| !all.is_empty());
    }

    /// Covers characters with a mark, in place of another value of that name; blocks among them are left out.
    ///
    /// The value is a scalar; null takes the mark away.
    ///
    /// ```
    /// use afield_core::document::{RichText, Value};
    ///
    /// let mut text = RichText::from("Read this");
    /// text.mark(5..9, "link", "https://example.org");
    /// text.mark(5..9, "link", "https://example.com");
    /// assert_eq!(text.marks().collect::<Vec<_>>(), [("link", 5..9, &Value::from("https://example.com"))]);
    /// ```
    pub fn mark(&mut self, range: Range<usize>, name: impl Into<String>, value: impl Into<Value>) {
        let (name, value) = (name.into(), value.into());
        let range = range.start..range.end.min(self.len());
        let pieces = self.between_blocks(&range);
        let all = self.marks.entry(name.clone()).or_default();
        cut_out(all, &range);
        if !value.is_null() {
            all.extend(pieces.into_iter().map(|range| Marked { range, value: value.clone() }));
        }
        normalise(all);
        if all.is_empty() {
            self.marks.remove(&name);
        }
    }

    /// Takes a mark away from characters.
    ///
    /// ```
    /// use afield_core::document::{RichText, Value};
    ///
    /// let mut text = RichText::from("Read this");
    /// text.mark(0..9, "bold", true);
    /// text.unmark(4..9, "bold");
    /// assert_eq!(text.marks().collect::<Vec<_>>(), [("bold", 0..4, &Value::from(true))]);
    /// ```
    pub fn unmark(&mut self, range: Range<usize>, name: &str) {
        self.mark(range, name, Value::Null);
    }

    /// Inserts a block, to which the characters from there to the next block then belong. A position behind the end means
    /// the end.
    ///
    /// ```
    /// use afield_core::document::{Block, RichText};
    ///
    /// let mut text = RichText::from("TripBy train");
    /// text.insert_block(4, Block::new("paragraph"));
    /// text.insert_block(0, Block::new("heading"));
    /// assert_eq!(text.as_str(), "\u{fffc}Trip\u{fffc}By train");
    /// ```
    pub fn insert_block(&mut self, position: usize, block: Block) {
        let position = position.min(self.len());
        let mut character = [0; 4];
        self.splice(position, 0, BLOCK_CHARACTER.encode_utf8(&mut character));
        for all in self.marks.values_mut() {
            cut_out(all, &(position..position + 1));
            normalise(all);
        }
        self.marks.retain(|_, all| !all.is_empty());
        self.blocks.insert(position, block);
    }

    /// Takes the block at a position out, so that the characters behind it belong to the block before; `None` when none
    /// stands there.
    ///
    /// ```
    /// use afield_core::document::{Block, RichText};
    ///
    /// let mut text = RichText::from("Trip");
    /// text.insert_block(0, Block::new("heading"));
    /// assert_eq!(text.remove_block(0), Some(Block::new("heading")));
    /// assert_eq!(text.as_str(), "Trip");
    /// assert_eq!(text.remove_block(0), None);
    /// ```
    pub fn remove_block(&mut self, position: usize) -> Option<Block> {
        let block = self.blocks.get(&position).cloned()?;
        self.splice(position, 1, "");
        Some(block)
    }

    /// Appends characters with these marks and no others.
    ///
    /// ```
    /// use afield_core::document::{RichText, Value};
    ///
    /// let mut text = RichText::new();
    /// text.push_text("Read ", []);
    /// text.push_text("this", [("bold", &Value::from(true))]);
    /// assert_eq!(text.marks().collect::<Vec<_>>(), [("bold", 5..9, &Value::from(true))]);
    /// ```
    pub fn push_text<'m>(&mut self, text: &str, marks: impl IntoIterator<Item = (&'m str, &'m Value)>) {
        let range = self.length..self.length + text.chars().count();
        self.length = range.end;
        self.text.push_str(text);
        for (name, value) in marks.into_iter().filter(|(_, value)| !value.is_null() && !range.is_empty()) {
            let all = self.marks.entry(name.to_owned()).or_default();
            match all.last_mut() {
                Some(last) if last.range.end == range.start && last.value == *value => last.range.end = range.end,
                _ => all.push(Marked { range: range.clone(), value: value.clone() }),
            }
        }
    }

    /// Appends a block.
    ///
    /// ```
    /// use afield_core::document::{Block, RichText};
    ///
    /// let mut text = RichText::new();
    /// text.push_block(Block::new("heading"));
    /// text.push_text("Trip", []);
    /// assert_eq!(text.as_str(), "\u{fffc}Trip");
    /// ```
    pub fn push_block(&mut self, block: Block) {
        self.blocks.insert(self.length, block);
        self.text.push(BLOCK_CHARACTER);
        self.length += 1;
    }

    /// The first `length` code points and blocks, with their marks.
    ///
    /// ```
    /// use afield_core::document::RichText;
    ///
    /// assert_eq!(RichText::from("by train").prefix(2).as_str(), "by");
    /// ```
    #[must_use]
    pub fn prefix(&self, length: usize) -> Self {
        let mut prefix = self.clone();
        prefix.splice(length, usize::MAX, "");
        prefix
    }

    /// Puts a text together from what a document tells of it: characters, the blocks among them, and the marks, of which
    /// those of one name lie apart.
    pub(super) fn assemble(
        text: String,
        blocks: BTreeMap<usize, Block>,
        marks: impl IntoIterator<Item = (String, Range<usize>, Value)>,
    ) -> Self {
        let mut rich = Self { blocks, ..Self::from(text) };
        for (name, range, value) in marks.into_iter().filter(|(_, _, value)| !value.is_null()) {
            let pieces = rich.between_blocks(&range).into_iter().map(|range| Marked { range, value: value.clone() });
            rich.marks.entry(name).or_default().extend(pieces);
        }
        rich.marks.values_mut().for_each(normalise);
        rich.marks.retain(|_, all| !all.is_empty());
        rich
    }

    /// A range without the blocks in it.
    fn between_blocks(&self, range: &Range<usize>) -> Vec<Range<usize>> {
        let blocks = self.blocks.range(range.start..range.end.max(range.start)).map(|(position, _)| *position);
        let mut start = range.start;
        blocks.chain([range.end]).map(|end| std::mem::replace(&mut start, end + 1)..end).collect()
    }

    /// The value that a mark has at a position; null where it has none.
    pub(super) fn mark_at(&self, name: &str, position: usize) -> &Value {
        let all = self.marked(name);
        let at = all.partition_point(|one| one.range.end <= position);
        all.get(at).filter(|one| one.range.contains(&position)).map_or(&Value::Null, |one| &one.value)
    }

    /// The characters that a mark covers.
    pub(super) fn marked(&self, name: &str) -> &[Marked] {
        self.marks.get(name).map_or(&[], Vec::as_slice)
    }

    /// The names of the marks.
    pub(super) fn mark_names(&self) -> impl Iterator<Item = &String> {
        self.marks.keys()
    }

    fn marks_at(&self, position: usize) -> BTreeMap<&str, &Value> {
        let at = self.marks.keys().map(|name| (name.as_str(), self.mark_at(name, position)));
        at.filter(|(_, value)| !value.is_null()).collect()
    }
}

impl From<&str> for RichText {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl From<String> for RichText {
    fn from(text: String) -> Self {
        Self { length: text.chars().count(), text, ..Self::default() }
    }
}

/// Takes characters out of the stretches of a mark.
fn cut_out(all: &mut Vec<Marked>, range: &Range<usize>) {
    let before =
        |one: &Marked| Marked { range: one.range.start..one.range.end.min(range.start), value: one.value.clone() };
    let behind =
        |one: &Marked| Marked { range: one.range.start.max(range.end)..one.range.end, value: one.value.clone() };
    if !range.is_empty() {
        *all = all.iter().flat_map(|one| [before(one), behind(one)]).collect();
    }
}

/// Orders the stretches of a mark, leaves out the empty ones, and joins those that touch and have the same value.
fn normalise(all: &mut Vec<Marked>) {
    all.retain(|one| !one.range.is_empty());
    all.sort_by_key(|one| one.range.start);
    let mut joined: Vec<Marked> = Vec::with_capacity(all.len());
    for mut one in all.drain(..) {
        match joined.last_mut() {
            Some(last) if last.range.end >= one.range.start && last.value == one.value => {
                last.range.end = last.range.end.max(one.range.end);
            }
            Some(last) => {
                one.range.start = one.range.start.max(last.range.end);
                if !one.range.is_empty() {
                    joined.push(one);
                }
            }
            None => joined.push(one),
        }
    }
    *all = joined;
}

/// Where a character begins; behind the end the end.
fn byte_offset(text: &str, position: usize) -> usize {
    text.char_indices().nth(position).map_or(text.len(), |(offset, _)| offset)
}

#[cfg(test)]
mod tests;
