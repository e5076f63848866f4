//! What two people did to one place without knowing of each other: both values side by side, and a key that decides.

use super::{Hint, Next, choose, draw_list, draw_text, faint, pane, strong};
use crate::failure::Failure;
use crate::journal::Journal;
use afield::{Choice, Conflict, ConflictKind, ConflictValue, DeviceId, Value};
use ratatui::Frame;
use ratatui::crossterm::event::{KeyCode, KeyEvent};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Color;
use ratatui::text::{Line as Shown, Span};
use ratatui::widgets::Paragraph;
use std::collections::BTreeMap;

/// What people have to decide.
#[derive(Default)]
pub(crate) struct Conflicts {
    conflicts: Vec<Conflict>,
    /// Each in words: what it is about, and its sides.
    shown: Vec<(String, Vec<Side>)>,
    selected: usize,
    /// The side that is chosen.
    side: usize,
}

struct Side {
    value: String,
    author: String,
    at: String,
    is_shown: bool,
}

impl Conflicts {
    pub(crate) fn refresh(&mut self, journal: &Journal) -> Result<(), Failure> {
        let chosen = self.conflicts.get(self.selected).map(|conflict| conflict.id);
        let names = journal.device_names()?;
        self.conflicts = journal.space.conflicts()?;
        self.shown = self
            .conflicts
            .iter()
            .map(|conflict| {
                let sides = conflict.values.iter().map(|value| side(journal, &names, conflict.kind, value));
                (about(journal, conflict), sides.collect())
            })
            .collect();
        let at = self.conflicts.iter().position(|conflict| Some(conflict.id) == chosen);
        if at.is_none() {
            self.side = 0;
        }
        self.selected = at.unwrap_or(self.selected.min(self.conflicts.len().saturating_sub(1)));
        Ok(())
    }

    pub(crate) fn key(&mut self, key: &KeyEvent) -> Result<Next, Failure> {
        if choose(&mut self.selected, self.conflicts.len(), key) {
            self.side = 0;
            return Ok(Next::Stay);
        }
        let Some(conflict) = self.conflicts.get(self.selected) else { return Ok(Next::Unused) };
        match key.code {
            KeyCode::Left => self.side = self.side.saturating_sub(1),
            KeyCode::Right => self.side = (self.side + 1).min(conflict.values.len().saturating_sub(1)),
            KeyCode::Enter => {
                // An ordinary edit: it ends the conflict on every device.
                conflict.resolve(&Choice::Keep(self.side))?;
                return Ok(Next::Tell("decided, on every device".to_owned()));
            }
            _ => return Ok(Next::Unused),
        }
        Ok(Next::Stay)
    }

    pub(crate) fn hints(&self) -> Vec<Hint> {
        vec![("↑↓", "conflict"), ("←→", "side"), ("Enter", "keep this side"), ("1-6", "other pages"), ("q", "quit")]
    }

    pub(crate) fn draw(&self, frame: &mut Frame<'_>, area: Rect) {
        let [above, below] = Layout::vertical([Constraint::Percentage(40), Constraint::Fill(1)]).areas(area);
        let block = pane("To decide");
        let inner = block.inner(above);
        frame.render_widget(block, above);
        if self.shown.is_empty() {
            let text = "Nothing is to be decided. Where two devices set the same mood without a network, one of the two \
                        values is shown, and both stand here.";
            draw_text(frame, inner, text);
            return;
        }
        draw_list(frame, inner, self.shown.iter().map(|(about, _)| Shown::raw(about.clone())), self.selected);
        let Some((_, sides)) = self.shown.get(self.selected) else { return };
        let areas = Layout::horizontal(sides.iter().map(|_| Constraint::Fill(1))).split(below);
        for (number, (side, area)) in sides.iter().zip(areas.iter()).enumerate() {
            draw_side(frame, *area, side, number == self.side);
        }
    }
}

fn draw_side(frame: &mut Frame<'_>, area: Rect, side: &Side, is_chosen: bool) {
    let block = pane(if is_chosen { "Enter keeps this" } else { "" });
    let block = if is_chosen { block.border_style(strong().fg(Color::Cyan)) } else { block };
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let [head, value] = Layout::vertical([Constraint::Length(4), Constraint::Fill(1)]).areas(inner);
    let standing = if side.is_shown { "shown now" } else { "not shown" };
    let lines = vec![
        Shown::raw(side.author.clone()),
        Shown::styled(side.at.clone(), faint()),
        Shown::from(Span::styled(standing, if side.is_shown { strong() } else { faint() })),
    ];
    frame.render_widget(Paragraph::new(lines), head);
    draw_text(frame, value, &side.value);
}

/// What a conflict is about: the field and the entry.
fn about(journal: &Journal, conflict: &Conflict) -> String {
    let of = match journal.entries.read(conflict.entity) {
        Ok(entry) if conflict.collection == journal.entries.name() => format!("{} {}", entry.day, entry.title),
        _ => format!("an entity of {}", conflict.collection),
    };
    let place = if conflict.path.is_root() { "deleted or not".to_owned() } else { conflict.path.to_string() };
    format!("{place} · {of}")
}

fn side(journal: &Journal, names: &BTreeMap<DeviceId, String>, kind: ConflictKind, side: &ConflictValue) -> Side {
    let author = side.author.clone().unwrap_or_else(|| "somebody".to_owned());
    let device = side.device.and_then(|device| names.get(&device)).map(|name| format!(" on {name}"));
    let value = match &side.value {
        None => "deleted".to_owned(),
        Some(value) if kind == ConflictKind::Entity => format!("kept, with {}", in_words(value)),
        Some(value) => in_words(value),
    };
    Side { value, author: author + &device.unwrap_or_default(), at: journal.local(side.at_ms), is_shown: side.wins }
}

fn in_words(value: &Value) -> String {
    match value.as_str() {
        Some(text) => text.to_owned(),
        None => value.to_json().to_string(),
    }
}
