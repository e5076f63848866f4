//! Sessions, as a relay writes them down for commands beside it.

use super::TokenHash;
use afield_core::{DeviceId, SessionId, SpaceId};

/// What has changed of the sessions of a relay since that was written down last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionNotes {
    /// Whether nothing holds of what was written down before.
    pub(crate) anew: bool,
    /// Those that began, or are another way than before.
    pub(crate) here: Vec<SessionNote>,
    /// Those that are over.
    pub(crate) gone: Vec<SessionId>,
}

impl SessionNotes {
    /// Whether nothing has changed.
    pub fn is_empty(&self) -> bool {
        !self.anew && self.here.is_empty() && self.gone.is_empty()
    }
}

/// A session, with what is another way in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionNote {
    /// Its id.
    pub(crate) id: SessionId,
    /// The row of its user; absent where anyone may do everything.
    pub(crate) user: Option<i64>,
    /// Its device.
    pub(crate) device: DeviceId,
    /// What it signed in with; absent where anyone may do everything.
    pub(crate) token: Option<TokenHash>,
    /// Where it comes from.
    pub(crate) address: Option<String>,
    /// Since when it is here, in milliseconds since the Unix epoch.
    pub(crate) since_wall_ms: i64,
    /// When its device was heard last, in milliseconds since the Unix epoch.
    pub(crate) heard_wall_ms: i64,
    /// How many bytes wait to be sent to it.
    pub(crate) queued_bytes: u64,
    /// The spaces in which it is another way.
    pub(crate) spaces: Vec<SpaceNote>,
}

/// How a session is in a space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpaceNote {
    /// The space.
    pub(crate) space: SpaceId,
    /// Whether it has the space open.
    pub(crate) is_open: bool,
    /// The last sequence that its device has stored, where it has said so.
    pub(crate) stored: Option<u64>,
}
