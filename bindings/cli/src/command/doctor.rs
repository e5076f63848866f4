//! `afield doctor`

mod relay;
mod store;
mod surroundings;

use crate::arguments::{Doctor, Global};
use crate::failure::Failure;
use crate::output::Output;
use crate::remembered::Remembered;
use crate::text;
use afield::ReadOnlyReplica;
use console::style;
use serde::Serialize;

/// How wide the name of a check is, with the blanks behind it.
const NAME_WIDTH: usize = 12;
/// How wide a level is, with the blanks behind it.
const LEVEL_WIDTH: usize = 6;

/// How a check has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Ok,
    /// Nothing is lost or wrong yet.
    Warn,
    Fail,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Check {
    check: &'static str,
    level: Level,
    found: String,
    next: Option<String>,
}

impl Check {
    fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, level: Level::Ok, found: found.into(), next: None }
    }

    fn warn(check: &'static str, found: impl Into<String>, next: impl Into<String>) -> Self {
        Self { check, level: Level::Warn, found: found.into(), next: Some(next.into()) }
    }

    fn fail(check: &'static str, found: impl Into<String>, next: impl Into<String>) -> Self {
        Self { check, level: Level::Fail, found: found.into(), next: Some(next.into()) }
    }

    /// What another command would have said of this error.
    fn failed(check: &'static str, failure: &Failure) -> Self {
        Self { check, level: Level::Fail, found: failure.in_words(), next: Some(failure.next()) }
    }

    fn in_words(&self, width: usize) -> String {
        let level = match self.level {
            Level::Ok => style(format!("{:<LEVEL_WIDTH$}", "ok")).green(),
            Level::Warn => style(format!("{:<LEVEL_WIDTH$}", "warn")).yellow(),
            Level::Fail => style(format!("{:<LEVEL_WIDTH$}", "fail")).red().bold(),
        };
        let indent = LEVEL_WIDTH + NAME_WIDTH;
        let below = format!("\n{}", " ".repeat(indent));
        let lines = |text: &str| text::wrapped(text, width.saturating_sub(indent), 0).replace('\n', &below);
        let mut told = format!("{level}{:<NAME_WIDTH$}{}", self.check, lines(&self.found));
        if let Some(next) = &self.next {
            told.push_str(&format!("{below}{}", style(lines(&format!("next: {next}"))).dim()));
        }
        told
    }
}

/// Prints each check when it has ended.
struct Report<'g> {
    global: &'g Global,
    output: Output,
    failed: u64,
    warned: u64,
}

impl Report<'_> {
    fn tell(&mut self, mut check: Check) -> Result<(), Failure> {
        match check.level {
            Level::Ok => {}
            Level::Warn => self.warned += 1,
            Level::Fail => self.failed += 1,
        }
        check.next = check.next.map(|next| self.global.hints.in_text(&next));
        self.output.item(&check, || check.in_words(self.output.width())).map(drop)
    }

    fn tell_all(&mut self, checks: impl IntoIterator<Item = Check>) -> Result<(), Failure> {
        checks.into_iter().try_for_each(|check| self.tell(check))
    }
}

pub(super) fn run(arguments: &Doctor, global: &Global, output: Output) -> Result<(), Failure> {
    if !global.store.exists() {
        return Err(Failure::NoStore(global.store.clone()));
    }
    let mut report = Report { global, output, failed: 0, warned: 0 };
    report.tell(surroundings::program())?;
    report.tell_all(surroundings::files(&global.store))?;
    report.tell(surroundings::room(&global.store))?;
    report.tell(store::writer(&global.store))?;
    let found = match ReadOnlyReplica::open(&global.store) {
        Ok(replica) => {
            report.tell(store::opened(&global.store))?;
            store::contents(&replica, &mut report)?
        }
        Err(source) => {
            report.tell(Check::failed("store", &Failure::Open { path: global.store.clone(), source }))?;
            store::Found::default()
        }
    };
    match Remembered::read(&global.store) {
        Ok(Some(remembered)) => report.tell_all(relay::checks(&remembered, &found, arguments.offline)?)?,
        Ok(None) => report.tell(Check::ok("relay", "none: this store is not connected to one"))?,
        Err(error) => report.tell(Check::failed("relay", &error.into()))?,
    }
    if report.failed > 0 {
        return Err(Failure::Unwell { failed: report.failed });
    }
    if output.is_for_a_person() {
        let warned = report.warned;
        let end = if warned > 0 { text::count(warned, "warning", "warnings") } else { "nothing is wrong".to_owned() };
        crate::output::print(&format!("\n{end}"))?;
    }
    Ok(())
}
