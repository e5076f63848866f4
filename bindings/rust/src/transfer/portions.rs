//! Writing an entity that needs more than one change: texts and lists in portions, all else field by field.

use super::Author;
use crate::collection::assign;
use crate::error::EditError;
use afield_core::document::sequence::differing;
use afield_core::document::{Edit, FIRST_INCREMENTS_MAX, Path, RichText, Value};
use afield_core::limits::CHANGE_BYTES_MAX;
use std::collections::BTreeMap;

/// The most that goes into one change, as [`weight`] estimates it: half of the bytes that a change may have, which are
/// reached long before its operations are too many.
const PORTION_WEIGHT_MAX: usize = CHANGE_BYTES_MAX / 2;
/// The most that is assigned as a whole. What is heavier is taken apart, so that portions fill up.
const ASSIGNED_WEIGHT_MAX: usize = PORTION_WEIGHT_MAX / 8;
/// The most characters of a text that are deleted or inserted at once: no heavier than a portion, and few steps, since
/// each passes over the text before its place.
const CHARACTERS_MAX: usize = 16_384;
/// What an operation weighs beside its content, in bytes: its columns in a change take less.
const OPERATION_WEIGHT: usize = 8;

static NULL: Value = Value::Null;
static EMPTY_MAP: Value = Value::Map(BTreeMap::new());
static EMPTY_LIST: Value = Value::List(Vec::new());
static EMPTY_TEXT: Value = Value::Text(String::new());
static EMPTY_LONG_TEXT: Value = Value::LongText(String::new());

/// Turns the fields of an entity from `before`, which the document holds, into `after`, in as many changes as it takes.
pub(super) fn write(author: &mut Author<'_, '_>, before: &Value, after: &Value) -> Result<(), EditError> {
    let mut portions = Portions { author, steps: Vec::new(), weight: 0 };
    portions.value(&Path::ROOT, Some(before), after)?;
    portions.finish()
}

/// One thing to write. Each sees what those before it wrote.
enum Step<'v> {
    Assign {
        path: Path,
        before: Option<&'v Value>,
        after: &'v Value,
    },
    Put {
        path: Path,
        value: &'static Value,
    },
    Insert {
        list: Path,
        index: usize,
        elements: &'v [Value],
    },
    Splice {
        text: Path,
        is_long: bool,
        position: usize,
        delete: usize,
        insert: String,
    },
    /// Makes a rich text that stands there one that begins or ends in the same way.
    Change {
        text: Path,
        after: RichText,
    },
    Delete {
        path: Path,
    },
}

impl Step<'_> {
    fn apply(self, edit: &mut Edit<'_>) -> Result<(), EditError> {
        match self {
            Self::Assign { path, before, after } => assign(edit, &path, before.unwrap_or(&Value::Null), after),
            Self::Put { path, value } => Ok(edit.put(path, value.clone())?),
            Self::Insert { list, index, elements } => {
                let before = edit.read(&list)?.unwrap_or(Value::Null);
                let mut after = before.as_list().unwrap_or_default().to_vec();
                after.splice(index..index, elements.iter().cloned());
                assign(edit, &list, &before, &Value::List(after))
            }
            Self::Splice { text, is_long: true, position, delete, insert } => {
                Ok(edit.splice_long_text(text, position, delete, &insert)?)
            }
            Self::Splice { text, position, delete, insert, .. } => {
                Ok(edit.splice_text(text, position, delete, &insert)?)
            }
            Self::Change { text, after } => {
                let before = edit.read(&text)?.unwrap_or(Value::Null);
                assign(edit, &text, &before, &Value::from(after))
            }
            Self::Delete { path } => Ok(edit.delete(path)?),
        }
    }
}

/// Collects what to write, and writes it whenever there is enough of it for a change.
struct Portions<'a, 't, 's, 'v> {
    author: &'a mut Author<'t, 's>,
    steps: Vec<Step<'v>>,
    weight: usize,
}

impl<'v> Portions<'_, '_, '_, 'v> {
    fn value(&mut self, path: &Path, before: Option<&'v Value>, after: &'v Value) -> Result<(), EditError> {
        if before == Some(after) {
            return Ok(());
        }
        if after.is_null() {
            return self.push(Step::Put { path: path.clone(), value: &NULL }, OPERATION_WEIGHT);
        }
        let both = before.map_or(0, weight) + weight(after);
        if both <= ASSIGNED_WEIGHT_MAX {
            return self.push(Step::Assign { path: path.clone(), before, after }, both);
        }
        match (before, after) {
            (Some(Value::Map(old)), Value::Map(new)) => self.map(path, old, new),
            (Some(Value::List(old)), Value::List(new)) => self.list(path, old, new),
            (Some(Value::Text(old)), Value::Text(new) | Value::LongText(new) | Value::Str(new)) => {
                self.text(path, false, old, new)
            }
            (Some(Value::LongText(old)), Value::LongText(new) | Value::Text(new) | Value::Str(new)) => {
                self.text(path, true, old, new)
            }
            (Some(old @ (Value::Text(_) | Value::RichText(_))), Value::Text(_) | Value::RichText(_)) => {
                match (old.to_rich_text(), after.to_rich_text()) {
                    (Some(old), Some(new)) => self.rich_text(path, &old, &new),
                    _ => Ok(()),
                }
            }
            (_, Value::Map(_) | Value::List(_) | Value::Text(_) | Value::RichText(_) | Value::LongText(_)) => {
                let empty = empty_like(after);
                self.push(Step::Put { path: path.clone(), value: empty }, OPERATION_WEIGHT)?;
                self.value(path, Some(empty), after)
            }
            _ => self.push(Step::Assign { path: path.clone(), before, after }, weight(after)),
        }
    }

    fn map(
        &mut self,
        path: &Path,
        old: &'v BTreeMap<String, Value>,
        new: &'v BTreeMap<String, Value>,
    ) -> Result<(), EditError> {
        for key in old.keys().filter(|key| !new.contains_key(*key)) {
            self.push(Step::Delete { path: path.clone().key(key) }, OPERATION_WEIGHT)?;
        }
        new.iter().try_for_each(|(key, after)| self.value(&path.clone().key(key), old.get(key), after))
    }

    /// Pairs the elements that differ in their order; what one of the lists has more of them goes or comes behind them.
    fn list(&mut self, path: &Path, old: &'v [Value], new: &'v [Value]) -> Result<(), EditError> {
        let (old_middle, new_middle) = differing(old, new, |old, new| old == new);
        let start = old_middle.start;
        let old = old.get(old_middle).unwrap_or_default();
        let new = new.get(new_middle).unwrap_or_default();
        for (index, (before, after)) in (start..).zip(old.iter().zip(new)) {
            self.value(&path.clone().index(index), Some(before), after)?;
        }
        let paired = old.len().min(new.len());
        for _ in paired..old.len() {
            self.push(Step::Delete { path: path.clone().index(start + paired) }, OPERATION_WEIGHT)?;
        }
        self.insert(path, start + paired, new.get(paired..).unwrap_or_default())
    }

    fn insert(&mut self, path: &Path, mut index: usize, mut elements: &'v [Value]) -> Result<(), EditError> {
        while let Some(first) = elements.first() {
            let (mut count, mut whole) = (1, weight(first));
            let is_taken_apart = whole > ASSIGNED_WEIGHT_MAX && is_container(first);
            if is_taken_apart {
                let empty = std::slice::from_ref(empty_like(first));
                self.push(Step::Insert { list: path.clone(), index, elements: empty }, OPERATION_WEIGHT)?;
                self.value(&path.clone().index(index), empty.first(), first)?;
            } else {
                for next in elements.iter().skip(1).map(weight) {
                    if next > ASSIGNED_WEIGHT_MAX || whole + next > PORTION_WEIGHT_MAX {
                        break;
                    }
                    (count, whole) = (count + 1, whole + next);
                }
                let together = elements.get(..count).unwrap_or_default();
                self.push(Step::Insert { list: path.clone(), index, elements: together }, whole)?;
            }
            index += count;
            elements = elements.get(count..).unwrap_or_default();
        }
        Ok(())
    }

    fn text(&mut self, path: &Path, is_long: bool, old: &str, new: &str) -> Result<(), EditError> {
        let (old, new): (Vec<char>, Vec<char>) = (old.chars().collect(), new.chars().collect());
        let (old_middle, new_middle) = differing(&old, &new, |old, new| old == new);
        let start = old_middle.start;
        for piece in old.get(old_middle).unwrap_or_default().chunks(CHARACTERS_MAX) {
            let insert = String::new();
            let step = Step::Splice { text: path.clone(), is_long, position: start, delete: piece.len(), insert };
            self.push(step, piece.len() * OPERATION_WEIGHT)?;
        }
        let mut position = start;
        for piece in new.get(new_middle).unwrap_or_default().chunks(CHARACTERS_MAX) {
            let insert: String = piece.iter().collect();
            let weight = insert.len() + piece.len() * OPERATION_WEIGHT;
            self.push(Step::Splice { text: path.clone(), is_long, position, delete: 0, insert }, weight)?;
            position += piece.len();
        }
        Ok(())
    }

    /// Takes away what differs from the end on, and then adds to the end, each in steps that a change has room for.
    fn rich_text(&mut self, path: &Path, old: &RichText, new: &RichText) -> Result<(), EditError> {
        let is_same = |(old, new): &(char, char)| old == new;
        let common = old.as_str().chars().zip(new.as_str().chars()).take_while(is_same).count();
        let shrinking = (common..old.len()).step_by(CHARACTERS_MAX).rev().map(|length| (old, length));
        let growing = (common..new.len()).step_by(CHARACTERS_MAX).map(|length| (new, length));
        let whole = std::iter::once((new, new.len()));
        let mut before = old.len();
        for (text, length) in shrinking.chain(growing).chain(whole) {
            let after = text.prefix(length);
            let weight = before.abs_diff(length) * (OPERATION_WEIGHT + 1) + marks_weight(&after);
            before = length;
            self.push(Step::Change { text: path.clone(), after }, weight)?;
        }
        Ok(())
    }

    fn push(&mut self, step: Step<'v>, weight: usize) -> Result<(), EditError> {
        if self.weight + weight > PORTION_WEIGHT_MAX {
            self.finish()?;
        }
        self.weight += weight;
        self.steps.push(step);
        Ok(())
    }

    /// Writes what was collected as one change.
    fn finish(&mut self) -> Result<(), EditError> {
        let steps = std::mem::take(&mut self.steps);
        self.weight = 0;
        let apply = |edit: &mut Edit<'_>| steps.into_iter().try_for_each(|step| step.apply(edit));
        self.author.change(apply)
    }
}

/// About how many bytes of a change it takes to write a value; each operation counts for [`OPERATION_WEIGHT`] or more.
fn weight(value: &Value) -> usize {
    let content = match value {
        Value::Null | Value::Bool(_) => 0,
        Value::Int(_) | Value::Uint(_) | Value::F64(_) | Value::Timestamp(_) => OPERATION_WEIGHT,
        Value::Counter(_) => FIRST_INCREMENTS_MAX as usize * OPERATION_WEIGHT,
        Value::Str(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::Text(text) | Value::LongText(text) => text.len() + text.chars().count() * OPERATION_WEIGHT,
        Value::RichText(text) => {
            text.as_str().len() + text.as_str().chars().count() * OPERATION_WEIGHT + marks_weight(text)
        }
        Value::List(elements) => elements.iter().map(weight).sum(),
        Value::Map(entries) => entries.iter().map(|(key, value)| key.len() + weight(value)).sum(),
    };
    OPERATION_WEIGHT + content
}

/// What the marks and blocks of a text weigh.
fn marks_weight(text: &RichText) -> usize {
    let marks = text.marks().map(|(name, _, value)| name.len() + 2 * OPERATION_WEIGHT + weight(value));
    let entries = text.blocks().flat_map(|(_, block)| block.entries());
    marks.sum::<usize>() + entries.map(|(key, value)| key.len() + weight(value)).sum::<usize>()
}

fn is_container(value: &Value) -> bool {
    matches!(value, Value::Map(_) | Value::List(_) | Value::Text(_) | Value::RichText(_) | Value::LongText(_))
}

/// What a map, list or text is before anything stands in it.
fn empty_like(value: &Value) -> &'static Value {
    match value {
        Value::List(_) => &EMPTY_LIST,
        Value::Text(_) | Value::RichText(_) => &EMPTY_TEXT,
        Value::LongText(_) => &EMPTY_LONG_TEXT,
        _ => &EMPTY_MAP,
    }
}
