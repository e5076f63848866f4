//! A page that is drawn in place, on a terminal that can.

use crate::failure::Failure;
use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use crossterm::terminal::{self, ClearType};
use crossterm::{cursor, queue};
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

/// The terminal, given to one page; it is as it was once this is gone.
#[derive(Debug)]
pub(crate) struct Screen(());

/// What a person wants of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// To look on.
    LookOn,
    /// To see it anew, in another size.
    Draw,
    /// To leave.
    Leave,
}

impl Screen {
    /// Takes the terminal.
    pub(crate) fn take() -> Result<Self, Failure> {
        // From here on it is put back whatever happens.
        let screen = Self(());
        let taken = || {
            terminal::enable_raw_mode()?;
            let mut out = io::stdout().lock();
            queue!(out, terminal::EnterAlternateScreen, cursor::Hide)?;
            out.flush()
        };
        taken().map_err(Failure::Output)?;
        Ok(screen)
    }

    /// How many columns and rows there are.
    pub(crate) fn size(&self) -> (usize, usize) {
        let (columns, rows) = terminal::size().unwrap_or((80, 24));
        (usize::from(columns), usize::from(rows))
    }

    /// Shows these lines, as far as there is room for them.
    pub(crate) fn draw(&self, page: &str) -> Result<(), Failure> {
        let (columns, rows) = self.size();
        let drawn = || {
            let mut out = io::stdout().lock();
            queue!(out, cursor::MoveTo(0, 0))?;
            for (row, line) in (0_u16..).zip(page.lines().take(rows)) {
                let line = console::truncate_str(line, columns, "…");
                queue!(out, cursor::MoveTo(0, row))?;
                write!(out, "{line}")?;
                // Every line is overwritten and then cleared to its end, which does not flicker. Behind a line that fills the
                // width the cursor still stands on its last character, which would be cleared.
                if console::measure_text_width(&line) < columns {
                    queue!(out, terminal::Clear(ClearType::UntilNewLine))?;
                }
            }
            if page.lines().count() < rows {
                write!(out, "\r\n")?;
                queue!(out, terminal::Clear(ClearType::FromCursorDown))?;
            }
            out.flush()
        };
        drawn().map_err(Failure::Output)
    }

    /// Waits so long for a key, or for another size.
    pub(crate) fn wish(&self, time: Duration) -> Result<Wish, Failure> {
        let read = || if event::poll(time)? { event::read().map(Some) } else { Ok(None) };
        Ok(match read().map_err(|source| Failure::System { what: "key", source })? {
            Some(Event::Resize(..)) => Wish::Draw,
            Some(Event::Key(key)) if leaves(key) => Wish::Leave,
            _ => Wish::LookOn,
        })
    }
}

fn leaves(key: KeyEvent) -> bool {
    let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
    let is_leaving = match key.code {
        KeyCode::Char('q' | 'Q') | KeyCode::Esc => true,
        KeyCode::Char('c' | 'd') => is_control,
        _ => false,
    };
    is_leaving && key.kind == KeyEventKind::Press
}

impl Drop for Screen {
    fn drop(&mut self) {
        put_back(io::stdout().lock());
    }
}

/// Makes the terminal what it was before a page took it, where the process ends at once; nothing where no page did.
/// Whoever draws may hold the standard output for as long as the terminal takes nothing, so it is not waited for.
pub(crate) fn put_back_at_once() {
    if terminal::is_raw_mode_enabled().unwrap_or(false) {
        let error = io::stderr();
        if error.is_terminal() { put_back(error) } else { put_back(io::sink()) }
    }
}

fn put_back(mut out: impl Write) {
    // Nothing is left to do where the terminal is gone.
    let _ = terminal::disable_raw_mode();
    let _ = queue!(out, cursor::Show, terminal::LeaveAlternateScreen);
    let _ = out.flush();
}
