//! Writing through a step: what the older version's map holds once the newer one's has become something else.

use super::step::{Conversion, Lens, Step};
use super::{Fields, LensError};
use crate::document::{Value, paired_elements};
use std::collections::BTreeMap;

impl Lens {
    /// Gives the older version's map, where `newer` is what [`Lens::forward`] showed of `older` and has become `after`.
    pub(super) fn backward(&self, older: &Fields, newer: &Fields, mut after: Fields) -> Result<Fields, LensError> {
        match &self.0 {
            Step::Rename { from, to } => {
                let value = after.remove(to);
                refuse_hidden(&after, from)?;
                keep(&mut after, to, older.get(to));
                put(&mut after, from, value);
            }
            Step::Add { field, default } => {
                // A default that was read is not written.
                if !older.contains_key(field) && after.get(field) == Some(default) {
                    after.remove(field);
                }
            }
            Step::Remove { field, .. } => {
                refuse_hidden(&after, field)?;
                keep(&mut after, field, older.get(field));
            }
            Step::Wrap { from, to } => {
                let list = after.remove(to);
                refuse_hidden(&after, from)?;
                let (first, rest) = if list.as_ref() == newer.get(to) {
                    (older.get(from).cloned(), older.get(to).cloned())
                } else {
                    unwrapped(older, from, to, list)
                };
                put(&mut after, from, first);
                put(&mut after, to, rest);
            }
            Step::Convert(conversion) => conversion.backward(older, newer, &mut after)?,
            Step::Inside { field, steps } => {
                if let Some(Value::Map(inner)) = after.get_mut(field) {
                    let changed = std::mem::take(inner);
                    *inner = backward_all(steps, map_of(older.get(field)), changed)?;
                }
            }
            Step::Each { field, steps } => {
                if let Some(value) = after.get_mut(field) {
                    each_backward(steps, older.get(field), newer.get(field), value)?;
                }
            }
        }
        Ok(after)
    }

    /// Gives the older version's map of a new entity or part.
    pub(super) fn fresh(&self, value: Fields) -> Result<Fields, LensError> {
        let nothing = Fields::new();
        let mut made = self.backward(&nothing, &nothing, value)?;
        if let Step::Remove { field, default: Some(default) } = &self.0 {
            made.entry(field.clone()).or_insert_with(|| default.clone());
        }
        Ok(made)
    }
}

/// The older version's map after several steps; of a map that is new, as every version wants it.
fn backward_all(steps: &[Lens], older: Option<&Fields>, after: Fields) -> Result<Fields, LensError> {
    let Some(older) = older else { return steps.iter().rev().try_fold(after, |after, step| step.fresh(after)) };
    let mut shapes = vec![older.clone()];
    for step in steps {
        let last = shapes.last().cloned().unwrap_or_default();
        shapes.push(step.forward(last));
    }
    let ways = steps.iter().zip(shapes.iter().zip(shapes.iter().skip(1)));
    ways.rev().try_fold(after, |after, (step, (older, newer))| step.backward(older, newer, after))
}

/// Writes the maps of a list or of a map with free keys through steps, each from the one it was read from.
fn each_backward(
    steps: &[Lens],
    older: Option<&Value>,
    newer: Option<&Value>,
    after: &mut Value,
) -> Result<(), LensError> {
    match after {
        Value::Map(entries) => {
            let older = map_of(older);
            for (key, value) in entries {
                let Value::Map(fields) = value else { continue };
                let was = older.and_then(|older| map_of(older.get(key)));
                *fields = backward_all(steps, was, std::mem::take(fields))?;
            }
        }
        Value::List(elements) => {
            let older = older.and_then(Value::as_list).unwrap_or_default();
            let sources = sources(newer.and_then(Value::as_list).unwrap_or_default(), elements);
            for (index, value) in elements.iter_mut().enumerate() {
                let Value::Map(fields) = value else { continue };
                let was = sources.get(&index).and_then(|index| map_of(older.get(*index)));
                *fields = backward_all(steps, was, std::mem::take(fields))?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// Which element each was made from: those that [`paired_elements`] pairs, and of the rest those that only moved.
fn sources(before: &[Value], after: &[Value]) -> BTreeMap<usize, usize> {
    let mut sources: BTreeMap<usize, usize> =
        paired_elements(before, after).into_iter().map(|(old, new)| (new, old)).collect();
    let mut left: Vec<usize> = {
        let used: std::collections::BTreeSet<_> = sources.values().copied().collect();
        (0..before.len()).filter(|old| !used.contains(old)).collect()
    };
    for (new, value) in after.iter().enumerate() {
        if sources.contains_key(&new) {
            continue;
        }
        let is_it = |old: &usize| before.get(*old).is_some_and(|old| old == value || have_one_id(old, value));
        if let Some(position) = left.iter().position(is_it) {
            sources.insert(new, left.remove(position));
        }
    }
    sources
}

fn have_one_id(old: &Value, new: &Value) -> bool {
    let id = |value: &Value| value.entry("id").filter(|id| !id.is_null()).cloned();
    id(old).is_some_and(|old| id(new) == Some(old))
}

/// The first value of a list, and the others beside it.
fn unwrapped(older: &Fields, from: &str, to: &str, list: Option<Value>) -> (Option<Value>, Option<Value>) {
    let mut values = match list {
        None => return (None, None),
        Some(Value::List(values)) => values,
        Some(Value::Null) => Vec::new(),
        Some(single) => vec![single],
    };
    // A null before others would be taken for no value at all: then all of them stand beside.
    let has_first = values.first().is_some_and(|first| !first.is_null());
    let rest = values.split_off(usize::from(has_first));
    // Null where something stood: a value is not deleted under the feet of an older version that replaces it.
    let first = values.pop().or_else(|| older.contains_key(from).then_some(Value::Null));
    let is_kept = !rest.is_empty() || older.contains_key(to);
    // A list must be there for the newer version to read one where it wrote an empty one.
    let is_kept = is_kept || first.is_none();
    (first, is_kept.then_some(Value::List(rest)))
}

impl Conversion {
    fn backward(&self, older: &Fields, newer: &Fields, after: &mut Fields) -> Result<(), LensError> {
        let value = after.remove(&self.to);
        refuse_hidden(after, &self.from)?;
        if value.as_ref() == newer.get(&self.to) {
            keep(after, &self.from, older.get(&self.from));
            keep(after, &self.to, older.get(&self.to));
            return Ok(());
        }
        let (from, kept) = match value {
            None => (None, None),
            Some(value) => match self.older_of(&value) {
                Some(older) => (Some(older.clone()), None),
                None => (Some(self.older_default.clone()), Some(value)),
            },
        };
        put(after, &self.from, from);
        put(after, &self.to, kept);
        Ok(())
    }
}

fn refuse_hidden(after: &Fields, field: &str) -> Result<(), LensError> {
    if after.contains_key(field) { Err(LensError::Hidden { field: field.to_owned() }) } else { Ok(()) }
}

fn keep(after: &mut Fields, field: &str, value: Option<&Value>) {
    put(after, field, value.cloned());
}

fn put(after: &mut Fields, field: &str, value: Option<Value>) {
    match value {
        Some(value) => drop(after.insert(field.to_owned(), value)),
        None => drop(after.remove(field)),
    }
}

fn map_of(value: Option<&Value>) -> Option<&Fields> {
    value.and_then(Value::as_map)
}
