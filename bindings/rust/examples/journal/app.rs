//! The app without a terminal: a key goes in, and what is to be drawn is there. Nothing here knows of a screen or a socket.

use crate::failure::Failure;
use crate::journal::Journal;
use crate::screens::answering::Answering;
use crate::screens::assessments::Assessments;
use crate::screens::conflicts::Conflicts;
use crate::screens::days::Days;
use crate::screens::entry::EntryPage;
use crate::screens::form::Form;
use crate::screens::history::History;
use crate::screens::settings::Settings;
use crate::screens::statistics::Statistics;
use crate::screens::sync::{Sync, sync_now};
use crate::screens::{Hint, Next};
use afield::{EditError, Status, SyncEvent, Watch};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::Size;
use tokio::sync::broadcast;

/// The app.
pub(crate) struct App {
    pub(crate) journal: Journal,
    pub(crate) tab: Tab,
    /// What was opened above the tab; the last is shown.
    pub(crate) over: Vec<Over>,
    pub(crate) days: Days,
    pub(crate) statistics: Statistics,
    pub(crate) assessments: Assessments,
    pub(crate) conflicts: Conflicts,
    pub(crate) sync: Sync,
    pub(crate) settings: Settings,
    pub(crate) status: Status,
    pub(crate) told: Option<Told>,
    pub(crate) size: Size,
    live: Live,
}

/// A page that a digit leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tab {
    Days,
    Statistics,
    Assessments,
    Conflicts,
    Sync,
    Settings,
}

impl Tab {
    pub(crate) const ALL: [Self; 6] =
        [Self::Days, Self::Statistics, Self::Assessments, Self::Conflicts, Self::Sync, Self::Settings];
}

/// What was opened above a tab.
pub(crate) enum Over {
    Entry(EntryPage),
    History(History),
    Form(Form),
    Answering(Answering),
}

/// What is said below the page.
pub(crate) struct Told {
    pub(crate) text: String,
    pub(crate) is_failure: bool,
}

/// Whether the app goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    Go,
    Quit,
}

/// What the library tells of by itself, beside the live list of days.
struct Live {
    watches: [Watch; 5],
    events: broadcast::Receiver<SyncEvent>,
}

impl Live {
    fn of(journal: &Journal) -> Self {
        let watches = [
            journal.entries.watch(),
            journal.questionnaires.watch(),
            journal.answers.watch(),
            journal.devices.watch(),
            journal.space.watch_conflicts(),
        ];
        Self { watches, events: journal.replica.events() }
    }

    /// Waits until something has changed, by this device or by another.
    async fn changed(&mut self) {
        let [entries, questionnaires, answers, devices, conflicts] = &mut self.watches;
        tokio::select! {
            _ = entries.changed() => {}
            _ = questionnaires.changed() => {}
            _ = answers.changed() => {}
            _ = devices.changed() => {}
            _ = conflicts.changed() => {}
            // Who has missed events asks for the status, as who has not.
            _ = self.events.recv() => {}
        }
    }
}

impl App {
    pub(crate) fn new(journal: Journal, size: Size) -> Result<Self, Failure> {
        let (live, days, status) = (Live::of(&journal), Days::new(&journal)?, journal.status()?);
        let mut app = Self {
            journal,
            tab: Tab::Days,
            over: Vec::new(),
            days,
            statistics: Statistics::default(),
            assessments: Assessments::default(),
            conflicts: Conflicts::default(),
            sync: Sync::default(),
            settings: Settings::default(),
            status,
            told: None,
            size,
            live,
        };
        if app.journal.settings.is_syncing {
            // An address that is none keeps nobody from writing.
            let connected = app.journal.connect();
            app.tell_failure(connected);
        }
        app.try_refresh()?;
        Ok(app)
    }

    /// Waits until something of what is shown has changed without a key, and shows it.
    pub(crate) async fn changed(&mut self) {
        let changed = tokio::select! {
            changed = self.days.changed() => changed,
            () = self.live.changed() => Ok(()),
        };
        self.tell_failure(changed);
        self.refresh();
    }

    /// Brings what is shown up to date: that alone is read.
    pub(crate) fn refresh(&mut self) {
        let refreshed = self.try_refresh();
        self.tell_failure(refreshed);
    }

    fn try_refresh(&mut self) -> Result<(), Failure> {
        self.status = self.journal.status()?;
        self.assessments.refresh(&self.journal)?;
        self.refresh_page()
    }

    /// Brings the page up to date, on which the next key depends.
    fn refresh_page(&mut self) -> Result<(), Failure> {
        let journal = &self.journal;
        match self.over.last_mut() {
            Some(Over::Entry(page)) => return page.refresh(journal),
            Some(Over::History(history)) => return history.refresh(journal),
            Some(Over::Form(_) | Over::Answering(_)) => return Ok(()),
            None => {}
        }
        match self.tab {
            Tab::Days => self.days.refresh(journal),
            Tab::Assessments => self.assessments.refresh(journal),
            Tab::Statistics => self.statistics.refresh(journal),
            Tab::Conflicts => self.conflicts.refresh(journal),
            Tab::Sync => self.sync.refresh(journal),
            Tab::Settings => {
                self.settings.refresh(journal);
                Ok(())
            }
        }
    }

    /// Takes a key. What stands beside the page is brought up to date by [`App::refresh`], once for all keys that wait.
    pub(crate) fn key(&mut self, key: &KeyEvent) -> Flow {
        self.told = None;
        let has_control = key.modifiers.contains(KeyModifiers::CONTROL);
        if has_control && key.code == KeyCode::Char('c') {
            return Flow::Quit;
        }
        let next = if has_control && key.code == KeyCode::Char('r') { self.reload() } else { self.key_of_screen(key) };
        let flow = match next.and_then(|next| self.go(next, key)) {
            Ok(flow) => flow,
            Err(failure) => {
                self.tell_failure(Err(failure));
                Flow::Go
            }
        };
        let refreshed = self.refresh_page();
        self.tell_failure(refreshed);
        flow
    }

    fn key_of_screen(&mut self, key: &KeyEvent) -> Result<Next, Failure> {
        let journal = &mut self.journal;
        match (self.over.last_mut(), self.tab) {
            (Some(Over::Entry(page)), _) => page.key(key, journal, self.size),
            (Some(Over::History(history)), _) => history.key(key, journal),
            (Some(Over::Form(form)), _) => form.key(key, journal),
            (Some(Over::Answering(answering)), _) => answering.key(key, journal),
            (None, Tab::Days) => self.days.key(key, journal),
            (None, Tab::Statistics) => Ok(self.statistics.key(key)),
            (None, Tab::Assessments) => self.assessments.key(key, journal),
            (None, Tab::Conflicts) => self.conflicts.key(key),
            (None, Tab::Sync) => self.sync.key(key, journal),
            (None, Tab::Settings) => self.settings.key(key, journal),
        }
    }

    fn go(&mut self, next: Next, key: &KeyEvent) -> Result<Flow, Failure> {
        let journal = &self.journal;
        match next {
            Next::Stay => {}
            Next::Unused if self.over.is_empty() => return self.key_of_all(key),
            Next::Unused => {}
            Next::Back => drop(self.over.pop()),
            Next::Done(text) => {
                self.over.pop();
                self.tell(text);
            }
            Next::Tell(text) => self.tell(text),
            Next::Entry(id) => self.over.push(Over::Entry(EntryPage::open(journal, id)?)),
            Next::History(id) => self.over.push(Over::History(History::open(journal, id)?)),
            Next::Form => self.over.push(Over::Form(Form::new())),
            Next::Answer(id) => self.over.push(Over::Answering(Answering::open(journal, id)?)),
            Next::Joined => {
                (self.live, self.days) = (Live::of(journal), Days::new(journal)?);
                self.tell("joined: its entries come with the next sync".to_owned());
            }
        }
        Ok(Flow::Go)
    }

    /// The keys that mean the same on every page.
    fn key_of_all(&mut self, key: &KeyEvent) -> Result<Flow, Failure> {
        match key.code {
            KeyCode::Char('q') => return Ok(Flow::Quit),
            KeyCode::Char('s') => {
                let next = sync_now(&self.journal)?;
                return self.go(next, key);
            }
            KeyCode::Char(digit @ '1'..='6') => {
                let number = digit.to_digit(10).and_then(|digit| usize::try_from(digit).ok()).unwrap_or(1);
                self.tab = Tab::ALL.get(number - 1).copied().unwrap_or(Tab::Days);
            }
            _ => {}
        }
        Ok(Flow::Go)
    }

    /// Goes on from what is on disk, after the disk has failed.
    fn reload(&mut self) -> Result<Next, Failure> {
        self.journal.replica.reload().map_err(afield::ReplicaError::from)?;
        Ok(Next::Tell("read anew from the disk".to_owned()))
    }

    /// Takes what was pasted.
    pub(crate) fn paste(&mut self, text: &str) {
        let journal = &self.journal;
        let mut pasted = Ok(());
        match (self.over.last_mut(), self.tab) {
            (Some(Over::Entry(page)), _) => pasted = page.paste(text, journal),
            (Some(Over::Form(form)), _) => form.paste(text),
            (None, Tab::Days) => self.days.paste(text),
            (None, Tab::Sync) => self.sync.paste(text),
            (None, Tab::Settings) => self.settings.paste(text),
            _ => {}
        }
        let pasted = pasted.and_then(|()| self.refresh_page());
        self.tell_failure(pasted);
    }

    fn tell(&mut self, text: String) {
        self.told = Some(Told { text, is_failure: false });
    }

    fn tell_failure(&mut self, result: Result<(), Failure>) {
        if let Err(failure) = result {
            let mut text = failure.in_words();
            if matches!(failure, Failure::Edit(EditError::Store(_))) {
                text.push_str("; ^R goes on from what is on the disk");
            }
            self.told = Some(Told { text, is_failure: true });
        }
    }

    /// What the keys of the page are for.
    pub(crate) fn hints(&self) -> Vec<Hint> {
        match (self.over.last(), self.tab) {
            (Some(Over::Entry(page)), _) => page.hints(),
            (Some(Over::History(history)), _) => history.hints(),
            (Some(Over::Form(form)), _) => form.hints(),
            (Some(Over::Answering(answering)), _) => answering.hints(),
            (None, Tab::Days) => self.days.hints(),
            (None, Tab::Statistics) => self.statistics.hints(),
            (None, Tab::Assessments) => self.assessments.hints(),
            (None, Tab::Conflicts) => self.conflicts.hints(),
            (None, Tab::Sync) => self.sync.hints(),
            (None, Tab::Settings) => self.settings.hints(),
        }
    }
}
