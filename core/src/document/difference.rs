//! What differs between two values: of texts the characters, of lists the elements.

use super::value::Value;
use similar::algorithms::{Capture, Replace, diff_slices};
use similar::{Algorithm, DiffOp, DiffTag};
use std::collections::BTreeMap;
use std::ops::Range;

/// The most lines or elements, old and new together, that are compared one by one. Myers' algorithm takes their number
/// times the number of differences, at worst half a second here.
const ITEMS_MAX: usize = 16_384;
/// The most characters, old and new together, that are compared one by one; longer runs are compared by line first.
const CHARACTERS_MAX: usize = 4_096;
/// The most pairs of elements within one run of changes whose likeness is computed.
const PAIRS_MAX: usize = 65_536;
/// From which likeness on, in thousandths, an old element counts as the one that a new element was made from.
const ALIKE: u32 = 300;
/// The likeness of two equal values.
const EQUAL: u32 = 1_000;
/// The field by which applications commonly tell elements apart.
const IDENTITY: &str = "id";

/// Characters of a text to be deleted, and others to be inserted in their place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hunk {
    /// The place in the old text, in code points.
    pub(super) position: usize,
    /// How many code points go.
    pub(super) delete: usize,
    /// What comes.
    pub(super) insert: String,
}

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
/// Absent and null are the same. Kinds that plain JSON and plain types cannot name (texts, counters, timestamps) are
/// kept when `after` gives their content as a string or an integer.
pub(super) fn is_same(before: Option<&Value>, after: Option<&Value>) -> bool {
    match (before.unwrap_or(&Value::Null), after.unwrap_or(&Value::Null)) {
        (Value::Text(old), Value::Str(new)) => old == new,
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

/// The hunks that turn one text into another, from first to last.
pub(super) fn text_hunks(old: &str, new: &str) -> Vec<Hunk> {
    let old: Vec<char> = old.chars().collect();
    let new: Vec<char> = new.chars().collect();
    let mut hunks = Vec::new();
    let (old_middle, new_middle) = differing(&old, &new, |old, new| old == new);
    if old_middle.len() + new_middle.len() <= CHARACTERS_MAX {
        hunks_by_character(&old, old_middle, &new, new_middle, &mut hunks);
    } else {
        hunks_by_line(&old, old_middle, &new, new_middle, &mut hunks);
    }
    hunks
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

/// Whether two elements are one element by their identity field; `None` when either has none.
pub(super) fn identity_matches(old: &Value, new: &Value) -> Option<bool> {
    let (old, new) = (old.entry(IDENTITY)?, new.entry(IDENTITY)?);
    let usable = |value: &Value| !matches!(value, Value::Null | Value::Map(_) | Value::List(_));
    (usable(old) && usable(new)).then(|| is_same(Some(old), Some(new)))
}

/// What is left of two sequences without their common beginning and end.
fn differing<T>(old: &[T], new: &[T], same: impl Fn(&T, &T) -> bool) -> (Range<usize>, Range<usize>) {
    let start = old.iter().zip(new).take_while(|(old, new)| same(old, new)).count();
    let room = old.len().min(new.len()) - start;
    let end = old.iter().rev().zip(new.iter().rev()).take(room).take_while(|(old, new)| same(old, new)).count();
    (start..old.len() - end, start..new.len() - end)
}

fn hunks_by_character(
    old: &[char],
    old_range: Range<usize>,
    new: &[char],
    new_range: Range<usize>,
    hunks: &mut Vec<Hunk>,
) {
    let (offset, new_offset) = (old_range.start, new_range.start);
    let (Some(old_part), Some(new_part)) = (old.get(old_range), new.get(new_range)) else { return };
    for (tag, old_run, new_run) in runs(old_part, new_part) {
        if tag != DiffTag::Equal {
            let new_run = new_run.start + new_offset..new_run.end + new_offset;
            push_hunk(hunks, offset + old_run.start, old_run.len(), new.get(new_run).unwrap_or_default());
        }
    }
}

/// Finds the lines that differ first, and within them the characters, unless they are too many.
fn hunks_by_line(old: &[char], old_range: Range<usize>, new: &[char], new_range: Range<usize>, hunks: &mut Vec<Hunk>) {
    let (old_lines, new_lines) = (lines(old, old_range), lines(new, new_range));
    let text = |characters: &[char], lines: &[Range<usize>]| -> Vec<String> {
        lines.iter().map(|line| characters.get(line.clone()).unwrap_or_default().iter().collect()).collect()
    };
    let span = |lines: &[Range<usize>], run: Range<usize>| -> Range<usize> {
        let at = |index: usize| lines.get(index).map(|line| line.start);
        let end = lines.last().map_or(0, |line| line.end);
        at(run.start).unwrap_or(end)..at(run.end).unwrap_or(end)
    };
    for (tag, old_run, new_run) in runs(&text(old, &old_lines), &text(new, &new_lines)) {
        let (old_run, new_run) = (span(&old_lines, old_run), span(&new_lines, new_run));
        if tag == DiffTag::Equal {
            continue;
        }
        if old_run.len() + new_run.len() <= CHARACTERS_MAX {
            hunks_by_character(old, old_run, new, new_run, hunks);
        } else {
            push_hunk(hunks, old_run.start, old_run.len(), new.get(new_run).unwrap_or_default());
        }
    }
}

fn push_hunk(hunks: &mut Vec<Hunk>, position: usize, delete: usize, insert: &[char]) {
    if delete > 0 || !insert.is_empty() {
        hunks.push(Hunk { position, delete, insert: insert.iter().collect() });
    }
}

/// The lines of a range, each with its line feed; an empty range has one empty line, so that its place is known.
fn lines(text: &[char], range: Range<usize>) -> Vec<Range<usize>> {
    let mut lines = Vec::new();
    let mut start = range.start;
    for index in range.clone() {
        if text.get(index) == Some(&'\n') {
            lines.push(start..index + 1);
            start = index + 1;
        }
    }
    if start < range.end || lines.is_empty() {
        lines.push(start..range.end);
    }
    lines
}

/// The runs of equal and differing items; all of them are one differing run when they are too many to compare.
fn runs<T: Ord + Eq + std::hash::Hash>(old: &[T], new: &[T]) -> Vec<(DiffTag, Range<usize>, Range<usize>)> {
    if old.len() + new.len() > ITEMS_MAX {
        return vec![(DiffTag::Replace, 0..old.len(), 0..new.len())];
    }
    // The compaction of `similar::capture_diff_slices` gives wrong places of insertions (similar 2.7).
    let mut steps = Replace::new(Capture::new());
    let Ok(()) = diff_slices(Algorithm::Myers, &mut steps, old, new);
    steps.into_inner().into_ops().iter().map(DiffOp::as_tag_tuple).collect()
}

/// Numbers the elements so that a new element has the number of an old one exactly when it is the same.
fn classes(old: &[Value], new: &[Value]) -> (Vec<usize>, Vec<usize>) {
    let mut known: BTreeMap<String, Vec<(&Value, usize)>> = BTreeMap::new();
    let mut count = 0;
    let mut number = |value| {
        let alike = known.entry(bucket(value)).or_default();
        if let Some((_, number)) = alike.iter().find(|(other, _)| is_same(Some(other), Some(value))) {
            return *number;
        }
        count += 1;
        alike.push((value, count));
        count
    };
    (old.iter().map(&mut number).collect(), new.iter().map(&mut number).collect())
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

/// Turns a run of differing old elements into a run of new ones.
fn align(old: &[Value], old_run: Range<usize>, new: &[Value], new_run: Range<usize>, steps: &mut Vec<ListStep>) {
    let (Some(old_part), Some(new_part)) = (old.get(old_run.clone()), new.get(new_run.clone())) else { return };
    let mut place = (0, 0);
    let pairs = alike(old_part, new_part).into_iter().chain([(old_part.len(), new_part.len())]);
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

/// The pairs of old and new elements that are alike, in the order of both, with the greatest likeness in total.
fn alike(old: &[Value], new: &[Value]) -> Vec<(usize, usize)> {
    if old.len().saturating_mul(new.len()) > PAIRS_MAX {
        return Vec::new();
    }
    let width = new.len() + 1;
    let mut best = vec![0_u32; (old.len() + 1) * width];
    let cell = |best: &[u32], row: usize, column: usize| best.get(row * width + column).copied().unwrap_or(0);
    let likenesses: Vec<Vec<u32>> = old.iter().map(|old| new.iter().map(|new| pairing(old, new)).collect()).collect();
    let of = |row: usize, column: usize| likenesses.get(row).and_then(|row| row.get(column)).copied().unwrap_or(0);
    for row in (0..old.len()).rev() {
        for column in (0..new.len()).rev() {
            let paired = match of(row, column) {
                0 => 0,
                likeness => likeness + cell(&best, row + 1, column + 1),
            };
            let total = paired.max(cell(&best, row + 1, column)).max(cell(&best, row, column + 1));
            if let Some(known) = best.get_mut(row * width + column) {
                *known = total;
            }
        }
    }
    let (mut row, mut column, mut pairs) = (0, 0, Vec::new());
    while row < old.len() && column < new.len() {
        let here = cell(&best, row, column);
        if of(row, column) > 0 && here == of(row, column) + cell(&best, row + 1, column + 1) {
            pairs.push((row, column));
            row += 1;
            column += 1;
        } else if here == cell(&best, row + 1, column) {
            row += 1;
        } else {
            column += 1;
        }
    }
    pairs
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

#[cfg(test)]
mod tests;
