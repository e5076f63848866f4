//! What differs between two values: of lists the elements. [`super::hunks`] has what differs between texts.

use super::alignment::align;
use super::sequence::differing;
use super::value::Value;
use similar::algorithms::{Capture, Replace, diff_slices};
use similar::{Algorithm, DiffOp, DiffTag};
use std::collections::BTreeMap;
use std::ops::Range;

/// The most lines or elements, old and new together, that are compared one by one. Myers' algorithm takes their number
/// times the number of differences, at worst half a second here.
const ITEMS_MAX: usize = 16_384;

/// One step of turning an old list into a new one, in the order of both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ListStep {
    /// The element stays as it is.
    Keep,
    /// The old element becomes the new one, in place.
    Edit { old: usize, new: usize },
    /// The old element goes.
    Delete { old: usize },
    /// The new element comes.
    Insert { new: usize },
}

impl ListStep {
    /// The old element, if it goes.
    pub(super) fn deleted(&self) -> Option<usize> {
        match self {
            Self::Delete { old } => Some(*old),
            _ => None,
        }
    }

    /// The new element, if it comes.
    pub(super) fn inserted(&self) -> Option<usize> {
        match self {
            Self::Insert { new } => Some(*new),
            _ => None,
        }
    }
}

/// Whether nothing has to be written to turn `before` into `after`.
///
/// Absent and null are the same. Kinds that plain JSON and plain types cannot name (texts, bytes, counters, timestamps) are
/// kept when `after` gives their content as a string or an integer, as plain JSON does.
pub(super) fn is_same(before: Option<&Value>, after: Option<&Value>) -> bool {
    match (before.unwrap_or(&Value::Null), after.unwrap_or(&Value::Null)) {
        (Value::Text(old) | Value::LongText(old), Value::Str(new))
        | (Value::LongText(old), Value::Text(new))
        | (Value::Text(old), Value::LongText(new)) => old == new,
        (Value::RichText(old), Value::Str(new)) => old.as_str() == new,
        (Value::Bytes(old), Value::Str(new)) => Value::Bytes(old.clone()).to_json().as_str() == Some(new.as_str()),
        (Value::Counter(old) | Value::Timestamp(old), new @ (Value::Int(_) | Value::Uint(_))) => {
            new.as_integer() == Some(i128::from(*old))
        }
        (Value::List(old), Value::List(new)) => {
            old.len() == new.len() && old.iter().zip(new).all(|(old, new)| is_same(Some(old), Some(new)))
        }
        (Value::Map(old), Value::Map(new)) => keys(old, new).all(|key| is_same(old.get(key), new.get(key))),
        (old, new) => old == new,
    }
}

/// The keys of either map, in order.
pub(super) fn keys<'v>(
    old: &'v BTreeMap<String, Value>,
    new: &'v BTreeMap<String, Value>,
) -> impl Iterator<Item = &'v String> {
    let mut keys: Vec<&String> = old.keys().chain(new.keys().filter(|key| !old.contains_key(*key))).collect();
    keys.sort_unstable();
    keys.into_iter()
}

/// The steps that turn one list into another.
///
/// Elements that are equal stay. Of those that are not, an element is edited in place when it has the same `id` field
/// or enough else in common with the one it became; where nothing tells, runs of equal length are paired in order.
pub(super) fn list_steps(old: &[Value], new: &[Value]) -> Vec<ListStep> {
    let (old_middle, new_middle) = differing(old, new, |old, new| is_same(Some(old), Some(new)));
    let mut steps = vec![ListStep::Keep; old_middle.start];
    let behind = old.len() - old_middle.end;
    let (old_offset, new_offset) = (old_middle.start, new_middle.start);
    let (Some(old_part), Some(new_part)) = (old.get(old_middle), new.get(new_middle)) else { return steps };
    let (old_ids, new_ids) = classes(old_part, new_part);
    let runs = runs(&old_ids, &new_ids);
    for (tag, old_run, new_run) in runs {
        let shift = |run: Range<usize>, by: usize| run.start + by..run.end + by;
        let (old_run, new_run) = (shift(old_run, old_offset), shift(new_run, new_offset));
        match tag {
            DiffTag::Equal => steps.extend(old_run.map(|_| ListStep::Keep)),
            _ => align(old, old_run, new, new_run, &mut steps),
        }
    }
    steps.extend(vec![ListStep::Keep; behind]);
    steps
}

/// The runs of equal and differing items; all of them are one differing run when they are too many to compare.
pub(super) fn runs<T: Ord + Eq + std::hash::Hash>(old: &[T], new: &[T]) -> Vec<(DiffTag, Range<usize>, Range<usize>)> {
    if old.len() + new.len() > ITEMS_MAX {
        return vec![(DiffTag::Replace, 0..old.len(), 0..new.len())];
    }
    // The compaction of `similar::capture_diff_slices` gives wrong places of insertions (similar 2.7).
    let mut steps = Replace::new(Capture::new());
    let Ok(()) = diff_slices(Algorithm::Myers, &mut steps, old, new);
    steps.into_inner().into_ops().iter().map(DiffOp::as_tag_tuple).collect()
}

/// Which element of one list each of another was made from, by their indices and in the order of both: elements that are equal,
/// and such as have the same `id` or enough else in common.
///
/// An edit that turns the one list into the other edits those in place, and deletes and inserts all others.
///
/// ```
/// use afield_core::document::{Value, paired_elements};
///
/// let item = |id: i64, title: &str| Value::from([("id", id.into()), ("title", title.into())]);
/// let (old, new) = ([item(1, "milk"), item(2, "bread")], [item(3, "eggs"), item(2, "rye bread")]);
/// assert_eq!(paired_elements(&old, &new), [(1, 1)]);
/// ```
pub fn paired_elements(old: &[Value], new: &[Value]) -> Vec<(usize, usize)> {
    let (mut next, mut pairs) = ((0, 0), Vec::new());
    for step in list_steps(old, new) {
        let (of_old, of_new) = (step.inserted().is_none(), step.deleted().is_none());
        if of_old && of_new {
            pairs.push(next);
        }
        next = (next.0 + usize::from(of_old), next.1 + usize::from(of_new));
    }
    pairs
}

/// Numbers the elements so that a new element has the number of an old one only when it is the same.
pub(super) fn classes(old: &[Value], new: &[Value]) -> (Vec<usize>, Vec<usize>) {
    let mut known: BTreeMap<String, Vec<(&Value, usize)>> = BTreeMap::new();
    let is_same = |old: &Value, new: &Value| is_same(Some(old), Some(new));
    let mut old_numbers = Vec::with_capacity(old.len());
    for (index, value) in old.iter().enumerate() {
        let alike = known.entry(bucket(value)).or_default();
        // A string is not the text it could stand for: old elements are one only when they are the same both ways.
        let found = alike.iter().find(|(other, _)| is_same(other, value) && is_same(value, other));
        let number = found.map_or(index, |(_, number)| *number);
        if number == index {
            alike.push((value, index));
        }
        old_numbers.push(number);
    }
    let number_of = |(index, value): (usize, &Value)| {
        let alike = known.get(&bucket(value));
        let found = alike.and_then(|alike| alike.iter().find(|(other, _)| is_same(other, value)));
        found.map_or(old.len() + index, |(_, number)| *number)
    };
    let new_numbers = new.iter().enumerate().map(number_of).collect();
    (old_numbers, new_numbers)
}

/// A text that is equal for values that may be the same.
fn bucket(value: &Value) -> String {
    fn without_nulls(value: &Value) -> serde_json::Value {
        match value {
            Value::Map(entries) => entries
                .iter()
                .map(|(key, value)| (key.clone(), without_nulls(value)))
                .filter(|(_, value)| !value.is_null())
                .collect(),
            Value::List(elements) => elements.iter().map(without_nulls).collect(),
            other => other.to_json(),
        }
    }
    without_nulls(value).to_string()
}

#[cfg(test)]
mod tests;
