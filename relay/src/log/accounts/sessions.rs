//! What is told of sessions, and which of them.

use super::SignedOut;
use afield_core::{DeviceId, SessionId, SpaceId};
/// Which sessions are listed.
#[derive(Debug, Clone, Default)]
pub struct SessionFilter {
    /// Only those of this user.
    pub user: Option<String>,
    /// Only those of this device.
    pub device: Option<DeviceId>,
    /// Only those that have this space open.
    pub space: Option<SpaceId>,
}

/// A session, as its relay wrote it down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenSession {
    /// Its id.
    pub id: SessionId,
    /// Whose it is; absent where the relay has no access control.
    pub user: Option<String>,
    /// Its device.
    pub device: DeviceId,
    /// What the device is called: the name that it was given, or else that of its token.
    pub name: Option<String>,
    /// Where it comes from.
    pub address: Option<String>,
    /// Since when it is here, in milliseconds since the Unix epoch.
    pub since_wall_ms: i64,
    /// When its device was heard last before this was written down, in milliseconds since the Unix epoch.
    pub heard_wall_ms: i64,
    /// How many bytes waited to be sent to it.
    pub queued_bytes: u64,
    /// How far it is in each space that it has open.
    pub spaces: Vec<SessionProgress>,
}

/// How far a session's device is in a space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionProgress {
    /// The space.
    pub space: SpaceId,
    /// The last sequence that the device has stored, where it has said so.
    pub stored: Option<u64>,
    /// The last sequence of the log.
    pub head: u64,
}

/// What signing out a session did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedOutSession {
    /// Whose it is.
    pub user: String,
    /// The device, which is signed out.
    pub device: DeviceId,
    /// What that did to tokens.
    pub signed_out: SignedOut,
}
