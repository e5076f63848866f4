//! A page that is drawn in place, on a terminal that can.

use crate::failure::Failure;
use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use crossterm::terminal::{self, ClearType};
use crossterm::{cursor, queue};
use std::io::{self, Write};
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
                // Every line is overwritten and then cleared to its end, which does not flicker.
                queue!(out, cursor::MoveTo(0, row))?;
                write!(out, "{}", console::truncate_str(line, columns, "…"))?;
                queue!(out, terminal::Clear(ClearType::UntilNewLine))?;
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
        // Nothing is left to do where the terminal is gone.
        let mut out = io::stdout().lock();
        let _ = queue!(out, cursor::Show, terminal::LeaveAlternateScreen);
        let _ = out.flush();
        let _ = terminal::disable_raw_mode();
    }
}
