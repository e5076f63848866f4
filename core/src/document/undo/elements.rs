//! The elements of a list or text at one moment, and where they are at another.

use super::revert::{Reverting, Slot};
use crate::document::difference::{paired_elements, runs};
use crate::document::edit::Edit;
use crate::document::read::{Object, Standing, read_object, scalar_ref};
use crate::document::value::Value;
use automerge::{ChangeHash, ObjId, ReadDoc, ScalarValueRef, ValueRef};
use similar::DiffTag;
use std::collections::BTreeMap;
use std::ops::Range;

/// The elements of a list or text.
pub(super) struct Elements {
    object: ObjId,
    /// `None` for those that stand there now.
    heads: Option<Vec<ChangeHash>>,
    pub(super) all: Vec<Element>,
}

/// One element.
#[derive(Debug, Clone)]
pub(super) struct Element {
    /// The operation that gave it its value: in a text, the one that inserted it.
    pub(super) id: ObjId,
    pub(super) content: Content,
    /// Where it begins: its index in a list, its code point in a text.
    pub(super) position: usize,
}

/// What an element is.
#[derive(Debug, Clone)]
pub(super) enum Content {
    /// A string of one character.
    Character(char),
    /// Anything else.
    Other(Standing),
}

impl Element {
    pub(super) fn slot(&self) -> Slot {
        let standing = match &self.content {
            Content::Character(character) => Standing::Scalar(Value::Str(character.to_string())),
            Content::Other(standing) => standing.clone(),
        };
        Slot { id: self.id.clone(), standing }
    }

    pub(super) fn object(&self) -> Option<&Object> {
        match &self.content {
            Content::Other(Standing::Object(object)) => Some(object),
            _ => None,
        }
    }

    /// How many code points of a text it takes.
    pub(super) fn width(&self) -> usize {
        match &self.content {
            Content::Other(Standing::Scalar(Value::Str(text))) => text.chars().count(),
            _ => 1,
        }
    }
}

impl Elements {
    /// Reads the elements as they are in `document`; `heads` is what it stands for, where it is not the present.
    pub(super) fn read(document: &impl ReadDoc, object: &ObjId, heads: Option<&[ChangeHash]>, is_text: bool) -> Self {
        let element = |item: automerge::iter::ListRangeItem<'_>| {
            let id = item.id();
            let content = match &item.value {
                ValueRef::Object(kind) => Content::Other(Standing::Object(Object { id: id.clone(), kind: *kind })),
                ValueRef::Scalar(ScalarValueRef::Str(text)) if text.chars().nth(1).is_none() && !text.is_empty() => {
                    Content::Character(text.chars().next().unwrap_or_default())
                }
                ValueRef::Scalar(scalar) => Content::Other(Standing::Scalar(scalar_ref(scalar))),
            };
            Element { id, content, position: item.index }
        };
        let all = document.list_range(object, ..).map(element).collect();
        let mut elements = Self { object: object.clone(), heads: heads.map(<[_]>::to_vec), all };
        if is_text {
            elements.leave_marks_out(document);
        }
        elements
    }

    /// Leaves out the ends of marks, which the engine's iterator gives among the elements of a text.
    fn leave_marks_out(&mut self, document: &impl ReadDoc) {
        let length = document.length(&self.object);
        // No character is anything but a string, and hardly any element has more than one.
        let is_character = |one: &Element| matches!(one.content, Content::Character(_));
        let may_be_one = |one: &Element| is_character(one) || one.object().is_some();
        if self.place() != length {
            self.all.retain(
                |one| !matches!(one.content, Content::Other(Standing::Scalar(ref value)) if value.as_str().is_none()),
            );
        }
        if self.place() != length {
            self.retain_found(document, may_be_one);
        }
        if self.place() != length {
            self.retain_found(document, |one| one.object().is_some());
        }
    }

    /// Says where each element of a text begins, and gives its length.
    fn place(&mut self) -> usize {
        let mut end = 0;
        for element in &mut self.all {
            element.position = end;
            end += element.width();
        }
        end
    }

    /// Leaves out what does not stand where it should, but for what is known to be an element.
    fn retain_found(&mut self, document: &impl ReadDoc, is_known: impl Fn(&Element) -> bool) {
        let mut position = 0;
        let (object, heads) = (&self.object, self.heads.as_deref());
        self.all.retain(|element| {
            let cursor = || document.get_cursor(object, position, heads).map(|cursor| cursor.to_string());
            let stays = is_known(element) || cursor().is_ok_and(|cursor| cursor == element.id.to_string());
            position += if stays { element.width() } else { 0 };
            stays
        });
    }

    pub(super) fn get(&self, index: usize) -> Option<&Element> {
        self.all.get(index)
    }

    /// What stays the same when an element gets another value.
    fn cursor(&self, document: &impl ReadDoc, index: usize) -> Option<Vec<u8>> {
        let element = self.all.get(index)?;
        let cursor = document.get_cursor(&self.object, element.position, self.heads.as_deref());
        cursor.ok().map(|cursor| cursor.to_bytes())
    }
}

impl Edit<'_> {
    /// Where each element of `old` is in `new`; `None` where it is gone.
    ///
    /// An element that an undo has made again is found where the old one would be.
    pub(super) fn places(
        &self,
        reverting: &Reverting<'_>,
        old: &Elements,
        new: &Elements,
        is_text: bool,
    ) -> Vec<Option<usize>> {
        let by_id: BTreeMap<&ObjId, usize> = new.all.iter().enumerate().map(|(index, one)| (&one.id, index)).collect();
        let mut places: Vec<Option<usize>> = old.all.iter().map(|one| by_id.get(&one.id).copied()).collect();
        if !is_text {
            self.find_replaced(old, new, &mut places);
        }
        if new.heads.is_none() {
            self.find_remade(reverting, old, new, &mut places);
        }
        places
    }

    /// Finds the elements that have another value.
    fn find_replaced(&self, old: &Elements, new: &Elements, places: &mut [Option<usize>]) {
        let free = unfound(new.all.len(), places);
        let mut by_cursor: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
        for (index, place) in places.iter_mut().enumerate().filter(|(_, place)| place.is_none()) {
            if by_cursor.is_empty() {
                by_cursor = free.iter().filter_map(|at| Some((new.cursor(self.reader(), *at)?, *at))).collect();
                if by_cursor.is_empty() {
                    return;
                }
            }
            let cursor = old.cursor(self.reader(), index);
            *place = cursor.and_then(|cursor| by_cursor.get(&cursor).copied());
        }
    }

    /// Finds what was deleted and made again, between the same neighbours.
    fn find_remade(&self, reverting: &Reverting<'_>, old: &Elements, new: &Elements, places: &mut [Option<usize>]) {
        let is_remade = |at: &usize| new.get(*at).is_some_and(|one| self.is_remade(reverting, &one.id));
        let remade: Vec<usize> = unfound(new.all.len(), places).into_iter().filter(is_remade).collect();
        if remade.is_empty() {
            return;
        }
        let (mut start, mut lower) = (0, 0);
        for end in 0..=places.len() {
            let found = places.get(end).copied().flatten();
            if end < places.len() && found.is_none() {
                continue;
            }
            let upper = found.unwrap_or(new.all.len());
            let place_of = |bound: usize| remade.partition_point(|at| *at < bound);
            let between = remade.get(place_of(lower)..place_of(upper)).unwrap_or_default();
            for (index, at) in self.alike(old, start..end, new, between) {
                if let Some(place) = places.get_mut(index) {
                    *place = Some(at);
                }
            }
            (start, lower) = (end + 1, upper + 1);
        }
    }

    /// Which of some elements are alike, in the order of both.
    fn alike(&self, old: &Elements, range: Range<usize>, new: &Elements, among: &[usize]) -> Vec<(usize, usize)> {
        let Some(gone) = old.all.get(range.clone()).filter(|gone| !gone.is_empty() && !among.is_empty()) else {
            return Vec::new();
        };
        let made = among.iter().filter_map(|at| new.get(*at));
        let character = |one: &Element| match one.content {
            Content::Character(character) => Some(character),
            Content::Other(_) => None,
        };
        let characters = |all: &mut dyn Iterator<Item = &Element>| all.map(character).collect::<Option<Vec<char>>>();
        let pairs = match (characters(&mut gone.iter()), characters(&mut made.clone())) {
            (Some(old), Some(new)) => equal(&old, &new),
            _ => {
                let old: Vec<Value> = gone.iter().map(|one| self.value_of(one, old.heads.as_deref())).collect();
                let new: Vec<Value> = made.map(|one| self.value_of(one, new.heads.as_deref())).collect();
                paired_elements(&old, &new)
            }
        };
        pairs.into_iter().filter_map(|(old, new)| Some((range.start + old, *among.get(new)?))).collect()
    }

    fn value_of(&self, element: &Element, heads: Option<&[ChangeHash]>) -> Value {
        match (element.slot().standing, heads) {
            (Standing::Scalar(value), _) => value,
            (Standing::Object(object), None) => read_object(self.reader(), &object),
            (Standing::Object(object), Some(heads)) => {
                read_object(&crate::document::history::View::new(self.reader(), heads.to_vec()), &object)
            }
        }
    }
}

/// Which of so many elements nothing was found in.
fn unfound(length: usize, places: &[Option<usize>]) -> Vec<usize> {
    let mut is_free = vec![true; length];
    for at in places.iter().flatten() {
        if let Some(free) = is_free.get_mut(*at) {
            *free = false;
        }
    }
    is_free.iter().enumerate().filter(|(_, free)| **free).map(|(at, _)| at).collect()
}

fn equal(old: &[char], new: &[char]) -> Vec<(usize, usize)> {
    let of_run = |(tag, old, new): (DiffTag, Range<usize>, Range<usize>)| {
        let is_equal = tag == DiffTag::Equal;
        is_equal.then(|| old.zip(new)).into_iter().flatten()
    };
    if old == new {
        return (0..old.len()).map(|at| (at, at)).collect();
    }
    runs(old, new).into_iter().flat_map(of_run).collect()
}
