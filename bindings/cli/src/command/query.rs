//! `afield query` and `afield search`

use crate::arguments::{Global, Query, Search};
use crate::command::list::{as_text, fields, lines};
use crate::context;
use crate::failure::Failure;
use crate::identity;
use crate::output::Output;
use crate::text;
use afield::document::Collection;
use afield::store::QueryError as Refusal;
use afield::{Beside, EntityId, QueryError, QueryValue, ReadOnlySpace, Snippet};
use serde::Serialize;
use serde_json::{Value as Json, json};

#[derive(Debug, Serialize)]
struct Entity {
    #[serde(serialize_with = "as_text")]
    id: EntityId,
    value: Json,
}

#[derive(Debug, Serialize)]
struct Hit {
    #[serde(serialize_with = "as_text")]
    id: EntityId,
    value: Json,
    score: f64,
    snippet: String,
    /// Pairs of positions in the snippet, in code points.
    matches: Vec<[usize; 2]>,
    /// The snippet, as a person sees it.
    #[serde(skip)]
    shown: String,
}

pub(super) fn run(arguments: &Query, global: &Global, output: Output) -> Result<(), Failure> {
    let collection = context::collection_name(&arguments.collection)?;
    let space = current(&collection, global)?;
    let params: Vec<Json> = arguments.params.iter().map(|param| value(param)).collect();
    let condition = arguments.condition.as_deref().unwrap_or_default();
    let query = space.query(collection, condition, params)?.with_present_fields();
    let refused = |error| refused(condition, error);
    if arguments.count {
        let count = query.count().map_err(refused)?;
        return output.result(&json!({ "count": count }), || count.to_string());
    }
    if let Some(field) = &arguments.sum {
        let sum = plain(query.sum(field).map_err(refused)?);
        return output.result(&json!({ "sum": sum }), || sum.to_string());
    }
    let query = arguments.order_by.iter().fold(query.offset(arguments.offset), |query, field| ordered(query, field));
    let query = arguments.limit.map_or(query.clone(), |limit| query.limit(limit));
    if arguments.plan {
        let plan = query.plan()?;
        return output.result(&json!({ "plan": plan }), || plan.join("\n"));
    }
    let found: Vec<_> = query.all().map_err(refused)?.into_iter().map(|(id, value)| Entity { id, value }).collect();
    output.list(&found, || {
        let rows: Vec<_> = found.iter().map(|one| row(one.id, &one.value, output)).collect();
        lines(&["id ends in", "fields"], &rows, output, "Nothing meets this.")
    })
}

/// The error of a query; a word that is no field and stands where a value does was meant as text.
fn refused(condition: &str, error: QueryError) -> Failure {
    match bare_word(condition, &error) {
        Some(word) => Failure::BareWord { word, source: error },
        None => error.into(),
    }
}

fn bare_word(condition: &str, error: &QueryError) -> Option<String> {
    let QueryError::Refused(Refusal::UnknownField { field, nearest: None, at, .. }) = error else { return None };
    let from_one = |number: u64| usize::try_from(number).ok()?.checked_sub(1);
    let line = condition.lines().nth(from_one(at.line)?)?;
    let (start, _) = line.char_indices().nth(from_one(at.column)?)?;
    let (before, after) = line.split_at_checked(start)?;
    // What is ordered or added up by has a position of its own.
    let is_there = after.trim_start_matches('"').starts_with(field.as_str());
    let before = before.trim_end().to_lowercase();
    let is_value = ["=", "<", ">", " like"].iter().any(|operator| before.ends_with(operator));
    (is_there && is_value).then(|| field.clone())
}

pub(super) fn search(arguments: &Search, global: &Global, output: Output) -> Result<(), Failure> {
    let collection = context::collection_name(&arguments.collection)?;
    let space = current(&collection, global)?;
    let search = space.search(collection, &arguments.text.join(" "))?.limit(arguments.limit);
    let search = if arguments.expression { search.as_expression() } else { search };
    let found = if arguments.prefix { search.while_typing() } else { search }.all()?;
    let hits: Vec<_> = found
        .into_iter()
        .map(|found| Hit {
            id: found.id,
            value: found.value,
            score: found.score,
            matches: found.snippet.matches.iter().map(|range| [range.start, range.end]).collect(),
            shown: marked(&found.snippet),
            snippet: found.snippet.text,
        })
        .collect();
    output.list(&hits, || {
        let row = |hit: &Hit| {
            let id = if output.is_terminal() { identity::short(hit.id) } else { hit.id.to_string() };
            vec![id, hit.shown.clone()]
        };
        let rows: Vec<_> = hits.iter().map(row).collect();
        lines(&["id ends in", "text"], &rows, output, "Nothing has these words.")
    })
}

/// A snippet on one line, in which what was looked for stands out where there are colours.
fn marked(snippet: &Snippet) -> String {
    // Made printable first: marks are for the terminal to act on, and what is stored is not.
    let printable = Snippet { text: text::printable(&snippet.text), matches: snippet.matches.clone() };
    let bold = console::style('\u{fdd0}').bold().to_string();
    let (begin, end) = bold.split_once('\u{fdd0}').unwrap_or_default();
    printable.marked(begin, end)
}

/// The space as it is now. What was left to be read by whoever comes next is read first, which only a writer can keep.
fn current(collection: &Collection, global: &Global) -> Result<ReadOnlySpace, Failure> {
    let space = context::view_space(global)?;
    if space.is_behind(collection)? {
        let (_replica, writable) = context::open_space(global)?;
        writable.collection::<()>(collection.as_str())?.json().query("", ())?.count()?;
    }
    Ok(space)
}

fn ordered(query: afield::Query<Beside>, field: &str) -> afield::Query<Beside> {
    match field.rsplit_once(':') {
        Some((field, "desc")) => query.order_by_desc(field),
        Some((field, "asc")) => query.order_by(field),
        _ => query.order_by(field),
    }
}

/// A value as it was typed: what JSON has a word for is that, and all else is text.
fn value(typed: &str) -> Json {
    serde_json::from_str(typed).unwrap_or_else(|_| Json::from(typed))
}

fn plain(value: QueryValue) -> Json {
    match value {
        QueryValue::Null => Json::Null,
        QueryValue::Integer(number) => number.into(),
        QueryValue::Real(number) => number.into(),
        QueryValue::Text(text) => text.into(),
    }
}

fn row(id: EntityId, value: &Json, output: Output) -> Vec<String> {
    if output.is_terminal() {
        vec![identity::short(id), fields(value)]
    } else {
        vec![id.to_string(), value.to_string()]
    }
}
