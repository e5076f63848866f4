//! One entry. Each key is an edit of the document, stored when it returns; what others write into it appears between two keys.

use super::{Hint, LABEL_WIDTH, Next, draw_input, faint, flow, mood_bar, pane, strong};
use crate::failure::Failure;
use crate::journal::Journal;
use crate::model::{Entry, MOOD_MAX, mood_in_a_word};
use crate::typing::{Line, Stroke, moved, pasted, place, rows, stroke};
use afield::{EditError, EntityId, Text, Value};
use jiff::ToSpan;
use jiff::civil::Date;
use ratatui::Frame;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Position, Rect, Size};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line as Shown, Span};
use ratatui::widgets::Paragraph;

/// One entry.
pub(crate) struct EntryPage {
    id: EntityId,
    /// As it is shown: the cursors stand in these texts.
    entry: Entry,
    is_deleted: bool,
    focus: Focus,
    title_at: usize,
    text_at: usize,
    /// An activity that is being typed.
    activity: Line,
    /// The activity that was chosen, among those of the entry.
    chosen: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Focus {
    Title,
    Mood,
    Activities,
    Text,
}

impl EntryPage {
    pub(crate) fn open(journal: &Journal, id: EntityId) -> Result<Self, Failure> {
        let entry = journal.entries.read(id)?;
        let (title_at, text_at) = (entry.title.len(), entry.text.len());
        let focus = if entry.title.is_empty() { Focus::Title } else { Focus::Text };
        let (activity, chosen, is_deleted) = (Line::default(), 0, false);
        Ok(Self { id, entry, is_deleted, focus, title_at, text_at, activity, chosen })
    }

    /// Shows the entry as it is now; the cursors stay behind the same characters.
    pub(crate) fn refresh(&mut self, journal: &Journal) -> Result<(), Failure> {
        let entry = journal.entries.read(self.id)?;
        self.is_deleted = journal.entries.entity(self.id)?.is_deleted()?;
        self.title_at = moved(self.title_at, &self.entry.title, &entry.title);
        self.text_at = moved(self.text_at, &self.entry.text, &entry.text);
        self.chosen = self.chosen.min(entry.activities.len().saturating_sub(1));
        self.entry = entry;
        Ok(())
    }

    pub(crate) fn key(&mut self, key: &KeyEvent, journal: &mut Journal, size: Size) -> Result<Next, Failure> {
        let has_control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Esc => return Ok(Next::Back),
            KeyCode::F(2) => return Ok(Next::History(self.id)),
            KeyCode::F(3) => self.move_day(journal, -1)?,
            KeyCode::F(4) => self.move_day(journal, 1)?,
            KeyCode::Tab => self.focus = self.focus.next(),
            KeyCode::BackTab => self.focus = self.focus.next().next().next(),
            KeyCode::Char('z') if has_control => return self.undo(journal),
            KeyCode::Char('y') if has_control => return self.redo(journal),
            KeyCode::Enter if self.focus == Focus::Title => self.focus = Focus::Text,
            _ => match self.focus {
                Focus::Title => match stroke(key, &self.entry.title, self.title_at, None) {
                    Some(stroke) => self.write(journal, stroke)?,
                    None => return Ok(Next::Unused),
                },
                Focus::Text => match stroke(key, &self.entry.text, self.text_at, Some(text_width(size))) {
                    Some(stroke) => self.write(journal, stroke)?,
                    None => return Ok(Next::Unused),
                },
                Focus::Mood => return self.mood_key(key, journal),
                Focus::Activities => return self.activity_key(key, journal),
            },
        }
        Ok(Next::Stay)
    }

    pub(crate) fn paste(&mut self, text: &str, journal: &Journal) -> Result<(), Failure> {
        let at = match self.focus {
            Focus::Title => self.title_at,
            Focus::Text => self.text_at,
            Focus::Activities => {
                self.activity.paste(text);
                return Ok(());
            }
            Focus::Mood => return Ok(()),
        };
        self.write(journal, Stroke::Splice { at, delete: 0, insert: pasted(text, self.focus == Focus::Text) })
    }

    /// Writes what was typed into the document, at the characters that the person saw: what others have written since
    /// the screen was drawn is in it by now.
    fn write(&mut self, journal: &Journal, stroke: Stroke) -> Result<(), Failure> {
        let is_title = self.focus == Focus::Title;
        let (field, cursor) = if is_title { ("title", &mut self.title_at) } else { ("text", &mut self.text_at) };
        let (start, delete, insert) = match stroke {
            Stroke::Move(at) => {
                *cursor = at;
                return Ok(());
            }
            Stroke::Splice { at, delete, insert } => (at, delete, insert),
        };
        let shown = if is_title { self.entry.title.as_str() } else { self.entry.text.as_str() };
        let ((at, now), _write) = journal.entries.entity(self.id)?.edit(|edit| {
            let now = edit.read(field)?.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
            let (at, end) = (moved(start, shown, &now), moved(start + delete, shown, &now));
            match is_title {
                true => edit.splice_text(field, at, end - at, &insert)?,
                false => edit.splice_long_text(field, at, end - at, &insert)?,
            }
            let mut now = Text::from(now);
            now.splice(at, end - at, &insert);
            Ok::<_, EditError>((at, now))
        })?;
        // What others write from now on moves the cursor with it.
        *cursor = at + insert.chars().count();
        match is_title {
            true => self.entry.title = now,
            false => self.entry.text.set(now),
        }
        Ok(())
    }

    fn mood_key(&mut self, key: &KeyEvent, journal: &Journal) -> Result<Next, Failure> {
        let mood = self.entry.mood;
        let mood = match key.code {
            KeyCode::Char(digit @ '1'..='5') => digit.to_digit(10).and_then(|mood| u8::try_from(mood).ok()),
            KeyCode::Char('0') | KeyCode::Backspace | KeyCode::Delete => None,
            KeyCode::Right => Some(mood.map_or(1, |mood| (mood + 1).min(MOOD_MAX))),
            KeyCode::Left => mood.and_then(|mood| mood.checked_sub(1)).filter(|mood| *mood > 0),
            _ => return Ok(Next::Unused),
        };
        // The mood alone becomes an operation, and nothing where it is the same.
        journal.entries.edit(self.id, |entry| entry.mood = mood)?;
        Ok(Next::Stay)
    }

    fn activity_key(&mut self, key: &KeyEvent, journal: &Journal) -> Result<Next, Failure> {
        let names: Vec<&String> = self.entry.activities.keys().collect();
        let chosen = names.get(self.chosen).copied().filter(|_| self.activity.text.is_empty());
        match (key.code, chosen) {
            (KeyCode::Enter, _) if !self.activity.text.trim().is_empty() => {
                let name = std::mem::take(&mut self.activity).text.trim().to_owned();
                journal.entries.edit(self.id, |entry| entry.activities.entry(name).or_default().increment(1))?;
            }
            (KeyCode::Left, Some(_)) => self.chosen = self.chosen.saturating_sub(1),
            (KeyCode::Right, Some(_)) => self.chosen = (self.chosen + 1).min(names.len().saturating_sub(1)),
            (KeyCode::Char('+'), Some(name)) => {
                journal
                    .entries
                    .edit(self.id, |entry| entry.activities.entry(name.clone()).or_default().increment(1))?;
            }
            (KeyCode::Char('-') | KeyCode::Delete, Some(name)) => {
                let is_gone = key.code == KeyCode::Delete;
                journal.entries.edit(self.id, |entry| match entry.activities.get_mut(name) {
                    Some(count) if count.value() > 1 && !is_gone => count.increment(-1),
                    _ => drop(entry.activities.remove(name)),
                })?;
            }
            _ if self.activity.key(key) => {}
            _ => return Ok(Next::Unused),
        }
        Ok(Next::Stay)
    }

    /// Makes it an entry about another day.
    fn move_day(&self, journal: &Journal, days: i32) -> Result<(), Failure> {
        let day = self.entry.day.parse().unwrap_or_else(|_| journal.today());
        let day: Date = day.saturating_add(days.days());
        journal.entries.edit(self.id, |entry| entry.day = day.to_string())?;
        Ok(())
    }

    fn undo(&self, journal: &Journal) -> Result<Next, Failure> {
        Ok(match journal.entries.undo(self.id)? {
            Some(_) => Next::Stay,
            None => Next::Tell("there is nothing of this device's to undo".to_owned()),
        })
    }

    fn redo(&self, journal: &Journal) -> Result<Next, Failure> {
        Ok(match journal.entries.redo(self.id)? {
            Some(_) => Next::Stay,
            None => Next::Tell("there is nothing to redo".to_owned()),
        })
    }

    pub(crate) fn hints(&self) -> Vec<Hint> {
        let mut hints = match self.focus {
            Focus::Mood => vec![("1-5 ←→", "mood"), ("0", "none")],
            Focus::Activities => vec![("type, Enter", "add"), ("←→", "choose"), ("+ -", "count"), ("Del", "remove")],
            Focus::Title | Focus::Text => vec![],
        };
        hints.extend([
            ("Tab", "next field"),
            ("^Z", "undo"),
            ("^Y", "redo"),
            ("F2", "history"),
            ("F3 F4", "day"),
            ("Esc", "back"),
        ]);
        hints
    }

    pub(crate) fn draw(&self, frame: &mut Frame<'_>, area: Rect) {
        let title = match self.is_deleted {
            true => format!("{} · in the trash, ^Y takes it back", self.entry.day),
            false => self.entry.day.clone(),
        };
        let block = pane(title);
        let inner = block.inner(area);
        frame.render_widget(block, area);
        let width = inner.width.saturating_sub(LABEL_WIDTH);
        let activities_shown = self.activities_shown(usize::from(width));
        let line = Constraint::Length(1);
        let many = Constraint::Length(u16::try_from(activities_shown.len()).unwrap_or(u16::MAX));
        let [title, mood, activities, adding, rule, text] =
            Layout::vertical([line, line, many, line, line, Constraint::Fill(1)]).areas(inner);
        let shown = Line { text: self.entry.title.to_string(), at: self.title_at };
        draw_input(frame, title, "Title", &shown, self.focus == Focus::Title);
        self.draw_mood(frame, mood);
        frame.render_widget(self.label("Activities", Focus::Activities), activities);
        let beside = Rect { x: activities.x + LABEL_WIDTH, width, ..activities };
        frame.render_widget(Paragraph::new(activities_shown), beside);
        draw_input(frame, adding, "  add", &self.activity, self.focus == Focus::Activities);
        frame.render_widget(Span::styled("─".repeat(usize::from(rule.width)), faint()), rule);
        self.draw_text(frame, text);
    }

    fn label(&self, name: &str, focus: Focus) -> Span<'static> {
        let style = if self.focus == focus { strong().fg(Color::Cyan) } else { faint() };
        Span::styled(format!("{name:<11} "), style)
    }

    fn draw_mood(&self, frame: &mut Frame<'_>, area: Rect) {
        let word = self.entry.mood.map_or("none yet", mood_in_a_word);
        let line = [self.label("Mood", Focus::Mood), mood_bar(self.entry.mood), Span::raw(format!(" {word}"))];
        frame.render_widget(Shown::from_iter(line), area);
    }

    fn activities_shown(&self, width: usize) -> Vec<Shown<'static>> {
        let named = self.entry.activities.iter().enumerate().map(|(number, (name, count))| {
            let is_chosen = self.focus == Focus::Activities && number == self.chosen;
            let style = Style::new().fg(Color::Magenta);
            let style = if is_chosen { style.add_modifier(Modifier::REVERSED) } else { style };
            vec![Span::styled(format!("{name} ×{}", count.value()), style), Span::raw("  ")]
        });
        flow(named, width)
    }

    fn draw_text(&self, frame: &mut Frame<'_>, area: Rect) {
        let rows = rows(&self.entry.text, usize::from(area.width).saturating_sub(1));
        let (row, column) = place(&rows, self.text_at);
        let height = usize::from(area.height.max(1));
        let first = (row + 1).saturating_sub(height);
        let shown: Vec<_> = rows.into_iter().skip(first).take(height).map(|row| Shown::raw(row.text)).collect();
        frame.render_widget(Paragraph::new(shown), area);
        if self.focus == Focus::Text {
            let column = u16::try_from(column).unwrap_or(u16::MAX).min(area.width.saturating_sub(1));
            let row = u16::try_from(row - first).unwrap_or(u16::MAX);
            frame.set_cursor_position(Position::new(area.x + column, area.y + row));
        }
    }
}

/// How many columns the text has in a window: without the frame, and one for a cursor behind the last character.
fn text_width(size: Size) -> usize {
    usize::from(size.width).saturating_sub(3)
}

impl Focus {
    fn next(self) -> Self {
        match self {
            Self::Title => Self::Mood,
            Self::Mood => Self::Activities,
            Self::Activities => Self::Text,
            Self::Text => Self::Title,
        }
    }
}
