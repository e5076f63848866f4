//! Where the parts of long texts stand: read once, and again where something was written.
//!
//! To find a position of a long text, the lengths of all parts before it have to be known, and the engine takes some 20 us
//! to say what one part holds. [`Parts`] keeps what was read of each part until something is written to its map or its
//! text, so that a key costs one part and not all of them. Whatever writes to an object says so: an edit with
//! [`Parts::forget`], which [`super::Edit`] does for each operation, the guarded apply with [`Parts::forget_written`].

use super::long_text::{PART_CHARACTERS_MAX, holds_parts, part_text};
use super::past::object;
use super::read::{Object, maps_within};
use automerge::{Change, ObjId, ObjType, ReadDoc};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Changes with more operations than this let everything be forgotten: reading it again costs less than passing over them.
const WRITTEN_MAX: usize = 4_096;

/// Characters of one part that no other part divides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Segment {
    /// The map of the part.
    pub(super) part: ObjId,
    /// The part's text.
    pub(super) text: ObjId,
    /// How many steps the text stands away from the root.
    pub(super) depth: usize,
    /// Where the segment begins in the part's text, where other parts count as one.
    pub(super) index: usize,
    /// How many characters it has.
    pub(super) length: usize,
    /// How many characters the part may still get.
    pub(super) room: usize,
}

impl Segment {
    pub(super) fn text(&self) -> Object {
        Object { id: self.text.clone(), kind: ObjType::Text }
    }
}

/// What was read of the parts of a document's long texts.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// By their maps.
    parts: BTreeMap<ObjId, Arc<Part>>,
    /// The map of the part that a text is of.
    maps_by_text: BTreeMap<ObjId, ObjId>,
}

/// A part.
#[derive(Debug, Clone)]
struct Part {
    text: ObjId,
    /// How many elements its text has, where a map counts as one.
    elements: usize,
    /// The maps in its text and their indexes, whether they are parts or not.
    maps: Vec<(usize, ObjId)>,
}

impl Parts {
    /// The segments of a long text in the order of reading; none when the map is no part.
    pub(super) fn segments(&mut self, document: &impl ReadDoc, map: &ObjId, depth: usize) -> Vec<Segment> {
        let mut found = Vec::new();
        if let Some(part) = self.part(document, map) {
            self.visit(document, map, &part, depth, &mut found);
        }
        found
    }

    /// Appends a part's segments with those of the parts in it. The recursion is bounded as that of reading is.
    fn visit(&mut self, document: &impl ReadDoc, map: &ObjId, part: &Part, depth: usize, found: &mut Vec<Segment>) {
        let inner = part.maps.iter();
        let inner: Vec<_> = inner.filter_map(|(at, map)| Some((*at, map, self.part(document, map)?))).collect();
        let room = PART_CHARACTERS_MAX.saturating_sub(part.elements - inner.len());
        let segment = |index: usize, length: usize| Segment {
            part: map.clone(),
            text: part.text.clone(),
            depth: depth + 1,
            index,
            length,
            room,
        };
        let mut index = 0;
        for (position, map, part) in inner {
            found.push(segment(index, position - index));
            self.visit(document, map, &part, depth + 2, found);
            index = position + 1;
        }
        found.push(segment(index, part.elements - index));
    }

    fn part(&mut self, document: &impl ReadDoc, map: &ObjId) -> Option<Arc<Part>> {
        if let Some(known) = self.parts.get(map) {
            return Some(Arc::clone(known));
        }
        let part = Arc::new(Part::read(document, map)?);
        self.maps_by_text.insert(part.text.clone(), map.clone());
        self.parts.insert(map.clone(), Arc::clone(&part));
        Some(part)
    }

    /// Forgets what was read of an object, since something is written to it.
    pub(super) fn forget(&mut self, object: &ObjId) {
        let map = self.maps_by_text.remove(object);
        self.parts.remove(map.as_ref().unwrap_or(object));
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.parts.clear();
        self.maps_by_text.clear();
    }

    /// Forgets what was read of the objects that changes have written to.
    pub(super) fn forget_written<'c>(&mut self, changes: impl Iterator<Item = &'c Change> + Clone) {
        if self.parts.is_empty() {
            return;
        }
        if changes.clone().map(Change::len).sum::<usize>() > WRITTEN_MAX {
            self.clear();
            return;
        }
        let expanded = changes.map(Change::decode);
        let written: BTreeSet<_> = expanded.flat_map(|change| change.operations).map(|one| object(&one.obj)).collect();
        for object in &written {
            self.forget(object);
        }
    }

    /// Takes what was read of a text out, to be put back with [`Parts::put_back`] once characters of it have been
    /// replaced.
    pub(super) fn take(&mut self, text: &ObjId) -> Option<Taken> {
        let map = self.maps_by_text.get(text)?.clone();
        let part = self.parts.remove(&map)?;
        Some(Taken { map, part })
    }

    /// Puts a part back of which `delete` characters from `index` on, and no part, gave way to `insert` others.
    pub(super) fn put_back(&mut self, Taken { map, part }: Taken, index: usize, delete: usize, insert: usize) {
        let mut part = Arc::unwrap_or_clone(part);
        part.elements = part.elements + insert - delete;
        // A map that is no part is a character like others.
        part.maps.retain(|(at, _)| !(index..index + delete).contains(at));
        for (at, _) in part.maps.iter_mut().filter(|(at, _)| *at >= index) {
            *at = *at + insert - delete;
        }
        self.maps_by_text.insert(part.text.clone(), map.clone());
        self.parts.insert(map, Arc::new(part));
    }
}

/// What was read of a part that is being written to.
pub(super) struct Taken {
    map: ObjId,
    part: Arc<Part>,
}

impl Taken {
    /// How many elements the part's text had.
    pub(super) fn elements(&self) -> usize {
        self.part.elements
    }
}

impl Part {
    /// Reads a part; `None` when the map is none.
    fn read(document: &impl ReadDoc, map: &ObjId) -> Option<Self> {
        let text = part_text(document, map)?;
        let maps = if holds_parts(document, map) {
            maps_within(document, &text, &document.text(&text).unwrap_or_default())
        } else {
            Vec::new()
        };
        Some(Self { elements: document.length(&text), text, maps })
    }
}

/// The segments with the position where each begins.
pub(super) fn placed(segments: &[Segment]) -> impl Iterator<Item = (usize, &Segment)> {
    segments.iter().scan(0, |next, segment| {
        let start = *next;
        *next += segment.length;
        Some((start, segment))
    })
}

/// The segments that a position stands in or at the edge of: which, where each begins, and itself.
pub(super) fn touching(segments: &[Segment], position: usize) -> impl Iterator<Item = (usize, usize, &Segment)> {
    let all = placed(segments).enumerate().map(|(which, (start, segment))| (which, start, segment));
    all.filter(move |(_, start, segment)| (*start..=start + segment.length).contains(&position))
}

/// Where characters are inserted into a part that has room for them: that of the character before, so that what is typed
/// on stays together, or another one at whose edge the position is.
pub(super) fn with_room(segments: &[Segment], position: usize, length: usize) -> Option<(usize, usize, &Segment)> {
    let fitting = || touching(segments, position).filter(|(.., segment)| segment.room >= length);
    fitting().find(|(_, start, _)| *start < position).or_else(|| fitting().next())
}

/// Notes that characters of a segment were deleted and others inserted: those behind it in the same text have moved.
pub(super) fn follow_splice(segments: &mut [Segment], which: usize, delete: usize, insert: usize) {
    let Some(text) = segments.get(which).map(|segment| segment.text.clone()) else { return };
    for (other, segment) in segments.iter_mut().enumerate().filter(|(_, segment)| segment.text == text) {
        segment.room = (segment.room + delete).saturating_sub(insert);
        if other == which {
            segment.length = segment.length + insert - delete;
        } else if other > which {
            segment.index = segment.index + insert - delete;
        }
    }
}

#[cfg(test)]
mod tests;
