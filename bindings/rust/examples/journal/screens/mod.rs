//! The screens: each file holds what one shows, what its keys do, and how it is drawn. Drawing changes nothing.

pub(crate) mod answering;
pub(crate) mod assessments;
pub(crate) mod conflicts;
pub(crate) mod days;
pub(crate) mod entry;
pub(crate) mod form;
pub(crate) mod history;
pub(crate) mod settings;
pub(crate) mod statistics;
pub(crate) mod sync;

use crate::model::{Entry, MOOD_MAX, mood_in_a_word};
use crate::typing::{Line, rows};
use ratatui::Frame;
use ratatui::crossterm::event::{KeyCode, KeyEvent};
use ratatui::layout::{Position, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line as Shown, Span};
use ratatui::widgets::{Block, List, ListItem, ListState, Paragraph};

/// How many rows a page is.
const PAGE_ROWS: usize = 10;

/// How wide the names of lines are, with a blank behind them.
pub(crate) const LABEL_WIDTH: u16 = 12;

/// What a key leads to beyond the screen on which it was pressed.
pub(crate) enum Next {
    /// Nothing.
    Stay,
    /// The key means nothing here.
    Unused,
    /// This screen is done.
    Back,
    /// This screen is done, and something is to be said.
    Done(String),
    /// Something is to be said.
    Tell(String),
    /// An entry is opened.
    Entry(afield::EntityId),
    /// The past of an entry is shown.
    History(afield::EntityId),
    /// A questionnaire is made.
    Form,
    /// A questionnaire is filled in.
    Answer(afield::EntityId),
    /// Another journal is shown.
    Joined,
}

/// What a key is for, as the footer shows it.
pub(crate) type Hint = (&'static str, &'static str);

/// Chooses another row of a list; false where the key does not.
pub(crate) fn choose(selected: &mut usize, count: usize, key: &KeyEvent) -> bool {
    let last = count.saturating_sub(1);
    *selected = match key.code {
        KeyCode::Up => selected.saturating_sub(1),
        KeyCode::Down => (*selected + 1).min(last),
        KeyCode::PageUp => selected.saturating_sub(PAGE_ROWS),
        KeyCode::PageDown => (*selected + PAGE_ROWS).min(last),
        KeyCode::Home => 0,
        KeyCode::End => last,
        _ => return false,
    };
    true
}

pub(crate) fn pane(title: impl Into<String>) -> Block<'static> {
    let (block, title) = (Block::bordered().border_style(faint()), title.into());
    if title.is_empty() { block } else { block.title(Span::styled(format!(" {title} "), strong().fg(Color::Cyan))) }
}

pub(crate) fn faint() -> Style {
    Style::new().fg(Color::DarkGray)
}

pub(crate) fn strong() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

pub(crate) fn alarming() -> Style {
    Style::new().fg(Color::Yellow)
}

/// A list with the chosen row in view.
pub(crate) fn draw_list<'a>(
    frame: &mut Frame<'_>,
    area: Rect,
    items: impl IntoIterator<Item = impl Into<ListItem<'a>>>,
    selected: usize,
) {
    let list = List::new(items).highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    frame.render_stateful_widget(list, area, &mut ListState::default().with_selected(Some(selected)));
}

/// A text, broken into rows; what does not fit below is left out.
pub(crate) fn draw_text(frame: &mut Frame<'_>, area: Rect, text: &str) {
    let shown = rows(text, usize::from(area.width)).into_iter().map(|row| Shown::raw(row.text));
    frame.render_widget(Paragraph::new(shown.take(usize::from(area.height)).collect::<Vec<_>>()), area);
}

/// A line of a form with its name; the cursor stands in it where it has the focus.
pub(crate) fn draw_input(frame: &mut Frame<'_>, area: Rect, name: &str, line: &Line, has_focus: bool) {
    let label = format!("{name:<11} ");
    let style = if has_focus { strong().fg(Color::Cyan) } else { faint() };
    let (shown, column) = line.shown(usize::from(area.width.saturating_sub(LABEL_WIDTH)));
    frame.render_widget(Paragraph::new(Shown::from_iter([Span::styled(label, style), Span::raw(shown)])), area);
    if has_focus {
        let column = u16::try_from(column).unwrap_or(u16::MAX);
        frame.set_cursor_position(Position::new(area.x + LABEL_WIDTH + column, area.y));
    }
}

/// A mood as a bar.
pub(crate) fn mood_bar(mood: Option<u8>) -> Span<'static> {
    let Some(mood) = mood else { return Span::styled("·".repeat(usize::from(MOOD_MAX)), faint()) };
    let filled = usize::from(mood.min(MOOD_MAX));
    let bar = "●".repeat(filled) + &"○".repeat(usize::from(MOOD_MAX) - filled);
    let colour = match mood {
        0..=2 => Color::Red,
        3 => Color::Yellow,
        _ => Color::Green,
    };
    Span::styled(bar, Style::new().fg(colour))
}

/// The activities of an entry in a line.
pub(crate) fn activities_in_words(entry: &Entry) -> String {
    let named = entry.activities.iter().map(|(name, count)| match count.value() {
        1 => name.clone(),
        count => format!("{name} ×{count}"),
    });
    named.collect::<Vec<_>>().join(", ")
}

/// An entry for reading, with some lines between its head and its text.
pub(crate) fn draw_entry(frame: &mut Frame<'_>, area: Rect, entry: &Entry, between: &[String]) {
    let width = usize::from(area.width);
    let broken = |text: &str, style: Style| {
        rows(text, width).into_iter().map(move |row| Shown::styled(row.text, style)).collect::<Vec<_>>()
    };
    let title = if entry.title.is_empty() { "(no title)" } else { entry.title.as_str() };
    let mood = entry.mood.map_or("no mood", mood_in_a_word);
    let mut lines = broken(title, strong());
    lines.push(Shown::from_iter([mood_bar(entry.mood), Span::raw(format!(" {mood}"))]));
    lines.extend(broken(&activities_in_words(entry), Style::new().fg(Color::Magenta)));
    lines.extend(between.iter().flat_map(|line| broken(line, faint())));
    lines.push(Shown::default());
    lines.extend(broken(&entry.text, Style::new()));
    frame.render_widget(Paragraph::new(lines), area);
}

/// Pieces in as many lines as they need; none is broken.
pub(crate) fn flow<'a>(pieces: impl IntoIterator<Item = Vec<Span<'a>>>, width: usize) -> Vec<Shown<'a>> {
    let (mut lines, mut line, mut used) = (Vec::new(), Vec::new(), 0);
    for piece in pieces {
        let text: usize = piece.iter().map(Span::width).sum();
        // Blanks at its end may hang over.
        let blanks = piece.last().map_or(0, |last| last.width() - last.content.trim_end().len().min(last.width()));
        if used > 0 && used + text - blanks > width {
            lines.push(Shown::from(std::mem::take(&mut line)));
            used = 0;
        }
        line.extend(piece);
        used += text;
    }
    lines.push(Shown::from(line));
    lines
}

/// How long ago or ahead something is.
pub(crate) fn span_in_words(ms: u64) -> String {
    let count = |count: u64, one: &str| if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") };
    match ms / 1_000 {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3_600 => format!("{} min", seconds / 60),
        seconds @ 3_600..86_400 => format!("{} h", seconds / 3_600),
        seconds => count(seconds / 86_400, "day"),
    }
}
