//! How far something is, on a terminal that somebody watches.

use super::note;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// How often it is shown.
const INTERVAL: Duration = Duration::from_millis(200);

/// A line that is written over and over.
#[derive(Debug)]
pub(super) struct Progress {
    is_shown: bool,
    shown: Option<Instant>,
}

impl Progress {
    /// Shows nothing where a program reads, or nobody.
    pub(super) fn new(json: bool) -> Self {
        Self { is_shown: !json && io::stderr().is_terminal(), shown: None }
    }

    /// Shows a line, unless one was shown just now.
    pub(super) fn show(&mut self, line: impl FnOnce() -> String) {
        if !self.is_shown || self.shown.is_some_and(|shown| shown.elapsed() < INTERVAL) {
            return;
        }
        self.shown = Some(Instant::now());
        // Nobody may be watching any more.
        let _ = write!(io::stderr(), "\r{:<78}", line()).and_then(|()| io::stderr().flush());
    }

    /// Shows how many bytes are done.
    pub(super) fn show_bytes(&mut self, verb: &str, done: u64, total: u64) {
        self.show(|| {
            let share = done.saturating_mul(100).checked_div(total).unwrap_or(100);
            format!("{verb} {done} B of {total} B ({share} %)")
        });
    }

    /// Ends the line.
    pub(super) fn clear(&self) {
        if self.shown.is_some() {
            note("");
        }
    }
}
