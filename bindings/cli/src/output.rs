//! Text for people, JSON for programs.

use crate::failure::Failure;
use crate::text;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use std::io::{self, Write};
use std::ops::Deref;
use std::time::Duration;

/// How wide text is where the terminal does not say, in columns.
const WIDTH: usize = 80;
/// The widest that text gets, in columns: longer lines are hard to read.
const WIDTH_MAX: usize = 120;

/// Where a command prints, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
    quiet: bool,
}

impl Output {
    pub(crate) fn new(json: bool, quiet: bool) -> Self {
        Self { json, quiet }
    }

    /// Whether JSON is wanted.
    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// Whether a person reads along who wants to be told.
    pub(crate) fn is_for_a_person(self) -> bool {
        !self.json && !self.quiet
    }

    /// Whether what is printed goes to a terminal that can be drawn on.
    pub(crate) fn is_screen(self) -> bool {
        self.is_terminal() && !self.json && is_drawable()
    }

    /// Whether what is printed goes to a terminal.
    pub(crate) fn is_terminal(self) -> bool {
        console::Term::stdout().is_term()
    }

    /// How many columns there are.
    pub(crate) fn width(self) -> usize {
        width_of(&console::Term::stdout())
    }

    /// A sentence, on a terminal in lines of its width.
    pub(crate) fn sentence(self, text: &str) -> String {
        if self.is_terminal() { text::wrapped(text, self.width(), 2) } else { text.to_owned() }
    }

    /// Prints a result: what the command was asked for.
    pub(crate) fn result(self, value: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), Failure> {
        if self.json { print(&to_json(value)) } else { print(&text()) }
    }

    /// Prints that something was done, which `--quiet` leaves out.
    pub(crate) fn done(self, value: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), Failure> {
        if self.quiet && !self.json { Ok(()) } else { self.result(value, text) }
    }

    /// Prints a list: a line of JSON for each item, or the text of all of them.
    pub(crate) fn list<T: Serialize>(self, items: &[T], text: impl FnOnce() -> String) -> Result<(), Failure> {
        if !self.json {
            return print(&text());
        }
        let mut lines = String::new();
        for item in items {
            lines.push_str(&to_json(item));
            lines.push('\n');
        }
        print(&lines)
    }

    /// Prints one of many items as soon as it is there; gives whether anybody reads them.
    pub(crate) fn item(self, value: &impl Serialize, text: impl FnOnce() -> String) -> Result<bool, Failure> {
        write(&if self.json { to_json(value) } else { text() })
    }

    /// Whether a progress bar would be seen.
    pub(crate) fn draws_progress(self) -> bool {
        self.is_for_a_person() && is_drawable() && console::Term::stderr().is_term()
    }

    /// A progress bar on stderr: none where nobody looks, or where it cannot be drawn in place. It is drawn again while nothing
    /// moves, so that a person sees that it lives.
    pub(crate) fn progress(self, template: &str, total: Option<u64>) -> Bar {
        let is_drawn = self.draws_progress();
        let target = if is_drawn { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(total, target);
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style);
        if is_drawn {
            // At once, and not when another thread comes to it.
            bar.tick();
            bar.enable_steady_tick(TICK);
        }
        Bar(bar)
    }
}

/// A progress bar that takes itself off the screen once it is dropped, whatever became of the work.
#[derive(Debug)]
pub(crate) struct Bar(ProgressBar);

impl Deref for Bar {
    type Target = ProgressBar;

    fn deref(&self) -> &ProgressBar {
        &self.0
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Whether the terminal says that it can be drawn on. On Windows all can, and none says so.
fn is_drawable() -> bool {
    let name = std::env::var_os("TERM");
    if cfg!(windows) { name.is_none_or(|name| name != "dumb") } else { name.is_some_and(|name| name != "dumb") }
}

/// How often a bar is drawn again while nothing moves, so that a person sees that it lives.
pub(crate) const TICK: Duration = Duration::from_millis(120);

fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("what commands print has string keys and no failing serialiser")
}

/// Prints text, ending it with a line break. A reader that has left, as `head` does, is no failure.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    write(text).map(drop)
}

/// Prints text, ending it with a line break; gives whether anybody reads it.
fn write(text: &str) -> Result<bool, Failure> {
    let mut out = io::stdout().lock();
    let text = text.trim_end_matches('\n');
    let printed = if text.is_empty() { Ok(()) } else { writeln!(out, "{text}") };
    match printed.and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::Output(error)),
    }
}

/// How many columns a terminal has; what is no terminal has 80.
fn width_of(terminal: &console::Term) -> usize {
    let columns = terminal.size_checked().map_or(WIDTH, |(_, columns)| usize::from(columns));
    columns.clamp(WIDTH / 2, WIDTH_MAX)
}

/// Says something of several words on stderr: on a terminal in lines of its width, elsewhere in one.
pub(crate) fn tell_wrapped(text: &str, indent: usize) {
    let terminal = console::Term::stderr();
    if terminal.is_term() {
        return tell(&text::wrapped(text, width_of(&terminal), indent));
    }
    tell(text);
}

/// Says something on stderr. Where nobody takes it, nobody is left to be told.
pub(crate) fn tell(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}
