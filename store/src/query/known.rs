//! Whether a query names fields that there are.

use super::error::QueryError;
use super::field::{FieldPath, Source, json_path, quoted};
use super::{Plan, Query, run};
use rusqlite::Connection;

/// How many entities are looked at for the names of fields, the newest first.
const SAMPLE_ENTITIES: usize = 200;

/// Refuses a field that is surely a slip: one that the model does not have, or, without a model, one that no entity has while
/// they have one of nearly that name, or one that no entity has at all where only present fields are known. Otherwise a field
/// that nobody has written yet, and that is like no other, reads as null.
pub(super) fn check(connection: &Connection, query: &Query, plan: &Plan) -> Result<(), QueryError> {
    for field in query.fields().filter(|field| field.is_of_the_application()) {
        if let Some(known) = &query.known {
            field.check_known(Some(known))?;
            continue;
        }
        if field.is_shown() && (plan.has_declared(field) || has(connection, plan, field, Some(SAMPLE_ENTITIES))?) {
            continue;
        }
        let known = sample(connection, query, plan)?;
        let is_known = known.iter().any(|name| name == field.first());
        let is_suspect =
            nearest(field.first(), known.iter().map(String::as_str)).is_some() || query.is_strict && !known.is_empty();
        if !field.is_shown() || !is_known && is_suspect && !has(connection, plan, field, None)? {
            return Err(unknown(field, &known));
        }
    }
    Ok(())
}

/// The refusal of a field that is none of those known, with the one that it has become in a newer version, or is most like.
pub(super) fn unknown(field: &FieldPath, known: &[String]) -> QueryError {
    let like =
        |name: &str| nearest(name, known.iter().map(String::as_str).filter(|known| *known != name)).map(str::to_owned);
    let (name, nearest) = match &field.source {
        Source::Nothing { now: Some(now) } => (field.keys.join("."), Some(now.clone())),
        // It is what is asked for within the field that there is no more.
        Source::Nothing { now: None } if field.keys.len() > 1 => (field.keys.join("."), None),
        _ => (field.first().to_owned(), like(field.first())),
    };
    QueryError::UnknownField { field: name, nearest, known: known.to_vec(), at: field.at }
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
    let (json, path) = match field.stored_first() {
        Some(first) => ("json".to_owned(), quoted(&json_path(&[first.to_owned()]))),
        None => field.json(""),
    };
    let rows = plan.rows(newest);
    let sql = format!("SELECT EXISTS (SELECT 1 FROM ({rows}) WHERE json_type({json}, {path}) IS NOT NULL)");
    Ok(run::one(connection, &sql, [])?)
}

/// The fields of the newest entities, as they are shown.
fn sample(connection: &Connection, query: &Query, plan: &Plan) -> Result<Vec<String>, QueryError> {
    let rows = plan.rows(Some(SAMPLE_ENTITIES));
    let sql = format!("SELECT DISTINCT key FROM ({rows}) AS newest, json_each(newest.json) ORDER BY key");
    let keys: Vec<String> = crate::transaction::rows(connection, &sql, [], |row| row.get(0))?;
    Ok(match &query.lenses {
        Some(lenses) if !keys.is_empty() => lenses.names_of(keys).into_iter().collect(),
        _ => keys,
    })
}
