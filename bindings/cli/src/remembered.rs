//! The relay of a store, in a file beside it that only its owner reads.

use crate::context::beside;
use afield::{Class, Relay, SignInReason, SpaceStatus, Status, SyncState};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::{self, PemObject};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What the name of the file has more than that of the store.
const SUFFIX: &str = "-relay.json";

/// The file about the relay could not be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RememberedError {
    #[error("{} could not be read", .path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} could not be written", .path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("{} does not hold what this program writes there (line {line}); `afield connect` makes it anew", .path.display())]
    Content { path: PathBuf, line: usize },
    #[error("the file of --ca holds no certificates as PEM")]
    Authority(#[source] pem::Error),
}

/// The relay of a store. Its `Debug` leaves the token out.
#[derive(Serialize, Deserialize)]
pub(crate) struct Remembered {
    /// The relay's address.
    pub(crate) address: String,
    token: Option<String>,
    /// Certificates of an authority to trust beside the system's, as PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    authority: Option<String>,
    /// When the store was last in step with the relay, in milliseconds since the Unix epoch.
    pub(crate) last_synced_ms: Option<i64>,
    /// Why the last attempt since then failed.
    pub(crate) last_error: Option<LastError>,
    /// The spaces that the relay did not serve at that attempt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) spaces: Vec<RefusedSpace>,
}

/// A space that the relay does not serve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RefusedSpace {
    /// The space.
    pub(crate) id: String,
    /// Why, in words for a person.
    pub(crate) reason: String,
}

impl RefusedSpace {
    /// Those of a status, and those of which deletions wait to be confirmed.
    pub(crate) fn of(status: &Status) -> Vec<Self> {
        let kept_back = |space: &&SpaceStatus| space.refused || space.held_to_send + space.held_here > 0;
        let refused =
            |space: &SpaceStatus| Some(Self { id: space.space.to_string(), reason: space.last_error.clone()? });
        status.spaces.iter().filter(kept_back).filter_map(refused).collect()
    }
}

impl fmt::Debug for Remembered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remembered").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Remembered {
    /// Whether a token is remembered with the address.
    pub(crate) fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// The file in which the relay of a store is remembered.
    pub(crate) fn path(store: &Path) -> PathBuf {
        beside(store, SUFFIX)
    }

    /// Whether this one stays until a new one has let the device in: it leads elsewhere, or has let it in with another token.
    pub(crate) fn is_worth_keeping_for(&self, new: &Self) -> bool {
        let is_same_key = self.token == new.token && self.authority == new.authority;
        self.address != new.address || !is_same_key && self.last_synced_ms.is_some()
    }
}

/// Why the last attempt failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LastError {
    /// In words for a person.
    pub(crate) reason: String,
    /// What sync is because of it.
    pub(crate) state: LastState,
    /// Why somebody has to sign in, where that is it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sign_in: Option<SignInReason>,
}

/// What sync is because of a failure; the words are those of the library's own states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LastState {
    /// The relay was not reached.
    Offline,
    /// It wants a token, or another one.
    NeedsSignIn,
    /// It refuses something.
    Blocked,
}

impl LastState {
    /// What a live state leaves behind; `None` where nothing is wrong.
    pub(crate) fn of(state: SyncState) -> Option<Self> {
        match state {
            SyncState::Offline => Some(Self::Offline),
            SyncState::NeedsSignIn => Some(Self::NeedsSignIn),
            SyncState::Blocked | SyncState::Error => Some(Self::Blocked),
            _ => None,
        }
    }
}

impl From<Class> for LastState {
    fn from(class: Class) -> Self {
        match class {
            Class::Retry => Self::Offline,
            Class::SignIn => Self::NeedsSignIn,
            Class::Quota | Class::Upgrade | Class::Permanent => Self::Blocked,
        }
    }
}

impl Remembered {
    /// A relay that was not synced with yet.
    pub(crate) fn new(address: String, token: Option<String>, authority: Option<String>) -> Self {
        Self { address, token, authority, last_synced_ms: None, last_error: None, spaces: Vec::new() }
    }

    /// Takes over the authority of what was remembered before, where that is the same relay and no other authority was named:
    /// a new token is for the relay that is trusted already.
    pub(crate) fn keep_authority(&mut self, before: &Self) {
        if self.address == before.address && self.authority.is_none() {
            self.authority.clone_from(&before.authority);
        }
    }

    /// The relay, as the library takes it.
    pub(crate) fn relay(&self) -> Result<Relay, RememberedError> {
        let mut relay = Relay::new(&self.address);
        if let Some(token) = &self.token {
            relay = relay.token(token);
        }
        if let Some(authority) = &self.authority {
            let certificates = CertificateDer::pem_slice_iter(authority.as_bytes()).collect::<Result<Vec<_>, _>>();
            let certificates = certificates.map_err(RememberedError::Authority)?;
            if certificates.is_empty() {
                return Err(RememberedError::Authority(pem::Error::NoItemsFound));
            }
            relay = certificates.iter().fold(relay, |relay, certificate| relay.trust(certificate.as_ref()));
        }
        Ok(relay)
    }

    /// Reads the relay of a store; `None` where it has none.
    pub(crate) fn read(store: &Path) -> Result<Option<Self>, RememberedError> {
        let path = beside(store, SUFFIX);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(RememberedError::Read { path, source }),
        };
        serde_json::from_slice(&text).map_err(|error| RememberedError::Content { path, line: error.line() })
    }

    /// Writes the relay of a store: the file is the old one or the new one, never half of it, and no other user reads it.
    pub(crate) fn write(&self, store: &Path) -> Result<(), RememberedError> {
        let path = beside(store, SUFFIX);
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let written = || {
            // Such a file is readable by its owner only, from the moment of its making.
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            serde_json::to_writer(&mut file, self).map_err(io::Error::from)?;
            file.write_all(b"\n")?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|error| error.error)?;
            Ok(())
        };
        written().map_err(|source| RememberedError::Write { path: path.clone(), source })
    }

    /// Forgets the relay of a store; tells whether there was one.
    pub(crate) fn forget(store: &Path) -> Result<bool, RememberedError> {
        let path = beside(store, SUFFIX);
        match std::fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(RememberedError::Write { path, source }),
        }
    }
}
