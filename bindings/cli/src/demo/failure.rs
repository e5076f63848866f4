//! Why the demo ended early.

use std::io;
use std::process::ExitStatus;

/// The demo ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoFailure {
    #[error("the demo's folder could not be made or removed")]
    Folder(#[source] io::Error),
    #[error("the relay's process could not be started")]
    Spawn(#[source] io::Error),
    #[error("the relay ended at once ({status}); it said: {said}")]
    RelayEnded { status: ExitStatus, said: String },
    #[error("the relay did not say within {seconds} s where it listens; it said: {said}")]
    RelaySilent { seconds: u64, said: String },
    #[error("the relay could not be killed")]
    Kill(#[source] io::Error),
    #[error("it took more than {seconds} s until {what}")]
    TooSlow { what: &'static str, seconds: u64 },
    #[error("a claim does not hold: {promise}. Expected: {expected}. Found: {found}")]
    Broken { promise: &'static str, expected: String, found: String },
    #[error("interrupted; nothing is left behind")]
    Interrupted,
}

impl DemoFailure {
    /// What a person would do next.
    pub(crate) fn next(&self) -> &'static str {
        match self {
            Self::Folder(_) => "check that the folder for temporary files can be written",
            Self::Spawn(_) | Self::RelayEnded { .. } | Self::RelaySilent { .. } => {
                "`afield relay serve --insecure-open` shows what keeps a relay from starting here"
            }
            Self::Broken { .. } => "this is a bug in Afield: please report it with everything printed above",
            Self::TooSlow { .. } => {
                "try again on a less busy machine; if it happens again it is a bug, so please report it"
            }
            Self::Kill(_) => "run it again; if it happens again it is a bug, so please report it",
            Self::Interrupted => "run it again when you like",
        }
    }
}
