//! Lists: JSON for a program that asks for it, tabs for one that does not, and a few lines each for a person.

use super::{CommandError, TimeSpan, note, print_line_if_read, printable};
use crate::log::accounts::AccountError;
use crate::log::{Page, Part};
use afield_core::Now;
use serde::Serialize;
use std::io::{self, IsTerminal};

/// Something that is listed.
pub(super) trait Shown: Serialize {
    /// What it is called by, and then what is to be said of it, line by line.
    fn in_words(&self, now: Now) -> (Vec<String>, Vec<String>);
}

/// Prints a list; where it is empty, a person is told what to do about that.
pub(super) fn print_list<T: Shown>(
    items: impl IntoIterator<Item = T>,
    json: bool,
    now: Now,
    if_empty: &str,
) -> Result<(), CommandError> {
    if !print_rows(items, json, now)? && !json {
        note(if_empty);
    }
    Ok(())
}

/// Prints a list page by page, however long it is.
pub(super) fn print_pages<S, T: Shown + From<S>>(
    mut list: impl FnMut(&Part) -> Result<Page<S>, AccountError>,
    json: bool,
    now: Now,
    if_empty: &str,
) -> Result<(), CommandError> {
    let (mut part, mut is_empty) = (Part::default(), true);
    loop {
        let Page { rows, next } = list(&part)?;
        is_empty &= !print_rows(rows.into_iter().map(T::from), json, now)?;
        let Some(next) = next else { break };
        part.after = Some(next);
    }
    if is_empty && !json {
        note(if_empty);
    }
    Ok(())
}

/// Prints rows of a list; answers whether there was any.
pub(super) fn print_rows<T: Shown>(
    items: impl IntoIterator<Item = T>,
    json: bool,
    now: Now,
) -> Result<bool, CommandError> {
    let is_for_a_person = io::stdout().is_terminal();
    let mut is_any = false;
    for item in items {
        is_any = true;
        print_line_if_read(&match (json, is_for_a_person) {
            (true, _) => as_json(&item)?,
            (false, true) => as_page(&item, now),
            (false, false) => as_text(&item, now),
        })?;
    }
    Ok(is_any)
}

/// One line of JSON.
pub(super) fn as_json(item: &impl Serialize) -> Result<String, CommandError> {
    serde_json::to_string(item).map_err(|error| CommandError::Output(error.into()))
}

/// For a program: what there is between tabs.
pub(super) fn as_text(item: &impl Shown, now: Now) -> String {
    let (names, words) = item.in_words(now);
    let words: Vec<String> = names.iter().chain(&words).map(|word| printable(word)).collect();
    words.join("\t")
}

/// For a person: what it is called by, and below that what there is to say, in lines that fit a narrow terminal.
pub(super) fn as_page(item: &impl Shown, now: Now) -> String {
    let (names, words) = item.in_words(now);
    let mut page = names.iter().map(|name| printable(name)).collect::<Vec<_>>().join("  ");
    for word in words {
        page.push_str("\n   ");
        page.push_str(&printable(&word));
    }
    page
}

/// How long ago something was.
pub(super) fn ago(ms: i64, now: Now) -> String {
    format!("{} ago", so_long(ms, now))
}

/// For how long something has been so.
pub(super) fn so_long(ms: i64, now: Now) -> String {
    TimeSpan::from_ms(now.wall_ms.saturating_sub(ms).max(0).unsigned_abs()).to_string()
}

/// How long something is still to be: what was to be for a week a moment ago is so for a week, and not for 6 days.
pub(super) fn left(ms: i64, now: Now) -> String {
    TimeSpan::from_ms(ms.saturating_sub(now.wall_ms).max(0).unsigned_abs()).nearly().to_string()
}

/// `1 space`, `2 spaces`.
pub(super) fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// A name, or a dash where there is none.
pub(super) fn or_dash(name: Option<&str>) -> String {
    name.unwrap_or("-").to_owned()
}
