//! Sync that stays on while a command looks on.

use crate::context;
use crate::failure::Failure;
use crate::moved::Unneeded;
use crate::output::{self, Output};
use crate::remembered::{LastError, LastState, RefusedSpace, Remembered};
use afield::{Class, Replica, Status, SyncError, SyncEvent};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use tokio::sync::broadcast::{self, error::TryRecvError};

/// Sync with the relay that the store is connected to. Ending it notes how it went.
#[derive(Debug)]
pub(crate) struct Live {
    replica: Replica,
    events: broadcast::Receiver<SyncEvent>,
    store: PathBuf,
    /// When it was switched on, by the wall clock.
    since_ms: i64,
    /// The reason that was told last: the same one is not told again with every attempt.
    told: Option<String>,
}

impl Live {
    /// Switches sync on.
    pub(crate) fn start(replica: Replica, store: &Path) -> Result<Self, Failure> {
        let remembered = Remembered::read(store)?.ok_or(Failure::NotConnected)?;
        let (events, since_ms) = (replica.events(), context::wall_ms());
        replica.connect(remembered.relay()?)?;
        Ok(Self { replica, events, store: store.to_owned(), since_ms, told: None })
    }

    /// What sync is doing.
    pub(crate) fn status(&self) -> Result<Status, Failure> {
        Ok(self.replica.status()?)
    }

    /// Tells on stderr when the relay was reached or lost since the last look.
    ///
    /// Fails where the session ended for something that does not end by itself, as by a sign-out: whoever looks on would wait for
    /// nothing, and keep others from the store who could do something about it.
    pub(crate) fn tell(&mut self, output: Output) -> Result<(), Failure> {
        while let Some(line) = self.news()? {
            if output.is_for_a_person() {
                output::tell_wrapped(&format!("{} {line}", console::style("afield:").dim().for_stderr()), 2);
            }
        }
        Ok(())
    }

    /// Looks whether the session has ended as [`Self::tell`] does, for a page that shows the rest itself.
    pub(crate) fn check(&mut self) -> Result<(), Failure> {
        while self.news()?.is_some() {}
        Ok(())
    }

    /// What happened since the last look and was not told yet.
    fn news(&mut self) -> Result<Option<String>, Failure> {
        loop {
            let line = match self.events.try_recv() {
                Ok(SyncEvent::Connected) => {
                    self.told = None;
                    "connected to the relay".to_owned()
                }
                Ok(SyncEvent::Disconnected { reason, class }) if !matches!(class, Class::Retry | Class::Quota) => {
                    let sign_in = self.replica.status()?.sign_in;
                    return Err(SyncError::Failed { reason, class, sign_in }.into());
                }
                Ok(SyncEvent::Disconnected { reason, .. }) if self.told.as_deref() != Some(&reason) => {
                    let line = format!("not connected: {reason}; trying again");
                    self.told = Some(reason);
                    line
                }
                Ok(SyncEvent::SpaceRefused { space, code }) => format!("space {space} is not synced: {code}"),
                Ok(SyncEvent::InvitationUnneeded { space, role }) => Unneeded::new(space, role).in_words(),
                Ok(_) | Err(TryRecvError::Lagged(_)) => continue,
                Err(TryRecvError::Empty | TryRecvError::Closed) => return Ok(None),
            };
            return Ok(Some(line));
        }
    }

    /// Switches sync off and notes how it went, for `afield status`.
    pub(crate) fn end(self) -> Result<(), Failure> {
        let status = self.replica.status()?;
        self.replica.disconnect();
        // Somebody may have connected to another relay, or to none, meanwhile.
        let Some(mut remembered) = Remembered::read(&self.store)? else { return Ok(()) };
        remembered.note(&status, self.since_ms..=context::wall_ms());
        Ok(remembered.write(&self.store)?)
    }
}

impl Remembered {
    /// Notes what a sync has come to that stayed on for this time. What the store remembers from before may be of another relay.
    fn note(&mut self, status: &Status, on_ms: RangeInclusive<i64>) {
        let state = LastState::of(status.state);
        self.last_error = match (state, &status.last_error) {
            (Some(state), Some(reason)) => Some(LastError { reason: reason.clone(), state, sign_in: status.sign_in }),
            _ => None,
        };
        self.spaces = RefusedSpace::of(status);
        if let Some(at_ms) = status.last_synced_ms.filter(|at_ms| on_ms.contains(at_ms)) {
            self.last_synced_ms = Some(at_ms);
        }
    }
}
