//! `afield status --watch`

use super::{Shown, page};
use crate::arguments::Global;
use crate::context;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::live::Live;
use crate::output::{self, Output};
use crate::screen::{Screen, Wish};
use crate::text;
use afield::ReadOnlyReplica;
use serde_json::Value as Json;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often the status is looked at: often enough to feel live, and a few indexed queries each time.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// How often a page is drawn on which nothing but the time has changed.
const DRAW_AGAIN: Duration = Duration::from_secs(1);
/// What changes by itself, and is no reason to print a line.
const AGES: [&str; 4] = ["oldest_pending_age_ms", "retry_in_ms", "store_bytes", "traffic"];

/// Where the status comes from.
struct Source {
    replica: ReadOnlyReplica,
    live: Option<Live>,
    store: PathBuf,
}

impl Source {
    fn look(&self) -> Result<Shown, Failure> {
        let status = self.live.as_ref().map(Live::status).transpose()?;
        Shown::gather(&self.replica, status, &self.store)
    }

    /// Fails once sync has ended for something that does not end by itself.
    fn check(&mut self) -> Result<(), Failure> {
        self.live.as_mut().map_or(Ok(()), Live::check)
    }
}

pub(super) fn run(sync: bool, global: &Global, output: Output) -> Result<(), Failure> {
    let interrupt = Interrupt::listen()?;
    let live = if sync { Some(Live::start(context::open(global)?, &global.store)?) } else { None };
    let mut source = Source { replica: context::view(global)?, live, store: global.store.clone() };
    let shown =
        if output.is_screen() { on_screen(&mut source, &interrupt) } else { in_lines(&mut source, &interrupt, output) };
    source.live.map_or(Ok(()), Live::end).and(shown)
}

/// Draws the page in place, until a person leaves it; the last one stays readable.
fn on_screen(source: &mut Source, interrupt: &Interrupt) -> Result<(), Failure> {
    let screen = Screen::take()?;
    let mut drawn: Option<(Json, Instant)> = None;
    while !interrupt.is_wanted() {
        source.check()?;
        let shown = source.look()?;
        let essence = essence(&shown);
        let is_due = drawn.as_ref().is_none_or(|(before, at)| *before != essence || at.elapsed() >= DRAW_AGAIN);
        if is_due {
            screen.draw(&paged(&shown, screen.size(), &source.store))?;
            drawn = Some((essence, Instant::now()));
        }
        match screen.wish(LOOK_AGAIN)? {
            Wish::Leave => break,
            Wish::Draw => drawn = None,
            Wish::LookOn => {}
        }
    }
    let (columns, _) = screen.size();
    drop(screen);
    output::print(&page::in_words(&source.look()?, columns))
}

/// The page with its last line at the foot, however few rows there are.
fn paged(shown: &Shown, (columns, rows): (usize, usize), store: &Path) -> String {
    let page = page::in_words(shown, columns);
    let mut lines: Vec<&str> = page.lines().collect();
    let more = (lines.len() + 2).saturating_sub(rows);
    lines.truncate(rows.saturating_sub(2));
    let more = match more {
        0 => String::new(),
        more => format!("   {}: make the window higher", text::count(more as u64, "more line", "more lines")),
    };
    let name = store.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let foot = console::style(format!("{name}   q leaves{more}")).dim();
    format!("{}\n\n{foot}", lines.join("\n"))
}

/// Prints a line for each change.
fn in_lines(source: &mut Source, interrupt: &Interrupt, output: Output) -> Result<(), Failure> {
    let mut before = None;
    loop {
        let goes_on = source.check();
        let shown = source.look()?;
        let essence = essence(&shown);
        if before.as_ref() != Some(&essence) {
            if !output.item(&shown, || page::in_a_line(&shown))? {
                return Ok(());
            }
            before = Some(essence);
        }
        // Who reads the lines sees why it ends, too.
        goes_on?;
        if interrupt.wait(LOOK_AGAIN) {
            return Ok(());
        }
    }
}

/// The status without what changes by itself.
fn essence(shown: &Shown) -> Json {
    let mut essence = serde_json::to_value(shown).unwrap_or(Json::Null);
    let spaces = essence.get_mut("spaces").and_then(Json::as_array_mut).map(std::mem::take).unwrap_or_default();
    let without_ages = |mut value: Json| {
        if let Some(fields) = value.as_object_mut() {
            fields.retain(|name, _| !AGES.contains(&name.as_str()));
        }
        value
    };
    Json::Array(std::iter::once(essence).chain(spaces).map(without_ages).collect())
}
