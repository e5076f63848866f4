//! Fields, as queries name them and as SQL reads them.

use super::error::QueryError;
use super::value::Position;
use super::{compile, known};
use std::fmt;

/// When an entity was last changed, in milliseconds since the Unix epoch: the one field of queries that is none of the
/// application's.
pub(crate) const UPDATED_FIELD: &str = "_updated_ms";

/// A field of an entity, or what is nested in one: `due`, `address.city`, `"due date"`.
#[derive(Debug, Clone)]
pub struct FieldPath {
    pub(super) keys: Vec<String>,
    pub(super) at: Position,
}

impl FieldPath {
    /// Reads a field from text.
    ///
    /// # Errors
    ///
    /// [`QueryError::Syntax`] or [`QueryError::NotAField`].
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        compile::field(text)
    }

    /// A field of an entity by its name, whatever characters that has.
    pub fn named(name: &str) -> Self {
        Self { keys: vec![name.to_owned()], at: Position { line: 1, column: 1 } }
    }

    /// Refuses a field that is none of these, and does not stand in one of them.
    ///
    /// # Errors
    ///
    /// [`QueryError::UnknownField`].
    pub fn check_known(&self, known: &[String]) -> Result<(), QueryError> {
        let known = || known.iter().map(String::as_str);
        if !self.is_of_the_application() || known().any(|name| name == self.first()) {
            return Ok(());
        }
        Err(known::unknown(self, known::nearest(self.first(), known()), known()))
    }

    /// The field of the entity that it is, or in which it stands.
    pub(super) fn first(&self) -> &str {
        self.keys.first().map_or("", String::as_str)
    }

    pub(super) fn is_of_the_application(&self) -> bool {
        !(self.keys.len() == 1 && self.first() == UPDATED_FIELD)
    }

    /// The expression that reads it from a row of projections. An index is made over the same text as is queried.
    pub(super) fn sql(&self, row: &str) -> String {
        if self.is_of_the_application() {
            format!("json_extract({row}json, {})", quoted(&self.json_path()))
        } else {
            format!("{row}updated_ms")
        }
    }

    /// The path in SQLite's form, each key as a JSON string.
    pub(super) fn json_path(&self) -> String {
        let keys = self.keys.iter().map(|key| format!(".{}", serde_json::Value::from(key.as_str())));
        std::iter::once("$".to_owned()).chain(keys).collect()
    }
}

/// The text from which the same field is read; equal fields have equal texts.
impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, key) in self.keys.iter().enumerate() {
            let dot = if number == 0 { "" } else { "." };
            if compile::is_plain_name(key) {
                write!(f, "{dot}{key}")?;
            } else {
                write!(f, "{dot}\"{}\"", key.replace('"', "\"\""))?;
            }
        }
        Ok(())
    }
}

/// A string as SQL.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
