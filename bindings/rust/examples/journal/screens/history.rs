//! What became of an entry: who, when, on which device; the entry as it was; and back to that.

use super::{Hint, Next, choose, draw_entry, draw_list, faint, pane, strong};
use crate::failure::Failure;
use crate::journal::Journal;
use crate::model::Entry;
use crate::typing::rows;
use afield::{Changed, Confirm, Difference, EntityId, Point, Sitting};
use ratatui::Frame;
use ratatui::crossterm::event::{KeyCode, KeyEvent};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line as Shown;
use ratatui::widgets::ListItem;

/// How many changes are looked through; typing is one for each pause.
const CHANGES_MAX: usize = 500;

/// The longest value that is shown beside the name of its field.
const VALUE_BYTES_MAX: usize = 24;

/// What became of an entry.
pub(crate) struct History {
    id: EntityId,
    sittings: Vec<Sitting>,
    /// Who made each, in words.
    authors: Vec<[String; 2]>,
    selected: usize,
    /// The entry after what is chosen, and what that changed.
    then: Option<Entry>,
    changed: Vec<String>,
}

impl History {
    pub(crate) fn open(journal: &Journal, id: EntityId) -> Result<Self, Failure> {
        let (sittings, authors, changed) = Default::default();
        let mut history = Self { id, sittings, authors, selected: 0, then: None, changed };
        history.refresh(journal)?;
        Ok(history)
    }

    pub(crate) fn refresh(&mut self, journal: &Journal) -> Result<(), Failure> {
        let names = journal.device_names()?;
        self.sittings = journal.entries.history(self.id, &Point::Now, CHANGES_MAX)?.sittings();
        let in_words = |sitting: &Sitting| {
            let by = sitting.last().map(|change| &change.attribution);
            let device = by.and_then(|by| by.device);
            let device = match device.and_then(|device| names.get(&device)) {
                Some(name) => name.clone(),
                None if device == Some(journal.replica.device()) => "this device".to_owned(),
                None => "another device".to_owned(),
            };
            let author = by.and_then(|by| by.author.clone()).unwrap_or_else(|| "somebody".to_owned());
            [by.map_or_else(String::new, |by| journal.local(by.at_ms)), format!("{author} on {device}")]
        };
        self.authors = self.sittings.iter().map(in_words).collect();
        self.selected = self.selected.min(self.sittings.len().saturating_sub(1));
        self.look_back(journal)
    }

    /// Reads the entry as it was after what is chosen.
    fn look_back(&mut self, journal: &Journal) -> Result<(), Failure> {
        (self.then, self.changed) = (None, Vec::new());
        let chosen = self.sittings.get(self.selected);
        if let Some((first, last)) = chosen.and_then(|sitting| Some((sitting.first()?.hash, sitting.last()?.hash))) {
            let (before, after) = (Point::Before(first), Point::After(last));
            self.then = Some(journal.entries.at(self.id, &after)?);
            let differences = journal.entries.differences(self.id, &before, &after)?;
            self.changed = differences.iter().map(in_words).collect();
        }
        Ok(())
    }

    pub(crate) fn key(&mut self, key: &KeyEvent, journal: &mut Journal) -> Result<Next, Failure> {
        if choose(&mut self.selected, self.sittings.len(), key) {
            self.look_back(journal)?;
            return Ok(Next::Stay);
        }
        let chosen = self.sittings.get(self.selected).and_then(Sitting::last);
        match (key.code, chosen) {
            (KeyCode::Esc, _) => Ok(Next::Back),
            (KeyCode::Char('r'), Some(change)) => {
                let point = Point::After(change.hash);
                let message = format!("back to {}", journal.local(change.attribution.at_ms));
                journal.entries.with_message(&message).restore_to(self.id, &point, Confirm::Yes)?;
                Ok(Next::Done(format!("the entry is {message}; ^Z in it undoes that")))
            }
            _ => Ok(Next::Unused),
        }
    }

    pub(crate) fn hints(&self) -> Vec<Hint> {
        vec![("↑↓", "earlier, later"), ("r", "make it what it was then"), ("Esc", "back")]
    }

    pub(crate) fn draw(&self, frame: &mut Frame<'_>, area: Rect) {
        let [left, right] = Layout::horizontal([Constraint::Percentage(45), Constraint::Percentage(55)]).areas(area);
        let block = pane("History");
        let inner = block.inner(left);
        frame.render_widget(block, left);
        let width = usize::from(inner.width);
        let items = self.authors.iter().zip(&self.sittings).map(|([at, author], sitting)| {
            let message = sitting.last().and_then(|change| change.attribution.message.clone());
            let below = std::iter::once(author).chain(&message).flat_map(|text| rows(text, width.saturating_sub(2)));
            let below = below.map(|row| Shown::styled(format!("  {}", row.text), faint()));
            ListItem::new(std::iter::once(Shown::styled(at.clone(), strong())).chain(below).collect::<Vec<_>>())
        });
        draw_list(frame, inner, items, self.selected);
        let block = pane("As it was then");
        let inner = block.inner(right);
        frame.render_widget(block, right);
        let Some(then) = &self.then else { return };
        draw_entry(frame, inner, then, &self.changed);
    }
}

/// What differs at one place.
fn in_words(difference: &Difference) -> String {
    let place = difference.path.to_string();
    match &difference.changed {
        Changed::Added { after } => match after.to_json().to_string() {
            value if value.len() <= VALUE_BYTES_MAX => format!("+ {place}: {value}"),
            _ => format!("+ {place}"),
        },
        Changed::Removed { .. } => format!("- {place}"),
        Changed::Replaced { before, after } => format!("~ {place}: {} → {}", before.to_json(), after.to_json()),
        Changed::Text { hunks } => {
            let count = |of: fn(&afield::TextHunk) -> &String| -> usize {
                hunks.iter().map(|hunk| of(hunk).chars().count()).sum()
            };
            let (inserted, deleted) = (count(|hunk| &hunk.inserted), count(|hunk| &hunk.deleted));
            let characters = if inserted == 1 { "character" } else { "characters" };
            format!("~ {place}: {inserted} {characters} in, {deleted} out")
        }
        _ => format!("~ {place}"),
    }
}
