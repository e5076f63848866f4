//! What lists of users, tokens, spaces, members, invitations and devices tell, and what is made for them.

use super::Role;
use afield_core::{DeviceId, SpaceId};
/// A user, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserSummary {
    /// Its name.
    pub name: String,
    /// When it was made, in milliseconds since the Unix epoch.
    pub created_wall_ms: i64,
    /// Since when the account is closed, in milliseconds since the Unix epoch.
    pub disabled_wall_ms: Option<i64>,
    /// Who signs its tokens; absent for a user of this relay's own.
    pub issuer: Option<String>,
    /// How many spaces it is a member of.
    pub spaces: u64,
    /// How many of its tokens are good, those aside that were signed elsewhere.
    pub tokens: u64,
    /// How many devices it has that are not signed out.
    pub devices: u64,
}

/// What a new token is for.
#[derive(Debug, Clone, Default)]
pub struct NewToken {
    /// Whose it is; absent for the default user.
    pub user: Option<String>,
    /// What its holder calls it.
    pub name: Option<String>,
    /// The spaces it is for; empty for all of its user's, also later ones.
    pub spaces: Vec<SpaceId>,
    /// Whether it may only read.
    pub read_only: bool,
    /// Whether it may bring a space that was made offline to this relay.
    pub may_create: bool,
    /// Whether it opens the administration of the relay. It signs no device in then.
    pub administers: bool,
    /// When it expires, in milliseconds since the Unix epoch; absent for never.
    pub expires_wall_ms: Option<i64>,
}

/// What is known of a token; never the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSummary {
    /// The number by which it is revoked.
    pub number: i64,
    /// Whose it is.
    pub user: String,
    /// What its holder calls it.
    pub name: Option<String>,
    /// The spaces it is for; absent for all of its user's.
    pub spaces: Option<Vec<SpaceId>>,
    /// Whether it may only read.
    pub read_only: bool,
    /// Whether it may create a space.
    pub may_create: bool,
    /// Whether it opens the administration of the relay.
    pub administers: bool,
    /// Whether an app's backend signed it; it was noted when it was shown first.
    pub signed: bool,
    /// When it was made, in milliseconds since the Unix epoch.
    pub created_wall_ms: i64,
    /// When it expires, in milliseconds since the Unix epoch.
    pub expires_wall_ms: Option<i64>,
    /// When it was revoked, in milliseconds since the Unix epoch.
    pub revoked_wall_ms: Option<i64>,
}

/// A space, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpaceSummary {
    /// Its id.
    pub id: SpaceId,
    /// How many members it has.
    pub members: u64,
    /// The last sequence of its log.
    pub sequence: u64,
    /// How many chunks count against its quota.
    pub chunks: u64,
    /// How many bytes they have.
    pub bytes: u64,
    /// When it came to the relay, in milliseconds since the Unix epoch.
    pub created_wall_ms: i64,
}

/// A member of a space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The user's name.
    pub user: String,
    /// What it may do.
    pub role: Role,
    /// Whether its account is closed.
    pub is_disabled: bool,
}

/// What a new invitation is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewInvitation {
    /// To which space.
    pub space: SpaceId,
    /// What whoever uses it may do.
    pub role: Role,
    /// Until when it can be used, in milliseconds since the Unix epoch.
    pub expires_wall_ms: i64,
}

/// What is known of an invitation; never its code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvitationSummary {
    /// The number by which it is withdrawn.
    pub number: i64,
    /// What whoever uses it may do.
    pub role: Role,
    /// When it was made, in milliseconds since the Unix epoch.
    pub created_wall_ms: i64,
    /// Until when it can be used, in milliseconds since the Unix epoch.
    pub expires_wall_ms: i64,
    /// When it was used, in milliseconds since the Unix epoch, and by whom.
    pub used: Option<(i64, String)>,
    /// When it was withdrawn, in milliseconds since the Unix epoch.
    pub withdrawn_wall_ms: Option<i64>,
}

/// A device that has signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceSummary {
    /// Whose it is.
    pub user: String,
    /// Its id.
    pub id: DeviceId,
    /// What it is called: the name that it was given, or else that of its token.
    pub name: Option<String>,
    /// The number of the token that it showed last.
    pub token: Option<i64>,
    /// Where it came from last.
    pub address: Option<String>,
    /// When it signed in first, in milliseconds since the Unix epoch.
    pub first_seen_wall_ms: i64,
    /// When it was here last, in milliseconds since the Unix epoch.
    pub last_seen_wall_ms: i64,
    /// When it was signed out, in milliseconds since the Unix epoch.
    pub signed_out_wall_ms: Option<i64>,
}

/// What becomes of the tokens that a device has shown, where it is signed out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ShownTokens {
    /// They are revoked, for others who use them, too: a device chooses its id itself, so that whoever holds one would come back as another
    /// device.
    #[default]
    Revoke,
    /// They stay good, for other devices: only the id of this one is signed out.
    Keep,
}

/// What signing out did to tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SignedOut {
    /// The numbers of those that were revoked by it.
    pub revoked: Vec<i64>,
    /// Of those, the ones that other devices have shown, too: they need new ones.
    pub shared: Vec<i64>,
    /// The numbers of those that stay good, as was wished: whoever holds one signs in with it as a new device.
    pub kept: Vec<i64>,
}
