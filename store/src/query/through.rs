//! Fields of the newest version of a collection's shape, as SQL over the documents in their oldest: what [`Lenses::forward`] shows, of a
//! row of projections.

use super::compile;
use super::error::QueryError;
use super::field::{FieldPath, Source, json_path, quoted};
use afield_core::document::Value;
use afield_core::lens::{Asked, Lenses, Origin};

/// How long the SQL of one field may be, in bytes: each version that converts a field once more names it several times.
const SQL_BYTES_MAX: usize = 64 * 1024;

/// What stands for the row until it is known which one it is: no text of SQL has it otherwise.
const ROW: char = '\0';

impl FieldPath {
    /// The same field where entities are read through lenses, of whose newest version it has its name.
    ///
    /// # Errors
    ///
    /// [`QueryError::Reshaped`], or [`QueryError::TooLarge`] where too many versions convert it.
    pub fn through(self, lenses: &Lenses) -> Result<Self, QueryError> {
        self.asked_through(lenses, Asked::Value)
    }

    pub(super) fn asked_through(self, lenses: &Lenses, asked: Asked) -> Result<Self, QueryError> {
        if !self.is_of_the_application() {
            return Ok(self);
        }
        let origin = lenses
            .origin_of(&self.keys, asked)
            .map_err(|reshaped| QueryError::Reshaped { field: reshaped.field, at: self.at })?;
        let source = match origin {
            Origin::Stored(keys) => Source::Stored(keys),
            Origin::Nothing => {
                let moved = lenses.shown_path(&self.keys).map(|keys| keys.join("."));
                Source::Nothing { now: moved.or_else(|| lenses.name_of(self.first())) }
            }
            made => Source::Made(json(&made)?),
        };
        Ok(Self { source, ..self })
    }

    /// The name that a declared field has in the newest version, where that shows it as it stands.
    pub fn shown_through(self, lenses: &Lenses) -> Self {
        match lenses.shown_path(&self.keys) {
            Some(keys) => Self { keys, ..self },
            None => self,
        }
    }
}

/// The SQL that reads a field of this origin from a row, as the text of its JSON; null where it is absent.
pub(super) fn of_row(made: &str, row: &str) -> String {
    made.replace(ROW, row)
}

fn json(origin: &Origin) -> Result<String, QueryError> {
    let sql = match origin {
        Origin::Stored(keys) => format!("({ROW}json -> {})", quoted(&json_path(keys))),
        Origin::Nothing => "NULL".to_owned(),
        Origin::Within { of, keys } => format!("({} -> {})", json(of)?, quoted(&json_path(keys))),
        Origin::Defaulted { of, inside, default } => {
            let default = match inside {
                None => literal(default),
                Some(map) => format!("CASE WHEN json_type({}) = 'object' THEN {} END", json(map)?, literal(default)),
            };
            format!("coalesce({}, {default})", json(of)?)
        }
        Origin::Wrapped { first, rest } => {
            let (first, rest) = (json(first)?, json(rest)?);
            let is_one = format!("coalesce({first}, 'null') <> 'null'");
            // What stands in the brackets, but for a comma between the two.
            let others = format!(
                "CASE WHEN coalesce({rest}, 'null') IN ('null', '[]') THEN ''
                 WHEN json_type({rest}) = 'array' THEN substr({rest}, 2, length({rest}) - 2) ELSE {rest} END"
            );
            format!(
                "CASE WHEN {first} IS NULL AND {rest} IS NULL THEN NULL
                 ELSE '[' || CASE WHEN {is_one} THEN {first} ELSE '' END
                 || CASE WHEN {is_one} AND coalesce({rest}, 'null') NOT IN ('null', '[]') THEN ',' ELSE '' END
                 || {others} || ']' END"
            )
        }
        Origin::Converted { older, kept, table, older_default, newer_default } => {
            let (older, kept) = (json(older)?, json(kept)?);
            let newer: Vec<_> = table.iter().map(|(_, newer)| literal(newer)).collect();
            let pairs: String = table
                .iter()
                .map(|(older, newer)| format!(" WHEN {} THEN {}", literal(older), literal(newer)))
                .collect();
            format!(
                "CASE WHEN {kept} IS NOT NULL AND ({older} IS NULL OR {older} = {}) AND {kept} NOT IN ({}) THEN {kept}
                 WHEN {older} IS NULL THEN NULL ELSE CASE {older}{pairs} ELSE {} END END",
                literal(older_default),
                newer.join(", "),
                literal(newer_default)
            )
        }
    };
    if sql.len() > SQL_BYTES_MAX { Err(compile::too_large()) } else { Ok(sql) }
}

/// The text of a value's JSON, as projections have it.
fn literal(value: &Value) -> String {
    quoted(&value.to_json().to_string())
}
