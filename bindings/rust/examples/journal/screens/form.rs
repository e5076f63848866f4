//! A new questionnaire: its name, its schedule, its scale and its questions.

use super::{Hint, Next, draw_input, faint, pane};
use crate::failure::Failure;
use crate::journal::Journal;
use crate::model::{Question, Questionnaire};
use crate::typing::Line;
use afield::{Schedule, ScheduleError};
use jiff::tz::TimeZone;
use ratatui::Frame;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::widgets::Paragraph;

/// The lines before the questions.
const HEAD: [&str; 3] = ["Name", "Schedule", "Scale 0 to"];

/// A new questionnaire.
pub(crate) struct Form {
    /// Those of the head, then the questions; the last is free.
    lines: Vec<Line>,
    focus: usize,
}

impl Form {
    pub(crate) fn new() -> Self {
        Self { lines: vec![Line::default(), Line::new("every 7 d"), Line::new("3"), Line::default()], focus: 0 }
    }

    pub(crate) fn key(&mut self, key: &KeyEvent, journal: &mut Journal) -> Result<Next, Failure> {
        let last = self.lines.len().saturating_sub(1);
        match key.code {
            KeyCode::Esc => return Ok(Next::Back),
            KeyCode::Char('s') if key.modifiers.contains(KeyModifiers::CONTROL) => return self.save(journal),
            KeyCode::Up | KeyCode::BackTab => self.focus = self.focus.saturating_sub(1),
            KeyCode::Down | KeyCode::Tab | KeyCode::Enter => self.focus = (self.focus + 1).min(last),
            _ => {
                let is_used = self.lines.get_mut(self.focus).is_some_and(|line| line.key(key));
                self.leave_one_free();
                return Ok(if is_used { Next::Stay } else { Next::Unused });
            }
        }
        Ok(Next::Stay)
    }

    pub(crate) fn paste(&mut self, text: &str) {
        if let Some(line) = self.lines.get_mut(self.focus) {
            line.paste(text);
        }
        self.leave_one_free();
    }

    /// There is a free line for one more question.
    fn leave_one_free(&mut self) {
        if self.lines.last().is_some_and(|line| !line.text.is_empty()) {
            self.lines.push(Line::default());
        }
    }

    fn save(&self, journal: &Journal) -> Result<Next, Failure> {
        let text_of = |at: usize| self.lines.get(at).map(|line| line.text.trim()).unwrap_or_default();
        let texts = self.lines.iter().skip(HEAD.len()).map(|line| line.text.trim()).filter(|text| !text.is_empty());
        let questions: Vec<Question> =
            (1..).zip(texts).map(|(id, text): (u32, _)| Question { id: id.to_string(), text: text.into() }).collect();
        let scale = text_of(2).parse::<u8>().ok().filter(|scale| (1..=100).contains(scale)).ok_or(Failure::Scale)?;
        let (name, schedule) = (text_of(0).to_owned(), schedule_of(text_of(1), &journal.zone)?);
        if name.is_empty() || questions.is_empty() {
            return Err(Failure::Unfinished);
        }
        let told = format!("{name} is due now, and then {schedule}");
        journal.questionnaires.insert(&Questionnaire { name, schedule, scale, questions })?;
        Ok(Next::Done(told))
    }

    pub(crate) fn hints(&self) -> Vec<Hint> {
        vec![("↑↓ Enter", "next line"), ("^S", "save"), ("Esc", "give up")]
    }

    pub(crate) fn draw(&self, frame: &mut Frame<'_>, area: Rect) {
        let block = pane("A new questionnaire");
        let inner = block.inner(area);
        frame.render_widget(block, area);
        let [help, lines] = Layout::vertical([Constraint::Length(3), Constraint::Fill(1)]).areas(inner);
        let text =
            "Schedule: every 10 min, every 12 h, every 7 d;\nor as cron has it: 0 20 * * SUN is Sundays at 20:00.";
        frame.render_widget(Paragraph::new(text).style(faint()), help);
        let height = usize::from(lines.height.max(1));
        let first = (self.focus + 1).saturating_sub(height);
        for (row, (at, line)) in (0_u16..).zip(self.lines.iter().enumerate().skip(first).take(height)) {
            let name =
                HEAD.get(at).map_or_else(|| format!("Question {}", at + 1 - HEAD.len()), |name| (*name).to_owned());
            let area = Rect { y: lines.y + row, height: 1, ..lines };
            draw_input(frame, area, &name, line, at == self.focus);
        }
    }
}

/// A schedule as a person types it: the library's text, or a cron expression that goes by this person's clocks.
pub(crate) fn schedule_of(text: &str, zone: &TimeZone) -> Result<Schedule, ScheduleError> {
    match text.parse() {
        Err(ScheduleError::Text) if text.split_whitespace().count() == 5 => {
            Schedule::cron(text, zone.iana_name().unwrap_or("UTC"))
        }
        parsed => parsed,
    }
}
