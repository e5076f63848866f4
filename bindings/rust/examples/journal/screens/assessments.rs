//! Assessments: questionnaires that a person has made, each with a schedule; what is due, and how the answers went.

use super::{Hint, Next, alarming, choose, draw_list, faint, pane, span_in_words};
use crate::failure::Failure;
use crate::journal::Journal;
use crate::model::Questionnaire;
use afield::{EntityId, QueryValue};
use ratatui::Frame;
use ratatui::crossterm::event::{KeyCode, KeyEvent};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style};
use ratatui::text::{Line as Shown, Span};
use ratatui::widgets::{ListItem, Paragraph, Sparkline};

/// How many answers a chart shows.
const ANSWERS_MAX: usize = 60;

/// The questionnaires.
#[derive(Default)]
pub(crate) struct Assessments {
    pub(crate) items: Vec<Item>,
    selected: usize,
}

pub(crate) struct Item {
    pub(crate) id: EntityId,
    pub(crate) questionnaire: Questionnaire,
    /// When it was answered last, on this person's clocks.
    last: Option<String>,
    /// When it is due, in milliseconds since the Unix epoch; at once where nobody has answered it.
    due_ms: i64,
    pub(crate) is_due: bool,
    /// The sums of the answers, from the earliest.
    pub(crate) totals: Vec<u64>,
    now_ms: i64,
}

impl Assessments {
    pub(crate) fn refresh(&mut self, journal: &Journal) -> Result<(), Failure> {
        let now_ms = journal.now_ms();
        let mut items = Vec::new();
        for (id, questionnaire) in journal.questionnaires.list()?.entities {
            let answers = journal.answers.query("questionnaire = ?", [id])?;
            let last = match answers.max("at")? {
                QueryValue::Integer(at_ms) => Some(at_ms),
                _ => None,
            };
            let due_ms = last.map_or(Some(0), |at_ms| questionnaire.schedule.next_after(at_ms)).unwrap_or(i64::MAX);
            // As JSON the answer is made of what queries read, and no document is opened for it.
            let latest =
                journal.answers.json().query("questionnaire = ?", [id])?.order_by_desc("at").limit(ANSWERS_MAX);
            let total = |answers: &serde_json::Value| answers.get("total").and_then(serde_json::Value::as_u64);
            let totals = latest.all()?.iter().rev().filter_map(|(_, answers)| total(answers)).collect();
            let (last, is_due) = (last.map(|at_ms| journal.local(at_ms)), due_ms <= now_ms);
            items.push(Item { id, questionnaire, last, due_ms, is_due, totals, now_ms });
        }
        items.sort_by_key(|item| (item.due_ms, item.id));
        let chosen = self.items.get(self.selected).map(|item| item.id);
        let at = items.iter().position(|item| Some(item.id) == chosen);
        self.selected = at.unwrap_or(self.selected.min(items.len().saturating_sub(1)));
        self.items = items;
        Ok(())
    }

    /// How many are due.
    pub(crate) fn due(&self) -> usize {
        self.items.iter().filter(|item| item.is_due).count()
    }

    pub(crate) fn key(&mut self, key: &KeyEvent, journal: &mut Journal) -> Result<Next, Failure> {
        if choose(&mut self.selected, self.items.len(), key) {
            return Ok(Next::Stay);
        }
        match (key.code, self.items.get(self.selected)) {
            (KeyCode::Char('n'), _) => Ok(Next::Form),
            (KeyCode::Enter, Some(item)) => Ok(Next::Answer(item.id)),
            (KeyCode::Char('d'), Some(item)) => {
                let name = item.questionnaire.name.clone();
                journal.questionnaires.delete(item.id)?;
                Ok(Next::Tell(format!("{name} is deleted; u takes it back, with its answers")))
            }
            (KeyCode::Char('u'), _) => match journal.questionnaires.deleted()?.last() {
                Some(id) => {
                    journal.questionnaires.restore(*id)?;
                    Ok(Next::Tell("restored".to_owned()))
                }
                None => Ok(Next::Tell("nothing was deleted".to_owned())),
            },
            _ => Ok(Next::Unused),
        }
    }

    pub(crate) fn hints(&self) -> Vec<Hint> {
        vec![
            ("Enter", "answer"),
            ("n", "new questionnaire"),
            ("d", "delete"),
            ("u", "take back"),
            ("↑↓", "choose"),
            ("q", "quit"),
        ]
    }

    pub(crate) fn draw(&self, frame: &mut Frame<'_>, area: Rect) {
        let [left, right] = Layout::horizontal([Constraint::Percentage(50), Constraint::Percentage(50)]).areas(area);
        let block = pane("Assessments");
        let inner = block.inner(left);
        frame.render_widget(block, left);
        if self.items.is_empty() {
            super::draw_text(
                frame,
                inner,
                "No questionnaire is here yet: n makes one, with its questions and schedule.",
            );
            return;
        }
        draw_list(frame, inner, self.items.iter().map(shown), self.selected);
        if let Some(item) = self.items.get(self.selected) {
            draw_item(frame, right, item);
        }
    }
}

fn shown(item: &Item) -> ListItem<'static> {
    let when = match u64::try_from(item.due_ms.saturating_sub(item.now_ms)) {
        _ if item.is_due => Span::styled("due now", alarming()),
        Ok(ms) => Span::styled(format!("due in {}", span_in_words(ms)), faint()),
        Err(_) => Span::raw(""),
    };
    let first = Shown::raw(item.questionnaire.name.clone());
    ListItem::new(vec![first, Shown::from_iter([Span::raw("  "), when])])
}

fn draw_item(frame: &mut Frame<'_>, area: Rect, item: &Item) {
    let block = pane(item.questionnaire.name.clone());
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let count = u16::try_from(item.questionnaire.questions.len()).unwrap_or(u16::MAX);
    let [head, questions, name, chart] = Layout::vertical([
        Constraint::Length(2),
        Constraint::Max(count.saturating_add(1)),
        Constraint::Length(1),
        Constraint::Max(8),
    ])
    .areas(inner);
    let last = item.last.as_ref().map_or("never answered".to_owned(), |at| format!("answered {at}"));
    let lines = vec![Shown::raw(item.questionnaire.schedule.to_string()), Shown::raw(last)];
    frame.render_widget(Paragraph::new(lines).style(faint()), head);
    let lines = item.questionnaire.questions.iter().map(|question| Shown::raw(format!("· {}", question.text)));
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), questions);
    if item.totals.is_empty() {
        return;
    }
    let most = u64::from(item.questionnaire.scale) * u64::from(count);
    let text = format!("Last {} sums, of {most}:", item.totals.len());
    frame.render_widget(Span::styled(text, faint()), name);
    let sparkline = Sparkline::default().data(&item.totals).max(most).style(Style::new().fg(Color::Green));
    frame.render_widget(sparkline, chart);
}
