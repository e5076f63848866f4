//! Fields, as queries name them and as SQL reads them.

use super::error::QueryError;
use super::value::Position;
use super::{compile, known, through};
use std::fmt;

/// When an entity was last changed, in milliseconds since the Unix epoch: the one field of queries that is none of the
/// application's.
pub(crate) const UPDATED_FIELD: &str = "_updated_ms";

/// A field of an entity, or what is nested in one: `due`, `address.city`, `"due date"`.
#[derive(Debug, Clone)]
pub struct FieldPath {
    pub(super) keys: Vec<String>,
    pub(super) at: Position,
    pub(super) source: Source,
}

/// Where a field is read.
#[derive(Debug, Clone)]
pub(super) enum Source {
    /// Under its own name.
    Named,
    /// Under these keys: lenses show it under its name.
    Stored(Vec<String>),
    /// Lenses make it of others, by SQL that gives JSON.
    Made(String),
    /// Lenses show nothing under this name; where an older version had the field, it may be shown under another now.
    Nothing { now: Option<String> },
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
        Self { keys: vec![name.to_owned()], at: Position { line: 1, column: 1 }, source: Source::Named }
    }

    /// Refuses a field that is none of these, and does not stand in one of them, or that lenses do not show. Without a list any is
    /// known that they show.
    ///
    /// # Errors
    ///
    /// [`QueryError::UnknownField`].
    pub fn check_known(&self, known: Option<&[String]>) -> Result<(), QueryError> {
        let is_known = known.is_none_or(|known| known.iter().any(|name| name == self.first()));
        if !self.is_of_the_application() || is_known && self.is_shown() {
            return Ok(());
        }
        Err(known::unknown(self, known.unwrap_or_default()))
    }

    pub(super) fn is_shown(&self) -> bool {
        !matches!(self.source, Source::Nothing { .. })
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
        if !self.is_of_the_application() {
            return format!("{row}updated_ms");
        }
        let (json, path) = self.json(row);
        format!("json_extract({json}, {path})")
    }

    /// The JSON in which it stands, and its path there, as SQL.
    pub(super) fn json(&self, row: &str) -> (String, String) {
        let (json, keys): (_, &[String]) = match &self.source {
            Source::Named => (format!("{row}json"), &self.keys),
            Source::Stored(keys) => (format!("{row}json"), keys),
            Source::Made(sql) => (through::of_row(sql, row), &[]),
            Source::Nothing { .. } => ("NULL".to_owned(), &[]),
        };
        (json, quoted(&json_path(keys)))
    }

    /// The field of documents that it is, or in which it stands; `None` where lenses make it of others.
    pub(super) fn stored_first(&self) -> Option<&str> {
        let keys = match &self.source {
            Source::Named => &self.keys,
            Source::Stored(keys) => keys,
            Source::Made(_) | Source::Nothing { .. } => return None,
        };
        keys.first().map(String::as_str)
    }

    /// The name under which it is declared: that of the field of documents, unless lenses make it of others.
    pub(super) fn declared_name(&self) -> String {
        match &self.source {
            Source::Stored(keys) => Self { keys: keys.clone(), source: Source::Named, at: self.at }.to_string(),
            Source::Named | Source::Made(_) | Source::Nothing { .. } => self.to_string(),
        }
    }

    /// How it is written among what is declared. Fields that are read by the same SQL are written the same.
    pub(super) fn declared(&self) -> serde_json::Value {
        match &self.source {
            Source::Made(sql) => vec![self.declared_name(), sql.clone()].into(),
            _ => self.declared_name().into(),
        }
    }

    /// The name of a field that was declared.
    pub(super) fn name_of_declared(written: &serde_json::Value) -> Option<String> {
        written.as_str().or_else(|| written.get(0)?.as_str()).map(str::to_owned)
    }
}

/// The path in SQLite's form, each key as a JSON string.
pub(super) fn json_path(keys: &[String]) -> String {
    let keys = keys.iter().map(|key| format!(".{}", serde_json::Value::from(key.as_str())));
    std::iter::once("$".to_owned()).chain(keys).collect()
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
