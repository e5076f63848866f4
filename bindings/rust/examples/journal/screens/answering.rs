//! A questionnaire that is being filled in.

use super::{Hint, Next, choose, draw_list, pane};
use crate::failure::Failure;
use crate::journal::Journal;
use crate::model::{Answers, Questionnaire};
use afield::{EntityId, Timestamp};
use ratatui::Frame;
use ratatui::crossterm::event::{KeyCode, KeyEvent};
use ratatui::layout::Rect;
use ratatui::text::{Line as Shown, Span};
use ratatui::widgets::ListItem;

/// The widest scale that is drawn as a bar.
const BAR_MAX: u8 = 10;

/// A questionnaire that is being filled in.
pub(crate) struct Answering {
    id: EntityId,
    questionnaire: Questionnaire,
    /// The answer to each question.
    values: Vec<u8>,
    selected: usize,
}

impl Answering {
    pub(crate) fn open(journal: &Journal, id: EntityId) -> Result<Self, Failure> {
        let questionnaire = journal.questionnaires.read(id)?;
        let values = vec![0; questionnaire.questions.len()];
        Ok(Self { id, questionnaire, values, selected: 0 })
    }

    pub(crate) fn key(&mut self, key: &KeyEvent, journal: &mut Journal) -> Result<Next, Failure> {
        if choose(&mut self.selected, self.values.len(), key) {
            return Ok(Next::Stay);
        }
        let scale = self.questionnaire.scale;
        let Some(value) = self.values.get_mut(self.selected) else { return Ok(Next::Back) };
        match key.code {
            KeyCode::Esc => return Ok(Next::Back),
            KeyCode::Left => *value = value.saturating_sub(1),
            KeyCode::Right => *value = (*value + 1).min(scale),
            KeyCode::Char(digit @ '0'..='9') => {
                let digit = digit.to_digit(10).and_then(|digit| u8::try_from(digit).ok()).unwrap_or(0);
                *value = digit.min(scale);
            }
            KeyCode::Enter if self.selected + 1 < self.values.len() => self.selected += 1,
            KeyCode::Enter => return self.save(journal),
            _ => return Ok(Next::Unused),
        }
        Ok(Next::Stay)
    }

    fn save(&self, journal: &Journal) -> Result<Next, Failure> {
        let ids = self.questionnaire.questions.iter().map(|question| question.id.clone());
        let total = self.values.iter().copied().map(u32::from).sum();
        let values = ids.zip(self.values.iter().copied()).collect();
        let at = Timestamp::from_millis(journal.now_ms());
        journal.answers.insert(&Answers { questionnaire: self.id, at, values, total })?;
        Ok(Next::Done(format!("kept: {total} in all")))
    }

    pub(crate) fn hints(&self) -> Vec<Hint> {
        vec![("←→ 0-9", "answer"), ("↑↓", "choose"), ("Enter", "next, and keep at the last"), ("Esc", "give up")]
    }

    pub(crate) fn draw(&self, frame: &mut Frame<'_>, area: Rect) {
        let block = pane(format!("{} · 0 is not at all, {} most", self.questionnaire.name, self.questionnaire.scale));
        let inner = block.inner(area);
        frame.render_widget(block, area);
        let items = self.questionnaire.questions.iter().zip(&self.values).map(|(question, value)| {
            let scale = self.questionnaire.scale;
            let bar = match scale {
                0..=BAR_MAX => "●".repeat(usize::from(*value)) + &"○".repeat(usize::from(scale.saturating_sub(*value))),
                _ => String::new(),
            };
            ListItem::new(vec![
                Shown::raw(question.text.to_string()),
                Shown::from(Span::raw(format!("  {value:>3} {bar}"))),
            ])
        });
        draw_list(frame, inner, items, self.selected);
    }
}
