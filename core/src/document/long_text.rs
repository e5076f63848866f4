//! Long texts: kept in parts, so that what an edit or a merge costs depends on the part alone.
//!
//! The engine passes over all that was ever written in a text whenever a change from elsewhere touches it. A long text is
//! therefore a tree of short ones. A *part* is a map with a text below [`PART_TEXT`]; the field holds the first part, and
//! a map that stands among the characters of a part's text, as blocks of rich texts do, is a part that is read in its
//! place. A part in whose text others stand says so below [`PART_HOLDS_PARTS`], so that nobody has to look for them in
//! those that hold none.
//!
//! Nothing is ever moved, so concurrent edits keep what each of them means: a part that is full ([`PART_CHARACTERS_MAX`])
//! grows no more; what is typed behind it goes into a new part behind it, what is typed amid it into a new part at that
//! place. Deleting deletes characters alone: a part that is empty stays, and with it what others write into it meanwhile.

use super::derived::Container;
use super::edit::Edit;
use super::error::OperationError;
use super::hunks::text_hunks;
use super::operations::Place;
use super::parts::{Segment, Taken, follow_splice, placed, touching, with_room};
use super::path::Path;
use super::read::{Object, Standing, maps_within, standing};
use super::value::{Kind, Value};
use super::{DEPTH_MAX, Document};
use automerge::transaction::Transactable;
use automerge::{ObjId, ObjType, ReadDoc};
use std::ops::Range;
use std::sync::PoisonError;

/// The key of a part's text.
const PART_TEXT: &str = "_afield_text";
/// The key that says that other parts stand in a part's text.
pub(super) const PART_HOLDS_PARTS: &str = "_afield_parts";

/// How many characters a part grows to, in code points. Merging a key then passes over about as many operations, which takes
/// a third of a millisecond; the first edit of an open text reads the length of every part, some 20 us each, so 2 ms for 100,000
/// characters, and so does one after much has come from elsewhere.
pub const PART_CHARACTERS_MAX: usize = 1_024;
/// How many characters of much text that is inserted at once go into one part: fewer than it may have, so that the next
/// ones that are typed there have room.
const PIECE_CHARACTERS_MAX: usize = PART_CHARACTERS_MAX / 4 * 3;
/// How many operations it takes to make a part, apart from its characters.
const PART_OPERATIONS: u64 = 3;

/// What has become of the parts of a long text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Parts {
    AsBefore,
    Added,
}

impl Edit<'_> {
    /// Deletes `delete` characters of the long text at `text` from `position` on, and inserts `insert` there.
    ///
    /// Positions count Unicode code points of the text as a whole, wherever its parts begin. An absent long text is created,
    /// unless nothing is inserted. Where an ordinary text stands, it is edited as one and stays one.
    ///
    /// ```
    /// # use afield_core::document::{Document, EditContext, Value};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let by = EditContext::new([1_u8; 16].into(), Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 });
    /// document.edit(&by, &Limits::DEFAULT, |edit| edit.splice_long_text("transcript", 0, 0, "Once upon a time"))?;
    /// assert_eq!(document.read_at("transcript")?, Some(Value::LongText("Once upon a time".into())));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The place of the text does not exist or holds something else, the range is not within the text, or too much is
    /// inserted.
    pub fn splice_long_text(
        &mut self,
        text: impl Into<Path>,
        position: usize,
        delete: usize,
        insert: &str,
    ) -> Result<(), OperationError> {
        let path = text.into();
        self.operation(|edit| {
            let place = edit.place(&path)?;
            edit.check_characters(&path, insert)?;
            let end = position.saturating_add(delete);
            match edit.at(&place)? {
                Some(Standing::Object(text)) if text.kind == ObjType::Text => {
                    edit.refuse_beyond(end, edit.reader().length(&text.id))?;
                    edit.splice(&text, position, delete, insert)
                }
                Some(Standing::Object(map)) if part_text(edit.reader(), &map.id).is_some() => {
                    edit.splice_parts(&map, place.depth, position, delete, insert)
                }
                Some(Standing::Object(map)) if may_begin_in(edit.reader(), &map) => {
                    edit.refuse_beyond(end, 0)?;
                    if insert.is_empty() {
                        return Ok(());
                    }
                    edit.prepare_long_text(&map, place.depth)?;
                    edit.splice_parts(&map, place.depth, 0, 0, insert)
                }
                None | Some(Standing::Scalar(Value::Null)) => {
                    edit.refuse_beyond(end, 0)?;
                    if insert.is_empty() {
                        return Ok(());
                    }
                    edit.create_long_text(&place)?;
                    let made = edit.at(&place)?;
                    let Some(Standing::Object(map)) = made else { return Err(OperationError::Stale) };
                    edit.splice_parts(&map, place.depth, 0, 0, insert)
                }
                Some(other) => Err(OperationError::wrong_kind(place.depth, other.kind(), Kind::LongText)),
            }
        })
    }

    /// Creates an empty long text at a place: by derived changes, where nothing stands there and others could be creating
    /// it.
    pub(super) fn create_long_text(&mut self, place: &Place) -> Result<Object, OperationError> {
        let map = self.create(place, Container::Map)?;
        self.create(&text_place(&map, place.depth), Container::Text)?;
        Ok(map)
    }

    /// Creates what is derived of a long text before anything else is written.
    pub(super) fn prepare_long_text(&mut self, map: &Object, depth: usize) -> Result<(), OperationError> {
        let text = text_place(map, depth);
        if text.depth > DEPTH_MAX {
            return Err(OperationError::TooDeep);
        }
        self.derived_at(&text, Container::Text).map(drop)
    }

    /// Turns a long text, which stands `depth` steps away from the root, into another.
    pub(super) fn assign_long_text(
        &mut self,
        map: &Object,
        depth: usize,
        before: Option<&str>,
        after: &str,
    ) -> Result<(), OperationError> {
        let current = read(self.reader(), &map.id).ok_or(OperationError::Stale)?;
        if before.is_some_and(|before| before != current) {
            return Err(OperationError::Stale);
        }
        let mut segments = self.segments(&map.id, depth);
        // From the last to the first, so that the places of those to come stay.
        for hunk in text_hunks(&current, after).iter().rev() {
            if self.splice_segments(map, &mut segments, hunk.position, hunk.delete, &hunk.insert)? == Parts::Added {
                segments = self.segments(&map.id, depth);
            }
        }
        Ok(())
    }

    /// Deletes and inserts characters of a long text that stands `depth` steps away from the root.
    pub(super) fn splice_parts(
        &mut self,
        map: &Object,
        depth: usize,
        position: usize,
        delete: usize,
        insert: &str,
    ) -> Result<(), OperationError> {
        let mut segments = self.segments(&map.id, depth);
        self.splice_segments(map, &mut segments, position, delete, insert).map(drop)
    }

    /// Deletes and inserts characters of a long text with these segments, which follow what happens unless parts are added.
    fn splice_segments(
        &mut self,
        map: &Object,
        segments: &mut [Segment],
        position: usize,
        delete: usize,
        insert: &str,
    ) -> Result<Parts, OperationError> {
        self.refuse_beyond(position.saturating_add(delete), segments.iter().map(|segment| segment.length).sum())?;
        let characters = insert.chars().count();
        let parts = if characters > PART_CHARACTERS_MAX { pieces(insert).len() as u64 } else { 1 };
        self.charge_operations((delete + characters) as u64 + parts * PART_OPERATIONS, &map.id, None)?;
        if delete > 0 {
            self.delete_from(segments, position..position + delete)?;
        }
        if insert.is_empty() { Ok(Parts::AsBefore) } else { self.insert_into(segments, position, insert) }
    }

    /// Deletes characters, from the last to the first, so that the places of the others stay.
    fn delete_from(&mut self, segments: &mut [Segment], range: Range<usize>) -> Result<(), OperationError> {
        let mut touched = Vec::new();
        for (which, (start, segment)) in placed(segments).enumerate() {
            let from = range.start.max(start);
            let to = range.end.min(start + segment.length);
            if from < to {
                touched.push((which, segment.index + from - start, to - from));
            }
        }
        touched.into_iter().rev().try_for_each(|(which, index, count)| {
            let Some(segment) = segments.get(which) else { return Ok(()) };
            self.splice_part(segment, index, count, "")?;
            follow_splice(segments, which, count, 0);
            Ok(())
        })
    }

    fn insert_into(
        &mut self,
        segments: &mut [Segment],
        position: usize,
        insert: &str,
    ) -> Result<Parts, OperationError> {
        // What goes in at once goes into one text, so that nothing that somebody else types meanwhile comes to stand amid it.
        let pieces = pieces(insert);
        if let [only] = pieces.as_slice()
            && let length = only.chars().count()
            && let Some((which, start, segment)) = with_room(segments, position, length)
        {
            self.splice_part(segment, segment.index + position - start, 0, only)?;
            follow_splice(segments, which, 0, length);
            return Ok(Parts::AsBefore);
        }
        // The least deep of the places at this position, so that what is typed on and on nests no deeper.
        let places = touching(segments, position).filter(|(.., segment)| segment.depth + 2 <= DEPTH_MAX);
        let Some((_, start, segment)) = places.min_by_key(|(.., segment)| segment.depth) else {
            let (which, start, segment) = touching(segments, position).next().ok_or(OperationError::Stale)?;
            self.splice_part(segment, segment.index + position - start, 0, insert)?;
            follow_splice(segments, which, 0, insert.chars().count());
            return Ok(Parts::AsBefore);
        };
        if self.reader().get(&segment.part, PART_HOLDS_PARTS)?.is_none() {
            self.charge(0, &segment.part, None)?;
            self.writing(&segment.part).put(&segment.part, PART_HOLDS_PARTS, true)?;
        }
        let index = segment.index + position - start;
        (index..).zip(pieces).try_for_each(|(index, piece)| {
            self.charge(0, &segment.text, None)?;
            let part = self.writing(&segment.text).split_block(&segment.text, index)?;
            let id = self.writing(&part).put_object(&part, PART_TEXT, ObjType::Text)?;
            self.splice(&Object { id, kind: ObjType::Text }, 0, 0, piece)
        })?;
        Ok(Parts::Added)
    }

    /// Replaces characters of a part, among which no other part stands.
    fn splice_part(
        &mut self,
        segment: &Segment,
        index: usize,
        delete: usize,
        insert: &str,
    ) -> Result<(), OperationError> {
        let taken = self.parts().take(&segment.text);
        self.splice(&segment.text(), index, delete, insert)?;
        let inserted = insert.chars().count();
        // What is deleted is what an element has, whoever made it: what does not add up is read again.
        if let Some(taken) = taken.filter(|taken| delete == 0 || self.adds_up(taken, &segment.text, delete, inserted)) {
            self.parts().put_back(taken, index, delete, inserted);
        }
        Ok(())
    }

    /// Whether a part's text has become as long as what was read of it says.
    fn adds_up(&self, taken: &Taken, text: &ObjId, delete: usize, inserted: usize) -> bool {
        taken.elements().checked_sub(delete).is_some_and(|rest| self.reader().length(text) == rest + inserted)
    }

    /// The segments of a long text that stands `depth` steps away from the root.
    fn segments(&mut self, map: &ObjId, depth: usize) -> Vec<Segment> {
        let (parts, reader) = self.parts_and_reader();
        parts.segments(reader, map, depth)
    }

    pub(super) fn refuse_beyond(&self, position: usize, length: usize) -> Result<(), OperationError> {
        if position > length { Err(OperationError::OutOfRange { position, length }) } else { Ok(()) }
    }
}

impl Document {
    /// How many code points the text at a path has, long or not; 0 where nothing stands. No text is read as a whole.
    ///
    /// ```
    /// # use afield_core::document::{Document, EditContext};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let by = EditContext::new([1_u8; 16].into(), Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 });
    /// document.edit(&by, &Limits::DEFAULT, |edit| edit.splice_long_text("transcript", 0, 0, "Once upon a time"))?;
    /// assert_eq!(document.text_length("transcript")?, 16);
    /// assert_eq!(document.text_length("summary")?, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Something else than a text stands there, or the path leads into something that is no map or list.
    ///
    /// # Panics
    ///
    /// The document is poisoned.
    pub fn text_length(&self, path: impl Into<Path>) -> Result<usize, OperationError> {
        let found = self.text_at(&path.into())?;
        Ok(match found {
            Some(Found::Text(text)) => self.automerge().length(&text),
            Some(Found::Long(map)) => self.segments(&map).iter().map(|segment| segment.length).sum(),
            None => 0,
        })
    }

    /// Reads code points of the text at a path, long or not. Of a long text the parts alone that they stand in are read. A
    /// range that ends behind the end ends there.
    ///
    /// ```
    /// # use afield_core::document::{Document, EditContext};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let by = EditContext::new([1_u8; 16].into(), Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 });
    /// document.edit(&by, &Limits::DEFAULT, |edit| edit.splice_long_text("transcript", 0, 0, "Once upon a time"))?;
    /// assert_eq!(document.text_slice("transcript", 5..9)?, "upon");
    /// assert_eq!(document.text_slice("transcript", 12..1_000)?, "time");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Something else than a text stands there, or the path leads into something that is no map or list.
    ///
    /// # Panics
    ///
    /// The document is poisoned.
    pub fn text_slice(&self, path: impl Into<Path>, range: Range<usize>) -> Result<String, OperationError> {
        let engine = self.automerge();
        let slice = |text: &ObjId, from: usize, count: usize| -> Result<String, OperationError> {
            Ok(engine.text(text)?.chars().skip(from).take(count).collect())
        };
        match self.text_at(&path.into())? {
            None => Ok(String::new()),
            Some(Found::Text(text)) => slice(&text, range.start, range.len()),
            Some(Found::Long(map)) => {
                let mut found = String::new();
                for (start, segment) in placed(&self.segments(&map)) {
                    let (from, to) = (range.start.max(start), range.end.min(start + segment.length));
                    if from < to {
                        found.push_str(&slice(&segment.text, segment.index + from - start, to - from)?);
                    }
                }
                Ok(found)
            }
        }
    }

    /// The segments of a long text, whose depths count from itself.
    fn segments(&self, map: &ObjId) -> Vec<Segment> {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts.segments(self.automerge(), map, 0)
    }

    fn text_at(&self, path: &Path) -> Result<Option<Found>, OperationError> {
        let engine = self.automerge();
        match super::read::follow(engine, path.steps())? {
            None | Some(Standing::Scalar(Value::Null)) => Ok(None),
            Some(Standing::Object(text)) if text.kind == ObjType::Text => Ok(Some(Found::Text(text.id))),
            Some(Standing::Object(map)) if part_text(engine, &map.id).is_some() => Ok(Some(Found::Long(map.id))),
            Some(Standing::Object(map)) if may_begin_in(engine, &map) => Ok(None),
            Some(other) => Err(OperationError::wrong_kind(path.steps().len(), other.kind(), Kind::Text)),
        }
    }
}

enum Found {
    Text(ObjId),
    Long(ObjId),
}

/// Reads a long text as a whole; `None` when the map is none.
///
/// Marks, and blocks that are no parts, are none of its content, whoever put them there: a block is the one character that
/// it is to the engine.
pub(super) fn read(document: &impl ReadDoc, map: &ObjId) -> Option<String> {
    let text = part_text(document, map)?;
    let mut whole = String::new();
    read_into(document, map, &text, &mut whole);
    Some(whole)
}

/// Appends a part's text with the parts in it. The recursion is bounded as that of reading is.
fn read_into(document: &impl ReadDoc, part: &ObjId, text: &ObjId, whole: &mut String) {
    let characters = document.text(text).unwrap_or_default();
    let mut inner = parts_within(document, part, text, &characters).into_iter().peekable();
    if inner.peek().is_none() {
        whole.push_str(&characters);
        return;
    }
    for (position, character) in characters.chars().enumerate() {
        match inner.next_if(|(place, ..)| *place == position) {
            None => whole.push(character),
            Some((_, part, text)) => read_into(document, &part, &text, whole),
        }
    }
}

/// The parts in a part's text, each with its place and its own text.
fn parts_within(document: &impl ReadDoc, part: &ObjId, text: &ObjId, characters: &str) -> Vec<(usize, ObjId, ObjId)> {
    if !holds_parts(document, part) {
        return Vec::new();
    }
    let maps = maps_within(document, text, characters).into_iter();
    maps.filter_map(|(position, map)| part_text(document, &map).map(|text| (position, map, text))).collect()
}

/// Whether a long text may begin in an object: in an empty map, as there is one where the rest of a long text has not
/// arrived yet.
pub(super) fn may_begin_in(document: &impl ReadDoc, object: &Object) -> bool {
    object.kind == ObjType::Map && document.length(&object.id) == 0
}

/// The place of the text of a part that stands `depth` steps away from the root.
pub(super) fn text_place(part: &Object, depth: usize) -> Place {
    Place { parent: part.clone(), prop: PART_TEXT.into(), depth: depth + 1 }
}

/// Whether other parts may stand in a part's text.
pub(super) fn holds_parts(document: &impl ReadDoc, part: &ObjId) -> bool {
    matches!(standing(document, part, PART_HOLDS_PARTS), Ok(Some(_)))
}

/// The text of a part; `None` when the map is no part.
pub(super) fn part_text(document: &impl ReadDoc, map: &ObjId) -> Option<ObjId> {
    match standing(document, map, PART_TEXT) {
        Ok(Some(Standing::Object(Object { id, kind: ObjType::Text }))) => Some(id),
        _ => None,
    }
}

/// Cuts what is inserted into pieces of at most [`PIECE_CHARACTERS_MAX`] code points, or one of [`PART_CHARACTERS_MAX`]:
/// behind a line's end where one is near, else behind a space.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while rest.chars().nth(PART_CHARACTERS_MAX).is_some() {
        let most = rest.char_indices().nth(PIECE_CHARACTERS_MAX).map_or(rest.len(), |(offset, _)| offset);
        let least = rest.char_indices().nth(PIECE_CHARACTERS_MAX / 2).map_or(0, |(offset, _)| offset);
        let near = rest.get(least..most).unwrap_or_default();
        let behind = |offset: Option<usize>| offset.map(|offset| least + offset + 1);
        let cut = behind(near.rfind('\n')).or_else(|| behind(near.rfind(' '))).unwrap_or(most);
        let (piece, behind) = rest.split_at(cut);
        pieces.push(piece);
        rest = behind;
    }
    if !rest.is_empty() {
        pieces.push(rest);
    }
    pieces
}

#[cfg(test)]
mod tests;
