//! The days: a live list of entries, with full-text search, filters and the trash.

use super::{Hint, Next, alarming, choose, draw_entry, draw_input, draw_list, faint, mood_bar, pane};
use crate::failure::Failure;
use crate::journal::{Filter, Journal};
use crate::model::{Entry, MOOD_MAX, mood_in_a_word};
use crate::typing::Line;
use afield::{EntityId, Listing, LiveQuery, QueryError};
use ratatui::Frame;
use ratatui::crossterm::event::{KeyCode, KeyEvent};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line as Shown, Span};
use ratatui::widgets::Paragraph;

/// How many entries are listed at first; as many more each time the end is reached.
const ENTRIES_PER_PAGE: usize = 200;
/// How many entries a search shows.
const FOUND_MAX: usize = 50;

/// The days.
pub(crate) struct Days {
    /// The entries that the filter leaves: it tells when these are others, whoever wrote them.
    live: LiveQuery<Listing<Entry>>,
    filter: Filter,
    limit: usize,
    listed: Vec<Row>,
    /// Entries of a newer version that this one cannot read.
    unreadable: usize,
    mode: Mode,
    selected: usize,
}

enum Mode {
    List,
    Search { words: Line, found: Vec<Row> },
    Trash { deleted: Vec<Row> },
}

struct Row {
    id: EntityId,
    entry: Entry,
    /// The piece of text that fits a search best.
    snippet: Option<String>,
}

impl Row {
    fn new((id, entry): (EntityId, Entry)) -> Self {
        Self { id, entry, snippet: None }
    }
}

impl Days {
    pub(crate) fn new(journal: &Journal) -> Result<Self, Failure> {
        let (filter, limit) = (Filter::default(), ENTRIES_PER_PAGE);
        let live = journal.days(&filter, limit)?.watch()?;
        let mut days = Self { live, filter, limit, listed: Vec::new(), unreadable: 0, mode: Mode::List, selected: 0 };
        days.refresh(journal)?;
        Ok(days)
    }

    /// Waits until the list is another one.
    pub(crate) async fn changed(&mut self) -> Result<(), Failure> {
        match self.live.next_answer().await {
            Some(answer) => self.take(answer),
            None => std::future::pending().await,
        }
    }

    fn take(&mut self, answer: Result<Listing<Entry>, QueryError>) -> Result<(), Failure> {
        let chosen = self.chosen().map(|row| row.id);
        let Listing { entities, unreadable } = answer?;
        self.listed = entities.into_iter().map(Row::new).collect();
        self.unreadable = unreadable.len();
        self.keep_chosen(chosen);
        Ok(())
    }

    /// Shows what is there now.
    pub(crate) fn refresh(&mut self, journal: &Journal) -> Result<(), Failure> {
        if let Some(answer) = self.live.take() {
            self.take(answer)?;
        }
        let chosen = self.chosen().map(|row| row.id);
        match &mut self.mode {
            Mode::List => {}
            Mode::Search { words, found } => {
                let hits = journal.entries.search(&words.text)?.while_typing().limit(FOUND_MAX).all()?;
                *found = hits
                    .into_iter()
                    .filter_map(|hit| {
                        let snippet = Some(hit.snippet.marked("", "").replace('\n', " "));
                        Some(Row { id: hit.id, entry: hit.value.ok()?, snippet })
                    })
                    .collect();
            }
            Mode::Trash { deleted } => {
                *deleted = journal.entries.list_deleted()?.entities.into_iter().rev().map(Row::new).collect();
            }
        }
        self.keep_chosen(chosen);
        Ok(())
    }

    fn rows(&self) -> &[Row] {
        match &self.mode {
            Mode::List => &self.listed,
            Mode::Search { found, .. } => found,
            Mode::Trash { deleted } => deleted,
        }
    }

    fn chosen(&self) -> Option<&Row> {
        self.rows().get(self.selected)
    }

    /// Leaves the choice on the same entry, wherever it stands now.
    fn keep_chosen(&mut self, chosen: Option<EntityId>) {
        let at = self.rows().iter().position(|row| Some(row.id) == chosen);
        self.selected = at.unwrap_or(self.selected.min(self.rows().len().saturating_sub(1)));
    }

    pub(crate) fn key(&mut self, key: &KeyEvent, journal: &mut Journal) -> Result<Next, Failure> {
        let count = self.rows().len();
        let is_line_key = matches!(key.code, KeyCode::Home | KeyCode::End) && matches!(self.mode, Mode::Search { .. });
        if !is_line_key && choose(&mut self.selected, count, key) {
            self.read_on(journal)?;
            return Ok(Next::Stay);
        }
        match &mut self.mode {
            Mode::List => self.list_key(key, journal),
            Mode::Search { words, .. } => match key.code {
                KeyCode::Esc => Ok(self.enter(Mode::List)),
                KeyCode::Enter => Ok(self.chosen().map_or(Next::Stay, |row| Next::Entry(row.id))),
                _ if words.key(key) => {
                    self.selected = 0;
                    Ok(Next::Stay)
                }
                _ => Ok(Next::Unused),
            },
            Mode::Trash { .. } => match (key.code, self.chosen()) {
                (KeyCode::Esc | KeyCode::Char('t'), _) => Ok(self.enter(Mode::List)),
                (KeyCode::Char('r'), Some(row)) => {
                    journal.entries.restore(row.id)?;
                    Ok(Next::Tell(format!("restored the entry of {}", row.entry.day)))
                }
                _ => Ok(Next::Unused),
            },
        }
    }

    fn list_key(&mut self, key: &KeyEvent, journal: &mut Journal) -> Result<Next, Failure> {
        match (key.code, self.chosen()) {
            (KeyCode::Char('n'), _) => {
                let id = journal.write_about(journal.today())?;
                self.refresh(journal)?;
                self.keep_chosen(Some(id));
                Ok(Next::Entry(id))
            }
            (KeyCode::Enter, Some(row)) => Ok(Next::Entry(row.id)),
            (KeyCode::Char('h'), Some(row)) => Ok(Next::History(row.id)),
            (KeyCode::Char('d'), Some(row)) => {
                let day = row.entry.day.clone();
                journal.entries.delete(row.id)?;
                Ok(Next::Tell(format!("the entry of {day} is in the trash (t)")))
            }
            (KeyCode::Char('t'), _) => Ok(self.enter(Mode::Trash { deleted: Vec::new() })),
            (KeyCode::Char('/'), _) => Ok(self.enter(Mode::Search { words: Line::default(), found: Vec::new() })),
            (KeyCode::Char('m'), _) => {
                let next = self.filter.mood.map_or(1, |mood| mood + 1);
                self.show(journal, Filter { mood: (next <= MOOD_MAX).then_some(next), ..self.filter.clone() })
            }
            (KeyCode::Char('a'), _) => {
                let names = journal.activity_names()?;
                let next = match &self.filter.activity {
                    None => names.into_iter().next(),
                    Some(shown) => names.into_iter().find(|name| name > shown),
                };
                self.show(journal, Filter { activity: next, ..self.filter.clone() })
            }
            _ => Ok(Next::Unused),
        }
    }

    fn enter(&mut self, mode: Mode) -> Next {
        self.mode = mode;
        self.selected = 0;
        Next::Stay
    }

    fn show(&mut self, journal: &Journal, filter: Filter) -> Result<Next, Failure> {
        (self.filter, self.limit, self.selected) = (filter, ENTRIES_PER_PAGE, 0);
        self.live = journal.days(&self.filter, self.limit)?.watch()?;
        Ok(Next::Stay)
    }

    /// Reads more where the end of what was read is chosen.
    fn read_on(&mut self, journal: &Journal) -> Result<(), Failure> {
        if matches!(self.mode, Mode::List) && self.selected + 1 >= self.limit {
            self.limit += ENTRIES_PER_PAGE;
            self.live = journal.days(&self.filter, self.limit)?.watch()?;
        }
        Ok(())
    }

    pub(crate) fn paste(&mut self, text: &str) {
        if let Mode::Search { words, .. } = &mut self.mode {
            words.paste(text);
        }
    }

    pub(crate) fn hints(&self) -> Vec<Hint> {
        match &self.mode {
            Mode::List => vec![
                ("n", "new"),
                ("Enter", "open"),
                ("/", "search"),
                ("m", "by mood"),
                ("a", "by activity"),
                ("h", "history"),
                ("d", "delete"),
                ("t", "trash"),
                ("s", "sync now"),
                ("q", "quit"),
            ],
            Mode::Search { .. } => vec![("type", "words"), ("↑↓", "choose"), ("Enter", "open"), ("Esc", "all days")],
            Mode::Trash { .. } => vec![("↑↓", "choose"), ("r", "restore"), ("Esc", "all days")],
        }
    }

    pub(crate) fn draw(&self, frame: &mut Frame<'_>, area: Rect) {
        let [left, right] = Layout::horizontal([Constraint::Percentage(50), Constraint::Percentage(50)]).areas(area);
        let block = pane(self.title());
        let inner = block.inner(left);
        frame.render_widget(block, left);
        let list = match &self.mode {
            Mode::Search { words, .. } => {
                let [line, rest] = Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]).areas(inner);
                draw_input(frame, line, "Search", words, true);
                rest
            }
            _ => inner,
        };
        if self.rows().is_empty() {
            let text = match &self.mode {
                Mode::List if self.filter == Filter::default() => "Nothing is written yet: n begins today's entry.",
                Mode::List => "No entry is like that.",
                Mode::Search { words, .. } if words.text.is_empty() => {
                    "Words of titles and texts; their beginnings do."
                }
                Mode::Search { .. } => "Nothing is found.",
                Mode::Trash { .. } => "The trash is empty.",
            };
            super::draw_text(frame, list, text);
        } else {
            draw_list(frame, list, self.rows().iter().map(row_shown), self.selected);
        }
        let block = pane(self.chosen().map_or_else(String::new, |row| row.entry.day.clone()));
        let inner = block.inner(right);
        frame.render_widget(block, right);
        if let Some(row) = self.chosen() {
            draw_entry(frame, inner, &row.entry, &[]);
        }
        if self.unreadable > 0 {
            let text = format!("{} of a newer version", self.unreadable);
            let below = Rect { y: left.bottom().saturating_sub(1), height: 1, x: left.x + 2, width: left.width - 4 };
            frame.render_widget(Paragraph::new(Span::styled(text, alarming())), below);
        }
    }

    fn title(&self) -> String {
        let Filter { mood, activity } = &self.filter;
        match &self.mode {
            Mode::Search { .. } => "Search".to_owned(),
            Mode::Trash { .. } => "Trash".to_owned(),
            Mode::List => {
                let words = mood.map(mood_in_a_word).into_iter().chain(activity.as_deref());
                words.fold("Days".to_owned(), |title, word| format!("{title} · {word}"))
            }
        }
    }
}

fn row_shown(row: &Row) -> Shown<'static> {
    let text = row.snippet.clone().unwrap_or_else(|| row.entry.title.to_string());
    let text = if text.is_empty() { Span::styled("(no title)", faint()) } else { Span::raw(text) };
    Shown::from_iter([Span::raw(format!("{} ", row.entry.day)), mood_bar(row.entry.mood), Span::raw(" "), text])
}
