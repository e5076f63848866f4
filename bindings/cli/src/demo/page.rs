//! What a person reads, and what a program does.

use super::DemoFailure;
use super::device::Owner;
use super::note::Merged;
use crate::failure::Failure;
use crate::output::Output;
use crate::text;
use afield::Traffic;
use console::{StyledObject, measure_text_width, style};
use serde::Serialize;
use std::io::{self, Write};
use std::time::Duration;

/// How wide the page is, in columns.
const WIDTH: usize = 80;
/// How wide the names at the left are, in columns.
const NAME: usize = 9;
/// How wide each of two columns beside each other is, in columns.
const HALF: usize = (WIDTH - 2 - NAME) / 2;
/// How much of a value is shown where a check fails, in characters.
const SHOWN_MAX: usize = 400;

/// What happened, in figures.
#[derive(Debug, Serialize)]
pub(super) struct Figures {
    pub(super) ok: bool,
    pub(super) duration_ms: u64,
    pub(super) relay_processes: u64,
    pub(super) kills: u64,
    pub(super) entities: u64,
    pub(super) changes: u64,
    pub(super) photos: u64,
    pub(super) photos_with_receipt_before_the_kill: u64,
    pub(super) ada: Traffic,
    pub(super) ben: Traffic,
    pub(super) merged: Merged,
    pub(super) catch_up: CatchUp,
    pub(super) reconnect: CatchUp,
    pub(super) checks: Vec<&'static str>,
}

/// What it cost a device to get in step.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct CatchUp {
    pub(super) round_trips: u64,
    pub(super) traffic: Traffic,
    pub(super) duration_ms: u64,
}

/// The page that a person reads while it is written.
#[derive(Debug)]
pub(super) struct Page {
    output: Output,
    step: u32,
    checks: Vec<&'static str>,
}

impl Page {
    pub(super) fn new(output: Output) -> Self {
        Self { output, step: 0, checks: Vec::new() }
    }

    /// What was checked so far.
    pub(super) fn checks(&self) -> Vec<&'static str> {
        self.checks.clone()
    }

    /// Begins the next step.
    pub(super) fn step(&mut self, what: &str) {
        self.step += 1;
        self.line("");
        self.line(&format!("{} {}", style(self.step).bold().cyan(), style(what).bold()));
    }

    /// A line as it is.
    pub(super) fn line(&self, text: &str) {
        if self.output.is_for_a_person() {
            // A reader that has left misses nothing that is checked.
            let _ = writeln!(io::stdout().lock(), "{}", text.trim_end());
        }
    }

    /// A line with how long it took at its end.
    pub(super) fn timed(&self, text: &str, took: Duration) {
        let took = text::duration(milliseconds(took));
        let width = measure_text_width(text) + 2 + measure_text_width(&took);
        let gap = WIDTH.saturating_sub(width).max(2);
        self.line(&format!("  {text}{}{}", " ".repeat(gap), style(took).dim()));
    }

    /// A name and what there is to say about it.
    pub(super) fn about(&self, name: &str, text: &str) {
        self.line(&format!("  {}{text}", style(format!("{name:<NAME$}")).dim()));
    }

    /// A name, and what Ada and Ben have to do with it.
    pub(super) fn beside(&self, name: &str, ada: &str, ben: &str) {
        let gap = " ".repeat(HALF.saturating_sub(measure_text_width(ada)).max(1));
        self.about(name, &format!("{ada}{gap}{ben}"));
    }

    /// Checks a claim, and ends the demo where it does not hold. `told` gives what was expected and what was found.
    pub(super) fn check(
        &mut self,
        promise: &'static str,
        holds: bool,
        told: impl FnOnce() -> (String, String),
    ) -> Result<(), Failure> {
        if holds {
            self.line(&format!("  {} {promise}", style("✓").green().bold()));
            self.checks.push(promise);
            return Ok(());
        }
        self.line(&format!("  {} {promise}", style("✗").red().bold()));
        let (expected, found) = told();
        Err(DemoFailure::Broken { promise, expected: cut(&expected), found: cut(&found) }.into())
    }

    /// Says how it went.
    pub(super) fn finish(&self, figures: &Figures) -> Result<(), Failure> {
        self.output.result(figures, || {
            let checks = figures.checks.len();
            let took = text::duration(figures.duration_ms);
            format!("\n{} {checks} of {checks} checks hold, in {took}.\n", style("Nothing lost.").green().bold())
        })
    }
}

/// A person in the colour of their device.
pub(super) fn person(owner: Owner) -> StyledObject<String> {
    let name = style(format!("{} ({})", owner.name(), owner.device()));
    match owner {
        Owner::Ada => name.cyan(),
        Owner::Ben => name.magenta(),
        Owner::Newcomer => name.yellow(),
    }
}

/// Messages and bytes each way.
pub(super) fn traffic_in_words(traffic: Traffic) -> String {
    format!(
        "↑ {}, {}   ↓ {}, {}",
        text::count(traffic.messages_sent, "frame", "frames"),
        text::bytes(traffic.bytes_sent),
        text::count(traffic.messages_received, "frame", "frames"),
        text::bytes(traffic.bytes_received),
    )
}

/// A length of time in whole milliseconds.
pub(super) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn cut(text: &str) -> String {
    if text.chars().count() <= SHOWN_MAX {
        text.to_owned()
    } else {
        text.chars().take(SHOWN_MAX).chain(['…']).collect()
    }
}
