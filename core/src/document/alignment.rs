//! Which old element of a list a new one was made from.

use super::difference::{ListStep, is_same, keys};
use super::sequence::{alike, differing};
use super::value::Value;
use std::ops::Range;

/// From which likeness on, in thousandths, an old element counts as the one that a new element was made from.
const ALIKE: u32 = 300;
/// The likeness of two equal values.
const EQUAL: u32 = 1_000;
/// The field by which applications commonly tell elements apart.
const IDENTITY: &str = "id";

/// Turns a run of differing old elements into a run of new ones.
pub(super) fn align(
    old: &[Value],
    old_run: Range<usize>,
    new: &[Value],
    new_run: Range<usize>,
    steps: &mut Vec<ListStep>,
) {
    let (Some(old_part), Some(new_part)) = (old.get(old_run.clone()), new.get(new_run.clone())) else { return };
    let mut place = (0, 0);
    let likeness = |row: usize, column: usize| match (old_part.get(row), new_part.get(column)) {
        (Some(old), Some(new)) => u64::from(pairing(old, new)),
        _ => 0,
    };
    let pairs = alike(old_part.len(), new_part.len(), likeness).into_iter().chain([(old_part.len(), new_part.len())]);
    for pair in pairs {
        let gap = (old_run.start + place.0..old_run.start + pair.0, new_run.start + place.1..new_run.start + pair.1);
        let by_order = gap.0.len() == gap.1.len();
        for (old_index, new_index) in gap.0.clone().zip(gap.1.clone()).filter(|_| by_order) {
            let differ = match (old.get(old_index), new.get(new_index)) {
                (Some(old), Some(new)) => identity_matches(old, new) == Some(false),
                _ => false,
            };
            if differ {
                steps.extend([ListStep::Delete { old: old_index }, ListStep::Insert { new: new_index }]);
            } else {
                steps.push(ListStep::Edit { old: old_index, new: new_index });
            }
        }
        if !by_order {
            steps.extend(gap.0.map(|old| ListStep::Delete { old }));
            steps.extend(gap.1.map(|new| ListStep::Insert { new }));
        }
        if pair.0 < old_part.len() {
            steps.push(ListStep::Edit { old: old_run.start + pair.0, new: new_run.start + pair.1 });
        }
        place = (pair.0 + 1, pair.1 + 1);
    }
}

/// Whether two elements are one element by their identity field; `None` when either has none.
pub(super) fn identity_matches(old: &Value, new: &Value) -> Option<bool> {
    let (old, new) = (old.entry(IDENTITY)?, new.entry(IDENTITY)?);
    let usable = |value: &Value| !matches!(value, Value::Null | Value::Map(_) | Value::List(_));
    (usable(old) && usable(new)).then(|| is_same(Some(old), Some(new)))
}

/// The likeness of two elements that may be paired; 0 when they are not.
fn pairing(old: &Value, new: &Value) -> u32 {
    match identity_matches(old, new) {
        Some(true) => EQUAL,
        Some(false) => 0,
        None => Some(likeness(old, new)).filter(|likeness| *likeness >= ALIKE).unwrap_or(0),
    }
}

/// How much two values have in common, from 0 to [`EQUAL`].
fn likeness(old: &Value, new: &Value) -> u32 {
    if is_same(Some(old), Some(new)) {
        return EQUAL;
    }
    match (old, new) {
        (Value::Map(old), Value::Map(new)) => {
            let null = |value: Option<&Value>| value.is_none_or(Value::is_null);
            let shared = keys(old, new).filter(|key| !(null(old.get(*key)) && null(new.get(*key))));
            let (sum, count) = shared.fold((0, 0), |(sum, count), key| {
                let likeness = match (old.get(key), new.get(key)) {
                    (Some(old), Some(new)) => likeness(old, new),
                    _ => 0,
                };
                (sum + u64::from(likeness), count + 1)
            });
            u32::try_from(sum / u64::max(count, 1)).unwrap_or(0)
        }
        (Value::List(old), Value::List(new)) => {
            let (old_middle, new_middle) = differing(old, new, |old, new| is_same(Some(old), Some(new)));
            share(old.len().max(new.len()), old_middle.len().max(new_middle.len()))
        }
        _ => match (old.as_str(), new.as_str()) {
            (Some(old), Some(new)) => {
                let (old, new): (Vec<char>, Vec<char>) = (old.chars().collect(), new.chars().collect());
                let (old_middle, new_middle) = differing(&old, &new, |old, new| old == new);
                share(old.len().max(new.len()), old_middle.len().max(new_middle.len()))
            }
            _ => 0,
        },
    }
}

/// The part of `length` that does not differ, in thousandths.
fn share(length: usize, differing: usize) -> u32 {
    let same = length.saturating_sub(differing) as u64;
    u32::try_from(same * u64::from(EQUAL) / u64::max(length as u64, 1)).unwrap_or(0)
}
