//! Taking back what was done to the elements of lists and the characters of texts.

use super::elements::{Content, Element, Elements};
use super::marks::{MarksBefore, Origin};
use super::revert::Reverting;
use crate::document::edit::Edit;
use crate::document::error::OperationError;
use crate::document::long_text;
use crate::document::operations::Place;
use crate::document::read::{Object, Standing};
use crate::document::rich::Block;
use crate::document::value::Value;
use automerge::{ObjId, ObjType, Prop};
use std::ops::Range;

/// A list or text before and after what is taken back, and now.
struct Moments {
    before: Elements,
    after: Elements,
    present: Elements,
    /// Of each element before, where it is after.
    kept: Vec<Option<usize>>,
    /// Of each element after, where it is now.
    found: Vec<Option<usize>>,
}

/// What has to be done at one place of the present.
#[derive(Debug, Default)]
struct Gap {
    /// Which elements of before come in front of the element.
    inserted: Vec<usize>,
    /// Which elements of before and after the element is.
    origin: (Option<usize>, Option<usize>),
    /// Whether the element goes.
    deleted: bool,
}

impl Moments {
    /// What has to be done, by the places of the present and behind its end.
    fn gaps(&self) -> Vec<Gap> {
        let mut gaps: Vec<Gap> = (0..=self.present.all.len()).map(|_| Gap::default()).collect();
        let mut made = vec![true; self.after.all.len()];
        let mut at = 0;
        for (index, kept) in self.kept.iter().enumerate() {
            let Some(after) = *kept else {
                if let Some(gap) = gaps.get_mut(at) {
                    gap.inserted.push(index);
                }
                continue;
            };
            if let Some(made) = made.get_mut(after) {
                *made = false;
            }
            if let Some(place) = self.found.get(after).copied().flatten() {
                if let Some(gap) = gaps.get_mut(place) {
                    gap.origin = (Some(index), Some(after));
                }
                at = place + 1;
            }
        }
        for (after, place) in self.found.iter().enumerate().filter(|(after, _)| made.get(*after) == Some(&true)) {
            if let Some(gap) = place.and_then(|place| gaps.get_mut(place)) {
                gap.deleted = true;
                gap.origin = (None, Some(after));
            }
        }
        gaps
    }
}

impl Edit<'_> {
    pub(super) fn revert_list(
        &mut self,
        reverting: &Reverting<'_>,
        old: &ObjId,
        list: &Object,
        depth: usize,
    ) -> Result<(), OperationError> {
        let moments = self.moments(reverting, old, list);
        for (index, gap) in moments.gaps().into_iter().enumerate().rev() {
            let place = Place { parent: list.clone(), prop: Prop::Seq(index), depth: depth + 1 };
            if gap.deleted {
                self.remove(&place)?;
            } else if let (Some(before), Some(after)) = gap.origin {
                let slot = |elements: &Elements, index| elements.get(index).map(Element::slot);
                let (before, after) = (slot(&moments.before, before), slot(&moments.after, after));
                if reverting.may_differ(before.as_ref(), after.as_ref()) {
                    self.revert_slot(reverting, &place, before.as_ref(), after.as_ref())?;
                }
            }
            let elements = gap.inserted.iter().filter_map(|before| moments.before.get(*before));
            let values: Vec<Value> = elements.map(|one| self.content(reverting, &one.slot().standing)).collect();
            self.insert_values(list, depth, index, &values)?;
        }
        Ok(())
    }

    pub(super) fn revert_text(
        &mut self,
        reverting: &Reverting<'_>,
        old: &ObjId,
        text: &Object,
        depth: usize,
    ) -> Result<(), OperationError> {
        let moments = self.moments(reverting, old, text);
        let marks = MarksBefore::read(&self.before(reverting), &self.after(reverting), self.reader(), old, &text.id);
        let mut gaps = moments.gaps();
        self.revert_blocks(reverting, &moments, &mut gaps, depth)?;
        let length = moments.present.all.last().map_or(0, |last| last.position + last.width());
        // Runs of characters that go are deleted at once: they are gathered from the end.
        let mut deletion = length..length;
        for (index, gap) in gaps.iter().enumerate().rev() {
            let element = moments.present.get(index);
            let position = element.map_or(length, |element| element.position);
            if gap.deleted {
                deletion.start = position;
            } else {
                let end = position + element.map_or(0, Element::width);
                self.cut(text, end..deletion.end)?;
                deletion = position..position;
            }
            if !gap.inserted.is_empty() || index == 0 {
                self.cut(text, position..deletion.end)?;
                deletion = position..position;
                let elements = gap.inserted.iter().filter_map(|before| moments.before.get(*before));
                self.reinsert(reverting, text, depth, position, elements)?;
            }
        }
        if let Some(marks) = marks {
            self.revert_marks(text, &marks, &origins(&moments, &gaps))?;
        }
        Ok(())
    }

    /// Takes back what was done within the blocks of a text. A part of a long text that the edit has begun stays, for what
    /// others have written in it: only what the edit wrote there goes.
    fn revert_blocks(
        &mut self,
        reverting: &Reverting<'_>,
        moments: &Moments,
        gaps: &mut [Gap],
        depth: usize,
    ) -> Result<(), OperationError> {
        for (gap, present) in gaps.iter_mut().zip(&moments.present.all) {
            let after = gap.origin.1.and_then(|after| moments.after.get(after));
            let (Some(map), Some(after)) = (present.object(), after.and_then(Element::object)) else { continue };
            if map.kind != ObjType::Map {
                continue;
            }
            if gap.deleted {
                let part = long_text::part_text(self.reader(), &map.id);
                if let (Some(now), Some(then)) = (part, long_text::part_text(&self.after(reverting), &after.id)) {
                    gap.deleted = false;
                    self.revert_text(reverting, &then, &Object { id: now, kind: ObjType::Text }, depth + 2)?;
                }
            } else if reverting.segment.on_the_way.contains(&after.id) {
                self.revert_map(reverting, &after.id, map, depth + 1)?;
            }
        }
        Ok(())
    }

    fn cut(&mut self, text: &Object, range: Range<usize>) -> Result<(), OperationError> {
        if range.is_empty() { Ok(()) } else { self.splice(text, range.start, range.len(), "") }
    }

    fn paste(&mut self, text: &Object, position: usize, characters: &str) -> Result<(), OperationError> {
        if characters.is_empty() { Ok(()) } else { self.splice(text, position, 0, characters) }
    }

    /// Puts characters and blocks back that were deleted.
    fn reinsert<'e>(
        &mut self,
        reverting: &Reverting<'_>,
        text: &Object,
        depth: usize,
        mut position: usize,
        elements: impl Iterator<Item = &'e Element>,
    ) -> Result<(), OperationError> {
        let mut run = String::new();
        for element in elements {
            match &element.content {
                Content::Character(character) => run.push(*character),
                Content::Other(Standing::Scalar(value)) => run.push_str(value.as_str().unwrap_or_default()),
                Content::Other(block) => {
                    self.paste(text, position, &run)?;
                    position += run.chars().count();
                    run.clear();
                    let Value::Map(entries) = self.content(reverting, block) else { continue };
                    self.insert_block(text, depth, position, &Block::from(entries))?;
                    position += 1;
                }
            }
        }
        self.paste(text, position, &run)
    }

    fn moments(&self, reverting: &Reverting<'_>, old: &ObjId, present: &Object) -> Moments {
        let is_text = present.kind == ObjType::Text;
        let segment = reverting.segment;
        let before = Elements::read(&self.before(reverting), old, Some(&segment.before), is_text);
        let after = Elements::read(&self.after(reverting), old, Some(&segment.after), is_text);
        let present = Elements::read(self.reader(), &present.id, None, is_text);
        let kept = self.places(reverting, &before, &after, is_text);
        let found = self.places(reverting, &after, &present, is_text);
        Moments { before, after, present, kept, found }
    }
}

/// Where each character of the text comes from, once everything is done.
fn origins(moments: &Moments, gaps: &[Gap]) -> Vec<Origin> {
    let mut origins = Vec::new();
    let mut add = |before: Option<&Element>, after: Option<&Element>, present: Option<&Element>| {
        let width = [present, after, before].into_iter().flatten().next().map_or(0, Element::width);
        let at = |element: Option<&Element>, offset| element.map(|element| element.position + offset);
        origins.extend((0..width).map(|offset| Origin {
            before: at(before, offset),
            after: at(after, offset),
            present: at(present, offset),
        }));
    };
    for (index, gap) in gaps.iter().enumerate() {
        for inserted in &gap.inserted {
            add(moments.before.get(*inserted), None, None);
        }
        let (before, after) = gap.origin;
        if let Some(present) = moments.present.get(index).filter(|_| !gap.deleted) {
            let before = before.and_then(|before| moments.before.get(before));
            add(before, after.and_then(|after| moments.after.get(after)), Some(present));
        }
    }
    origins
}
