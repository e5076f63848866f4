//! What the days add up to: the mean mood of each week, and with each activity. The library's queries work it out.

use super::{Hint, Next, choose, draw_list, pane};
use crate::failure::Failure;
use crate::journal::Journal;
use crate::model::MOOD_MAX;
use afield::QueryValue;
use jiff::ToSpan;
use jiff::civil::{Date, Weekday};
use ratatui::Frame;
use ratatui::crossterm::event::KeyEvent;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style};
use ratatui::symbols::Marker;
use ratatui::text::Line as Shown;
use ratatui::widgets::{Axis, Chart, Dataset, GraphType};

/// How many weeks are shown.
const WEEKS: i32 = 12;

/// What the days add up to.
#[derive(Default)]
pub(crate) struct Statistics {
    /// From the earliest; a week begins on Monday.
    pub(crate) weeks: Vec<Week>,
    pub(crate) activities: Vec<Activity>,
    selected: usize,
}

pub(crate) struct Week {
    pub(crate) monday: Date,
    pub(crate) entries: u64,
    pub(crate) mood: Option<f64>,
}

pub(crate) struct Activity {
    pub(crate) name: String,
    pub(crate) times: i64,
    pub(crate) mood: Option<f64>,
}

impl Statistics {
    pub(crate) fn refresh(&mut self, journal: &Journal) -> Result<(), Failure> {
        let today = journal.today();
        let this_week = today.nth_weekday(-1, Weekday::Monday).ok().filter(|_| today.weekday() != Weekday::Monday);
        let this_week = this_week.unwrap_or(today);
        let mondays = (0..WEEKS).rev().filter_map(|back| this_week.checked_sub(back.weeks()).ok());
        let week = |monday: Date| -> Result<Week, Failure> {
            let next = monday.saturating_add(1.week());
            let entries = journal.entries.query("day >= ? AND day < ?", [monday.to_string(), next.to_string()])?;
            Ok(Week { monday, entries: entries.count()?, mood: number(&entries.average("mood")?) })
        };
        self.weeks = mondays.map(week).collect::<Result<_, _>>()?;
        let activity = |(name, times): (String, i64)| -> Result<Activity, Failure> {
            let mood = journal.entries.query("has_key(activities, ?)", [&name])?.average("mood")?;
            Ok(Activity { name, times, mood: number(&mood) })
        };
        self.activities = journal.activities()?.into_iter().map(activity).collect::<Result<_, _>>()?;
        self.activities.sort_by_key(|activity| std::cmp::Reverse(activity.times));
        self.selected = self.selected.min(self.activities.len().saturating_sub(1));
        Ok(())
    }

    pub(crate) fn key(&mut self, key: &KeyEvent) -> Next {
        if choose(&mut self.selected, self.activities.len(), key) { Next::Stay } else { Next::Unused }
    }

    pub(crate) fn hints(&self) -> Vec<Hint> {
        vec![("↑↓", "activities"), ("1-6", "other pages"), ("s", "sync now"), ("q", "quit")]
    }

    pub(crate) fn draw(&self, frame: &mut Frame<'_>, area: Rect) {
        let [above, below] = Layout::vertical([Constraint::Fill(1), Constraint::Fill(1)]).areas(area);
        self.draw_weeks(frame, above);
        let block = pane("Activities");
        let inner = block.inner(below);
        frame.render_widget(block, below);
        if self.activities.is_empty() {
            super::draw_text(frame, inner, "Activities of entries are counted here, with the mean mood of their days.");
            return;
        }
        let items = self.activities.iter().map(|Activity { name, times, mood }| {
            let mood = mood.map_or_else(|| "no mood".to_owned(), |mood| format!("mood {mood:.1}"));
            let name_width = 24_usize.saturating_sub(crate::typing::width_of(name));
            let word = if *times == 1 { "time" } else { "times" };
            Shown::raw(format!("{name}{} {times:>4} {word:<5}   {mood}", " ".repeat(name_width)))
        });
        draw_list(frame, inner, items, self.selected);
    }

    fn draw_weeks(&self, frame: &mut Frame<'_>, area: Rect) {
        let points: Vec<(f64, f64)> =
            (0_u32..).zip(&self.weeks).filter_map(|(number, week)| Some((f64::from(number), week.mood?))).collect();
        let labels = [self.weeks.first(), self.weeks.get(self.weeks.len() / 2), self.weeks.last()];
        let labels = labels.into_iter().flatten().map(|week| week.monday.strftime("%-d %b").to_string());
        let entries: u64 = self.weeks.iter().map(|week| week.entries).sum();
        let style = Style::new().fg(Color::Green);
        // One week alone is a point and no line.
        let graph = if points.len() == 1 { GraphType::Scatter } else { GraphType::Line };
        let marker = if points.len() == 1 { Marker::Dot } else { Marker::Braille };
        let chart = Chart::new(vec![Dataset::default().marker(marker).graph_type(graph).style(style).data(&points)])
            .block(pane(format!("Mean mood by week · entries in {WEEKS} weeks: {entries}")))
            .x_axis(Axis::default().bounds([0.0, f64::from(WEEKS - 1)]).labels(labels))
            .y_axis(Axis::default().bounds([1.0, f64::from(MOOD_MAX)]).labels(["1", "3", "5"]));
        frame.render_widget(chart, area);
    }
}

fn number(value: &QueryValue) -> Option<f64> {
    match value {
        QueryValue::Real(number) => Some(*number),
        #[expect(clippy::cast_precision_loss, reason = "moods are small")]
        QueryValue::Integer(number) => Some(*number as f64),
        _ => None,
    }
}
