//! Settings: who writes, on which device, with which relay; and the id by which a second device joins the journal.

use super::{Hint, Next, choose, draw_input, faint, pane, strong};
use crate::failure::Failure;
use crate::journal::Journal;
use crate::settings::{Secret, Settings as Kept};
use crate::typing::Line;
use ratatui::Frame;
use ratatui::crossterm::event::{KeyCode, KeyEvent};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Modifier;
use ratatui::text::{Line as Shown, Span};
use ratatui::widgets::{Paragraph, Wrap};

/// What may be set, and what it is for.
const ROWS: [(&str, &str); 5] = [
    ("Author", "your name, as the others see it in histories and conflicts"),
    ("Device", "what this device is called there"),
    ("Relay", "such as wss://relay.example.org, or ws://127.0.0.1:8453 on this machine"),
    ("Token", "what the relay's operator gave you; kept beside the store for you alone, and never shown"),
    ("Join", "the id of a journal that was begun on another device: it takes this one's place"),
];

/// The settings.
#[derive(Default)]
pub(crate) struct Settings {
    selected: usize,
    /// The value of the chosen row while it is being typed.
    typing: Option<Line>,
    kept: Kept,
    journal: String,
    device: String,
}

impl Settings {
    pub(crate) fn refresh(&mut self, journal: &Journal) {
        self.kept = journal.settings.clone();
        self.journal = journal.space.id().to_string();
        self.device = journal.replica.device().to_string();
    }

    pub(crate) fn key(&mut self, key: &KeyEvent, journal: &mut Journal) -> Result<Next, Failure> {
        let Some(line) = &mut self.typing else {
            if choose(&mut self.selected, ROWS.len(), key) {
                return Ok(Next::Stay);
            }
            if key.code == KeyCode::Enter {
                self.typing = Some(Line::new(&self.value(self.selected)));
                return Ok(Next::Stay);
            }
            return Ok(Next::Unused);
        };
        match key.code {
            KeyCode::Esc => self.typing = None,
            KeyCode::Enter => {
                let text = line.text.trim().to_owned();
                let next = keep(journal, self.selected, text)?;
                self.typing = None;
                return Ok(next);
            }
            _ if line.key(key) => {}
            _ => return Ok(Next::Unused),
        }
        Ok(Next::Stay)
    }

    /// What typing begins with: a token is typed anew.
    fn value(&self, row: usize) -> String {
        match row {
            0 => self.kept.author.clone(),
            1 => self.kept.device_name.clone(),
            2 => self.kept.relay.clone(),
            _ => String::new(),
        }
    }

    pub(crate) fn paste(&mut self, text: &str) {
        if let Some(line) = &mut self.typing {
            line.paste(text);
        }
    }

    pub(crate) fn hints(&self) -> Vec<Hint> {
        match self.typing {
            Some(_) => vec![("Enter", "keep"), ("Esc", "give up")],
            None => vec![("↑↓", "choose"), ("Enter", "change"), ("1-6", "other pages"), ("q", "quit")],
        }
    }

    pub(crate) fn draw(&self, frame: &mut Frame<'_>, area: Rect) {
        let block = pane("Settings");
        let inner = block.inner(area);
        frame.render_widget(block, area);
        let rows = u16::try_from(ROWS.len()).unwrap_or(u16::MAX);
        let [lines, help, ids] =
            Layout::vertical([Constraint::Length(rows + 1), Constraint::Length(4), Constraint::Fill(1)]).areas(inner);
        for (number, (row, (name, _))) in (0_u16..).zip(ROWS.iter().enumerate()) {
            let area = Rect { y: lines.y + number, height: 1, ..lines }.intersection(lines);
            match &self.typing {
                // A token is as long as it is, and nobody behind the person reads it.
                Some(line) if row == self.selected && row == 3 => {
                    let length = line.text.chars().count();
                    draw_input(frame, area, name, &Line { text: "•".repeat(length), at: line.at }, true);
                }
                Some(line) if row == self.selected => draw_input(frame, area, name, line, true),
                _ => self.draw_row(frame, area, row, name),
            }
        }
        let (name, text) = ROWS.get(self.selected).copied().unwrap_or_default();
        frame.render_widget(Paragraph::new(format!("{name}: {text}")).style(faint()).wrap(Wrap { trim: true }), help);
        let lines = vec![
            Shown::styled("This journal's id: a second device joins it by typing it at Join", faint()),
            Shown::styled(format!("  {}", self.journal), strong()),
            Shown::styled("This device's id", faint()),
            Shown::raw(format!("  {}", self.device)),
        ];
        frame.render_widget(Paragraph::new(lines), ids);
    }

    fn draw_row(&self, frame: &mut Frame<'_>, area: Rect, row: usize, name: &str) {
        let value = match row {
            3 if self.kept.token.0.is_empty() => "none".to_owned(),
            3 => "••••••••".to_owned(),
            4 => "…".to_owned(),
            _ => self.value(row),
        };
        let style = if row == self.selected { strong().add_modifier(Modifier::REVERSED) } else { strong() };
        let line = [Span::styled(format!("{name:<11}"), style), Span::raw(format!(" {value}"))];
        frame.render_widget(Shown::from_iter(line), area);
    }
}

/// Takes a new value over.
fn keep(journal: &mut Journal, row: usize, text: String) -> Result<Next, Failure> {
    let settings = journal.settings.clone();
    match row {
        0 => journal.set(Kept { author: text, ..settings })?,
        1 => journal.set(Kept { device_name: text, ..settings })?,
        2 => journal.set(Kept { relay: text, ..settings })?,
        3 => journal.set(Kept { token: Secret(text), ..settings })?,
        _ if text.is_empty() => {}
        _ => {
            journal.join(text.parse()?)?;
            return Ok(Next::Joined);
        }
    }
    Ok(Next::Stay)
}
