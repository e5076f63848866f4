//! What can be wrong with a configuration.

use super::load::Origin;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// All that is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub struct ConfigError(pub(super) Vec<Problem>);

/// One a line: whoever mends a file wants to see all of it.
impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, problem) in self.0.iter().enumerate() {
            let line = if nth == 0 { "" } else { "\n" };
            write!(f, "{line}{problem}")?;
        }
        Ok(())
    }
}

/// Something that is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    #[error("cannot read the configuration {}: {source}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{}:{line}: {problem}", path.display())]
    Syntax { path: PathBuf, line: usize, problem: String },
    #[error("{at}: there is no key {name}; did you mean {nearest}?")]
    Unknown { at: Origin, name: String, nearest: String },
    #[error("{name}: there is no such variable; did you mean {nearest}?")]
    UnknownVariable { name: String, nearest: String },
    #[error("{at}: the key {name} is no more: {instead}")]
    Removed { at: Origin, name: &'static str, instead: &'static str },
    #[error("{at}: {key}: give {wanted}{}", and_not(found.as_deref()))]
    Wrong {
        at: Origin,
        key: &'static str,
        wanted: &'static str,
        /// What was given; none for a secret.
        found: Option<String>,
    },
    #[error("{at}: {key}: it is not text in UTF-8")]
    NotText { at: Origin, key: &'static str },
    #[error("{at}: {key} needs {other}, which is not set")]
    Alone { at: Origin, key: &'static str, other: &'static str },
    #[error("{at}: {key}: {} is no folder", path.display())]
    NoFolder { at: Origin, key: &'static str, path: PathBuf },
}

fn and_not(found: Option<&str>) -> String {
    found.map(|found| format!(", and not {found}")).unwrap_or_default()
}
