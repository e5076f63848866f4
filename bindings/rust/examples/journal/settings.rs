//! What the app remembers of this device and does not share: a file beside the store, for its owner alone.

use crate::failure::Failure;
use afield::{Relay, SpaceId};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// What the name of the file has more than that of the store.
const SUFFIX: &str = "-settings.json";

/// What the app remembers of this device.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Settings {
    /// The journal that is shown, by its space.
    pub(crate) journal: Option<String>,
    pub(crate) author: String,
    pub(crate) device_name: String,
    pub(crate) relay: String,
    pub(crate) token: Secret,
    /// Whether sync is on from the start.
    pub(crate) is_syncing: bool,
}

/// A text that no log and no screen shows.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Secret(pub(crate) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("withheld")
    }
}

impl Settings {
    /// The file of a store's settings.
    pub(crate) fn path(store: &Path) -> PathBuf {
        let mut name = store.as_os_str().to_owned();
        name.push(SUFFIX);
        PathBuf::from(name)
    }

    /// Reads the settings of a store; those of a new one are empty.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        match std::fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| Failure::Settings(error.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(Failure::Settings(error)),
        }
    }

    /// Writes them: the file is the old one or the new one, and only its owner reads it, from its making on.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Failure> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let written = || {
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            serde_json::to_writer_pretty(&mut file, self)?;
            file.as_file().sync_all()?;
            file.persist(path)?;
            Ok(())
        };
        written().map_err(Failure::Settings)
    }

    /// The journal's id.
    pub(crate) fn space(&self) -> Option<SpaceId> {
        self.journal.as_ref()?.parse().ok()
    }

    /// The relay, as the library takes it.
    pub(crate) fn relay(&self) -> Result<Relay, Failure> {
        if self.relay.is_empty() {
            return Err(Failure::NoRelay);
        }
        let relay = Relay::new(&self.relay);
        Ok(if self.token.0.is_empty() { relay } else { relay.token(&self.token.0) })
    }
}
