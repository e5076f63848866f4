//! Sync: how it stands, what waits, what went wrong, and "sync now". All of it is the library's status, in words.

use super::{Hint, Next, alarming, draw_input, faint, pane, span_in_words, strong};
use crate::failure::{Failure, next_step_of};
use crate::journal::Journal;
use crate::screens::form::schedule_of;
use crate::typing::Line;
use afield::{Class, Explanation, SignInReason, SpaceStatus, Status, SyncState, Trigger};
use ratatui::Frame;
use ratatui::crossterm::event::{KeyCode, KeyEvent};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style};
use ratatui::text::{Line as Shown, Span};
use ratatui::widgets::{Paragraph, Wrap};

/// How sync stands.
#[derive(Default)]
pub(crate) struct Sync {
    status: Option<Status>,
    space: Option<SpaceStatus>,
    explanation: Option<Explanation>,
    /// When all was last in step, on this person's clocks.
    last_synced: Option<String>,
    /// The schedule, while it is being typed.
    schedule: Option<Line>,
}

impl Sync {
    pub(crate) fn refresh(&mut self, journal: &Journal) -> Result<(), Failure> {
        let (status, id) = (journal.status()?, journal.space.id());
        self.space = status.spaces.iter().find(|space| space.space == id).cloned();
        self.explanation = journal.replica.explain()?.into_iter().find(|space| space.space == id);
        let last = self.space.as_ref().and_then(|space| space.last_synced_ms);
        self.last_synced = last.map(|at_ms| journal.local(at_ms));
        self.status = Some(status);
        Ok(())
    }

    pub(crate) fn key(&mut self, key: &KeyEvent, journal: &mut Journal) -> Result<Next, Failure> {
        if let Some(line) = &mut self.schedule {
            match key.code {
                KeyCode::Esc => self.schedule = None,
                KeyCode::Enter => {
                    let text = line.text.trim();
                    let schedule = Some(text).filter(|text| !text.is_empty());
                    let schedule = schedule.map(|text| schedule_of(text, &journal.zone)).transpose()?;
                    journal.space.set_schedule(schedule)?;
                    self.schedule = None;
                }
                _ if line.key(key) => {}
                _ => return Ok(Next::Unused),
            }
            return Ok(Next::Stay);
        }
        match key.code {
            KeyCode::Char('c') if journal.settings.is_syncing => {
                journal.disconnect()?;
                Ok(Next::Tell("sync is off; what is written waits here".to_owned()))
            }
            KeyCode::Char('c') => {
                journal.connect()?;
                Ok(Next::Stay)
            }
            KeyCode::Char('e') => {
                let schedule = journal.space.schedule()?.map(|schedule| schedule.to_string());
                self.schedule = Some(Line::new(&schedule.unwrap_or_default()));
                Ok(Next::Stay)
            }
            _ => Ok(Next::Unused),
        }
    }

    pub(crate) fn paste(&mut self, text: &str) {
        if let Some(line) = &mut self.schedule {
            line.paste(text);
        }
    }

    pub(crate) fn hints(&self) -> Vec<Hint> {
        if self.schedule.is_some() {
            return vec![("Enter", "keep; empty is in step all the time"), ("Esc", "give up")];
        }
        let is_on = self.status.as_ref().is_some_and(|status| status.state != SyncState::Disabled);
        let connect = if is_on { "switch off" } else { "switch on" };
        vec![("s", "sync now"), ("c", connect), ("e", "schedule"), ("1-6", "other pages"), ("q", "quit")]
    }

    pub(crate) fn draw(&self, frame: &mut Frame<'_>, area: Rect) {
        let block = pane("Sync");
        let inner = block.inner(area);
        frame.render_widget(block, area);
        let (Some(status), Some(space)) = (&self.status, &self.space) else { return };
        let mut lines = self.standing(status, space);
        if let Some(Explanation { next, last, .. }) = &self.explanation {
            lines.push(line("Next", next.clone(), Style::new()));
            lines.push(Shown::raw(""));
            lines.extend(last.iter().map(|run| Shown::styled(run.clone(), faint())));
        }
        let [lines_area, input] = Layout::vertical([Constraint::Fill(1), Constraint::Length(1)]).areas(inner);
        frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }), lines_area);
        if let Some(schedule) = &self.schedule {
            draw_input(frame, input, "Schedule", schedule, true);
        }
    }

    fn standing(&self, status: &Status, space: &SpaceStatus) -> Vec<Shown<'static>> {
        let relay = status.relay.clone().unwrap_or_else(|| "none is connected".to_owned());
        let oldest = space.oldest_pending_age_ms.map(|ms| format!(", the oldest for {}", span_in_words(ms)));
        let pending = match space.pending_changes {
            0 => "nothing".to_owned(),
            1 => format!("1 change{}", oldest.unwrap_or_default()),
            changes => format!("{changes} changes{}", oldest.unwrap_or_default()),
        };
        let error = space.last_error.clone().or_else(|| status.last_error.clone());
        let cooldown = match space.cooldown_ms {
            Some(ms) if ms > 0 => format!("rests for {} s", ms.div_ceil(1_000)),
            _ if status.state == SyncState::Disabled => "sync is off: c switches it on".to_owned(),
            _ if space.can_sync_now => "s".to_owned(),
            _ => "it is going on by itself".to_owned(),
        };
        let mut lines = vec![
            line("State", state_in_words(status), strong().fg(colour(status.state))),
            line("Relay", relay, Style::new()),
            line("Waiting", pending, Style::new()),
            line("Last in step", self.last_synced.clone().unwrap_or_else(|| "never".to_owned()), Style::new()),
            line("Sync now", cooldown, Style::new()),
            line("Schedule", space.schedule.clone().unwrap_or_else(|| "in step all the time".to_owned()), Style::new()),
        ];
        lines.extend(error.map(|error| line("Last error", error, alarming())));
        lines.extend(sign_in(status).map(|next| line("What helps", next.to_owned(), alarming())));
        if space.quarantined > 0 {
            lines.push(line("Put aside", format!("{} that did not fit", space.quarantined), alarming()));
        }
        if let Some(progress) = space.progress {
            let (up, down) = (progress.up.done, progress.down.done);
            lines.push(line("Moving", format!("↑ {} ↓ {} chunks", up.chunks, down.chunks), Style::new()));
        }
        lines
    }
}

/// What a person does about a relay that does not let this device in. Against a closed account no token helps.
fn sign_in(status: &Status) -> Option<&'static str> {
    status.sign_in.filter(|why| *why != SignInReason::AccountClosed).and_then(|_| next_step_of(Class::SignIn))
}

/// "Sync now": what the library decides, in its own words.
pub(crate) fn sync_now(journal: &Journal) -> Result<Next, Failure> {
    let decision = journal.replica.request(Trigger::Manual)?;
    let word = if decision.is_start() { "syncing" } else { "not now" };
    Ok(Next::Tell(format!("{word}: {}", decision.reason())))
}

fn line(name: &str, value: String, style: Style) -> Shown<'static> {
    Shown::from_iter([Span::styled(format!("{name:<13} "), faint()), Span::styled(value, style)])
}

pub(crate) fn colour(state: SyncState) -> Color {
    match state {
        SyncState::Idle | SyncState::Syncing => Color::Green,
        SyncState::Disabled => Color::DarkGray,
        _ => Color::Yellow,
    }
}

/// Sync in a few words, as the status line has it.
pub(crate) fn state_in_words(status: &Status) -> String {
    let state = match status.state {
        SyncState::Disabled => "sync is off",
        SyncState::Idle => "in step",
        SyncState::Syncing => "syncing",
        SyncState::Offline => "offline",
        SyncState::NeedsSignIn => "the relay wants a token",
        SyncState::Blocked => "something is kept back",
        _ => "trying again does not help",
    };
    let retry = status.retry_in_ms.map(|ms| format!(", next attempt in {}", span_in_words(ms)));
    let pending = match status.pending_changes {
        0 => String::new(),
        changes => format!(", {changes} to send"),
    };
    format!("{state}{}{pending}", retry.unwrap_or_default())
}
