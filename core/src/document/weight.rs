//! How much it takes to write a value, known before anything of it is written.

use super::edit::Edit;
use super::error::OperationError;
use super::marks;
use super::path::{Path, Step};
use super::value::Value;
use super::{DEPTH_MAX, PART_CHARACTERS_MAX};
use crate::limits::Limits;
use automerge::{ObjId, Prop, ReadDoc};

impl Edit<'_> {
    /// Refuses a value that no change has room for, and one that would nest too deep.
    ///
    /// It counts what a change holds of the value at the least, so whatever it refuses could not be written; what passes may
    /// still be too much together with the rest of the edit.
    pub(super) fn check_value(&self, path: &Path, value: &Value) -> Result<(), OperationError> {
        let mut sum = Sum::at(path, self.limits());
        sum.add(value)?;
        self.refuse_heavy(path, &sum)
    }

    /// Refuses characters that no change has room for.
    pub(super) fn check_characters(&self, path: &Path, text: &str) -> Result<(), OperationError> {
        let mut sum = Sum::at(path, self.limits());
        sum.add_characters(text);
        self.refuse_heavy(path, &sum)
    }

    fn refuse_heavy(&self, path: &Path, sum: &Sum<'_>) -> Result<(), OperationError> {
        let Sum { bytes, operations, limits, .. } = *sum;
        if bytes > limits.change_bytes_max {
            return Err(OperationError::TooLarge { path: path.clone(), bytes, bytes_max: limits.change_bytes_max });
        }
        let operations_max = limits.change_operations_max;
        if operations > operations_max {
            return Err(OperationError::TooManyOperations { path: path.clone(), operations, operations_max });
        }
        Ok(())
    }

    /// The path of an object, or of something in it: for errors.
    pub(super) fn path_of(&self, object: &ObjId, prop: Option<&Prop>) -> Path {
        let parents = self.reader().parents(object).into_iter().flatten();
        let mut steps: Vec<Step> = prop.map(step).into_iter().chain(parents.map(|parent| step(&parent.prop))).collect();
        steps.reverse();
        steps.into_iter().collect()
    }
}

fn step(prop: &Prop) -> Step {
    match prop {
        Prop::Map(key) => Step::Key(key.clone()),
        Prop::Seq(index) => Step::Index(*index),
    }
}

/// What has been counted of a value.
struct Sum<'l> {
    path: Path,
    bytes: usize,
    operations: u64,
    limits: &'l Limits,
}

impl<'l> Sum<'l> {
    fn at(path: &Path, limits: &'l Limits) -> Self {
        Self { path: path.clone(), bytes: 0, operations: 0, limits }
    }

    fn add(&mut self, value: &Value) -> Result<(), OperationError> {
        self.operations += 1;
        match value {
            Value::Str(text) => self.add_single(text.len()),
            Value::Bytes(bytes) => self.add_single(bytes.len()),
            Value::Text(text) => {
                self.add_characters(text);
                Ok(())
            }
            Value::LongText(text) => {
                self.operations += 1 + (text.len() / 4 / PART_CHARACTERS_MAX) as u64;
                self.add_characters(text);
                Ok(())
            }
            Value::RichText(text) => {
                self.add_characters(text.as_str());
                self.operations += marks::operations(text);
                text.blocks().try_for_each(|(position, block)| {
                    self.within(Step::Index(position), |sum| {
                        block.entries().iter().try_for_each(|(key, value)| sum.entry(key, value))
                    })
                })
            }
            Value::List(elements) => {
                self.refuse_too_deep()?;
                let mut elements = elements.iter().enumerate();
                elements.try_for_each(|(index, element)| self.within(Step::Index(index), |sum| sum.add(element)))
            }
            Value::Map(entries) => {
                self.refuse_too_deep()?;
                let mut written = entries.iter().filter(|(_, value)| !value.is_null());
                written.try_for_each(|(key, value)| self.entry(key, value))
            }
            _ => Ok(()),
        }
    }

    fn entry(&mut self, key: &str, value: &Value) -> Result<(), OperationError> {
        self.within(Step::Key(key.to_owned()), |sum| sum.add(value))
    }

    fn within(
        &mut self,
        step: Step,
        add: impl FnOnce(&mut Self) -> Result<(), OperationError>,
    ) -> Result<(), OperationError> {
        self.path.push(step);
        add(self)?;
        self.path.pop();
        Ok(())
    }

    /// Refuses a container that would stand deeper than can be read.
    fn refuse_too_deep(&self) -> Result<(), OperationError> {
        if self.path.steps().len() > DEPTH_MAX { Err(OperationError::TooDeep) } else { Ok(()) }
    }

    fn add_characters(&mut self, text: &str) {
        self.bytes = self.bytes.saturating_add(text.len());
        self.operations = self.operations.saturating_add(text.chars().count() as u64);
    }

    fn add_single(&mut self, bytes: usize) -> Result<(), OperationError> {
        let bytes_max = self.limits.change_bytes_max;
        if bytes > bytes_max {
            return Err(OperationError::ValueTooLarge { path: self.path.clone(), bytes, bytes_max });
        }
        self.bytes = self.bytes.saturating_add(bytes);
        Ok(())
    }
}
