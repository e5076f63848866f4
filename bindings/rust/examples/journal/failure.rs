//! What went wrong, with what helps: the library's errors say both, and this puts them into one line.

use afield::{
    Class, EditError, EntityError, QueryError, ReadError, ReplicaError, ScheduleError, SpaceError, StoreError,
};
use std::error::Error;
use std::io;

/// Something that a person asked for was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Open(#[from] ReplicaError),
    #[error(transparent)]
    Space(#[from] SpaceError),
    #[error(transparent)]
    Entity(#[from] EntityError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Edit(#[from] EditError),
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    #[error(transparent)]
    Request(#[from] afield::RequestError),
    #[error(transparent)]
    Connect(#[from] afield::ConnectError),
    #[error("that is not a journal's id; the other device shows it under Settings")]
    SpaceId(#[from] afield::ParseIdError),
    #[error("the file of the journal could not be made")]
    File(#[source] io::Error),
    #[error("the settings could not be read or written")]
    Settings(#[source] io::Error),
    #[error("the terminal could not be used")]
    Terminal(#[source] io::Error),
    #[error("no relay is set; name one under Settings (6)")]
    NoRelay,
    #[error("give the questionnaire a name and at least one question")]
    Unfinished,
    #[error("the scale ends at a number from 1 to 100")]
    Scale,
}

impl Failure {
    /// What happened, why, and what to do next.
    pub(crate) fn in_words(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            // Many errors say what their cause says, since that is all they know.
            let reason = error.to_string();
            if !text.contains(&reason) {
                text.push_str(&format!(": {reason}"));
            }
            cause = error.source();
        }
        match self.next_step() {
            Some(next) => format!("{text} ({next})"),
            None => text,
        }
    }

    fn next_step(&self) -> Option<&'static str> {
        let class = match self {
            Self::Open(error) => error.class(),
            Self::Space(error) => error.class(),
            Self::Entity(error) => error.class(),
            Self::Read(error) => error.class(),
            Self::Edit(error) => error.class(),
            Self::Query(error) => error.class(),
            Self::Store(error) => error.class(),
            Self::Request(error) => error.class(),
            Self::Connect(error) => error.class(),
            // The others say what to do.
            _ => return None,
        };
        next_step_of(class)
    }
}

/// What helps against an error of a class, where the error does not say it itself.
pub(crate) fn next_step_of(class: Class) -> Option<&'static str> {
    match class {
        Class::Retry => Some("try again"),
        Class::SignIn => Some("put a fresh token under Settings (6)"),
        Class::Quota => Some("make room"),
        Class::Upgrade => Some("get a newer version"),
        _ => None,
    }
}
