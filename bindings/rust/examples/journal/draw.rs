//! The whole window: the pages above, the page, what is said, and the keys.

use crate::app::{App, Over, Tab};
use crate::screens::sync::{colour, state_in_words};
use crate::screens::{Hint, alarming, draw_text, faint, flow, strong};
use crate::typing::rows;
use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

/// The smallest window in which everything has its place.
const WIDTH_MIN: u16 = 60;
const HEIGHT_MIN: u16 = 18;
/// How many rows keys and messages may take.
const FOOTER_ROWS_MAX: usize = 4;

/// Draws the app.
pub(crate) fn draw(app: &App, frame: &mut Frame<'_>) {
    let area = frame.area();
    if area.width < WIDTH_MIN || area.height < HEIGHT_MIN {
        let text = format!(
            "The window is too small: {} columns and {} rows of {WIDTH_MIN} and {HEIGHT_MIN}. Nothing is lost; make it larger, or ^C to quit.",
            area.width, area.height
        );
        return draw_text(frame, area, &text);
    }
    let width = usize::from(area.width);
    let (tabs_shown, keys) = (tabs_lines(app, width), hints_lines(&app.hints(), width));
    let told = app.told.as_ref().map(|told| rows(&told.text, width)).unwrap_or_default();
    let height = |rows: usize| Constraint::Length(u16::try_from(rows.min(FOOTER_ROWS_MAX)).unwrap_or(0));
    let [tabs, page, message, state, footer] = Layout::vertical([
        height(tabs_shown.len()),
        Constraint::Fill(1),
        height(told.len()),
        Constraint::Length(1),
        height(keys.len()),
    ])
    .areas(area);
    frame.render_widget(Paragraph::new(tabs_shown), tabs);
    draw_page(app, frame, page);
    let is_failure = app.told.as_ref().is_some_and(|told| told.is_failure);
    let style = if is_failure { alarming() } else { strong() };
    let lines: Vec<Line<'_>> = told.into_iter().map(|row| Line::styled(row.text, style)).collect();
    frame.render_widget(Paragraph::new(lines), message);
    let words = Span::styled(state_in_words(&app.status), Style::new().fg(colour(app.status.state)));
    frame.render_widget(Paragraph::new(Line::from(words)).alignment(Alignment::Right), state);
    frame.render_widget(Paragraph::new(keys), footer);
}

fn draw_page(app: &App, frame: &mut Frame<'_>, area: Rect) {
    match (app.over.last(), app.tab) {
        (Some(Over::Entry(page)), _) => page.draw(frame, area),
        (Some(Over::History(history)), _) => history.draw(frame, area),
        (Some(Over::Form(form)), _) => form.draw(frame, area),
        (Some(Over::Answering(answering)), _) => answering.draw(frame, area),
        (None, Tab::Days) => app.days.draw(frame, area),
        (None, Tab::Statistics) => app.statistics.draw(frame, area),
        (None, Tab::Assessments) => app.assessments.draw(frame, area),
        (None, Tab::Conflicts) => app.conflicts.draw(frame, area),
        (None, Tab::Sync) => app.sync.draw(frame, area),
        (None, Tab::Settings) => app.settings.draw(frame, area),
    }
}

/// The pages with their digits, and how much is to be done on each.
fn tabs_lines(app: &App, width: usize) -> Vec<Line<'static>> {
    let count = |count: u64| if count == 0 { String::new() } else { format!(" ({count})") };
    let shown = (1..).zip(Tab::ALL).map(|(number, tab)| {
        let waiting = match tab {
            Tab::Assessments => count(app.assessments.due() as u64),
            Tab::Conflicts => count(app.status.conflicts),
            _ => String::new(),
        };
        let style = match tab == app.tab {
            true => Style::new().fg(Color::Cyan).add_modifier(Modifier::BOLD | Modifier::UNDERLINED),
            false => Style::new(),
        };
        vec![Span::styled(format!("{number} {tab:?}{waiting}"), style), Span::raw("  ")]
    });
    flow(shown, width)
}

/// Keys and what they are for.
fn hints_lines(hints: &[Hint], width: usize) -> Vec<Line<'static>> {
    let shown = hints.iter().map(|(key, meaning)| {
        vec![Span::styled(*key, strong()), Span::styled(format!(" {meaning}"), faint()), Span::raw("  ")]
    });
    flow(shown, width)
}
