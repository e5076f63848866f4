//! A file: its values with their names and lines.

use super::problem::Problem;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use toml::de::{DeArray, DeTable, DeValue};

/// The largest file that is read, in bytes; one with every key and its description takes some 5,000.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// A value as a file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// A text in quotes.
    Text(String),
    /// A whole number, in the digits of ten.
    Number(String),
    /// Yes or no.
    Truth(bool),
    /// A list of texts, as a variable or a flag has it: with commas between them.
    List(String),
    /// What no key takes, such as a list of numbers.
    Other(&'static str),
}

/// A section with nothing in it: of one with something, each value is told.
pub(super) const EMPTY_SECTION: Found = Found::Other("a section");

impl Found {
    /// As a variable or a flag has it.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Number(text) | Self::List(text) => text,
            Self::Truth(true) => "true",
            Self::Truth(false) => "false",
            Self::Other(kind) => kind,
        }
    }
}

/// For a person, who may have to look for it.
impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            Self::List(text) => write!(f, "a list of {text:?}"),
            other => f.write_str(other.text()),
        }
    }
}

/// A value of a file, with its name and where it stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) line: usize,
    pub(super) found: Found,
}

/// Reads a file.
pub(super) fn read(path: &Path) -> Result<String, io::Error> {
    let mut text = String::new();
    let bytes = File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if bytes as u64 > FILE_BYTES_MAX { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(text) }
}

/// The values of a file, in the order of their lines.
pub(super) fn entries(path: &Path, text: &str, is_key: impl Fn(&str) -> bool) -> Result<Vec<Entry>, Problem> {
    let line_of = |offset: usize| 1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count();
    // The error's own words for a person show the line, and with it perhaps a secret.
    let table = DeTable::parse(text).map_err(|error| Problem::Syntax {
        path: path.to_owned(),
        line: line_of(error.span().map_or(0, |span| span.start)),
        problem: error.message().to_owned(),
    })?;
    let mut entries = Vec::new();
    collect(table.get_ref(), "", &is_key, &mut |name, offset, found| {
        entries.push(Entry { name, line: line_of(offset), found });
    });
    entries.sort_by_key(|entry| entry.line);
    Ok(entries)
}

/// Goes through a table and the sections in it, as deep as the parser lets them be.
fn collect(
    table: &DeTable<'_>,
    above: &str,
    is_key: &impl Fn(&str) -> bool,
    take: &mut impl FnMut(String, usize, Found),
) {
    for (key, value) in table {
        let name = if above.is_empty() { key.get_ref().to_string() } else { format!("{above}.{}", key.get_ref()) };
        match value.get_ref() {
            DeValue::Table(section) if !is_key(&name) && !section.is_empty() => collect(section, &name, is_key, take),
            value => take(name, key.span().start, found(value)),
        }
    }
}

fn found(value: &DeValue<'_>) -> Found {
    match value {
        DeValue::String(text) => Found::Text(text.to_string()),
        DeValue::Boolean(truth) => Found::Truth(*truth),
        DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix())
            .map_or(Found::Other("a number that is too large"), |number| Found::Number(number.to_string())),
        DeValue::Float(_) => Found::Other("a fraction"),
        DeValue::Datetime(_) => Found::Other("a date"),
        DeValue::Array(items) => list(items).map_or(Found::Other("a list"), Found::List),
        DeValue::Table(_) => EMPTY_SECTION,
    }
}

/// The texts of a list with commas between them; none where one has a comma itself, or is no text.
fn list(items: &DeArray<'_>) -> Option<String> {
    let texts = items.iter().map(|item| item.get_ref().as_str().filter(|text| !text.is_empty() && !text.contains(',')));
    Some(texts.collect::<Option<Vec<_>>>()?.join(", "))
}
