//! Whether a query names fields that there are.

use super::error::QueryError;
use super::field::{FieldPath, quoted};
use super::{Plan, Query, run};
use rusqlite::Connection;
use std::collections::BTreeSet;

/// How many entities are looked at for the names of fields, the newest first.
const SAMPLE_ENTITIES: usize = 200;

/// Refuses a field that is surely a slip: one that the model does not have, or, without a model, one that no entity has while
/// they have one of nearly that name, or one that no entity has at all where only present fields are known. Otherwise a field
/// that nobody has written yet, and that is like no other, reads as null.
pub(super) fn check(connection: &Connection, query: &Query, plan: &Plan) -> Result<(), QueryError> {
    for field in query.fields().filter(|field| field.is_of_the_application()) {
        let known: BTreeSet<String> = match &query.known {
            Some(known) => {
                field.check_known(known)?;
                continue;
            }
            None if plan.has_declared(field.first()) || has(connection, plan, field, Some(SAMPLE_ENTITIES))? => {
                continue;
            }
            None => sample(connection, plan)?,
        };
        if known.contains(field.first()) {
            continue;
        }
        let names = || known.iter().map(String::as_str);
        let nearest = nearest(field.first(), names());
        let is_suspect = nearest.is_some() || query.is_strict && !known.is_empty();
        if is_suspect && !has(connection, plan, field, None)? {
            return Err(unknown(field, nearest, names()));
        }
    }
    Ok(())
}

/// The refusal of a field that is none of those known.
pub(super) fn unknown<'n>(
    field: &FieldPath,
    nearest: Option<&str>,
    known: impl Iterator<Item = &'n str>,
) -> QueryError {
    QueryError::UnknownField {
        field: field.first().to_owned(),
        nearest: nearest.map(str::to_owned),
        known: known.map(str::to_owned).collect(),
        at: field.at,
    }
}

/// The name that is most like this one, if it is like enough: two letters differ at the most, or a third of it.
pub(super) fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let lower = name.to_lowercase();
    let most = (name.chars().count() / 3).max(1);
    let distance = |known: &&str| strsim::osa_distance(&lower, &known.to_lowercase());
    known.map(|known| (distance(&known), known)).filter(|(distance, _)| *distance <= most).min().map(|(_, known)| known)
}

/// Whether an entity has the field, among the newest ones or at all.
fn has(connection: &Connection, plan: &Plan, field: &FieldPath, newest: Option<usize>) -> Result<bool, QueryError> {
    let path = format!("$.{}", serde_json::Value::from(field.first()));
    let rows = plan.rows(newest);
    let sql = format!("SELECT EXISTS (SELECT 1 FROM ({rows}) WHERE json_type(json, {}) IS NOT NULL)", quoted(&path));
    Ok(run::one(connection, &sql, [])?)
}

/// The fields of the newest entities.
fn sample(connection: &Connection, plan: &Plan) -> Result<BTreeSet<String>, QueryError> {
    let rows = plan.rows(Some(SAMPLE_ENTITIES));
    let sql = format!("SELECT DISTINCT key FROM ({rows}) AS newest, json_each(newest.json)");
    Ok(crate::transaction::rows(connection, &sql, [], |row| row.get(0))?.into_iter().collect())
}
