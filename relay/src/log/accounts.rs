//! Who may use a relay: users, their tokens and devices, and the members of spaces.

use super::page::whole;
use super::{LogError, Page, Part, Token, TokenHash};
use afield_core::{DeviceId, Now, SessionId, SpaceId};
use std::fmt;
use std::str::FromStr;

/// The name of the user of tokens that name none.
pub const DEFAULT_USER_NAME: &str = "default";
/// The longest name of a user, a token or a device, in characters: it fits a line of a terminal.
pub const NAME_CHARS_MAX: usize = 120;

/// What administering a relay needs of its database; it is used beside the relay that runs, which notices within a second.
///
/// Every verb is one transaction, and one on something that is not there changes nothing and says so.
pub trait Accounts: Send {
    /// Makes a user.
    ///
    /// # Errors
    ///
    /// The name is none or taken, or the storage failed.
    fn create_user(&mut self, name: &str, now: Now) -> Result<(), AccountError>;

    /// Lists all users, in the order in which they were made.
    ///
    /// # Errors
    ///
    /// The storage failed.
    fn list_users(&mut self, part: &Part) -> Result<Page<UserSummary>, AccountError>;

    /// All that [`Self::list_users`] gives, for whoever knows that there is little.
    ///
    /// # Errors
    ///
    /// As of that.
    fn users(&mut self) -> Result<Vec<UserSummary>, AccountError> {
        whole(|part| self.list_users(part))
    }

    /// Closes an account to sign-ins, or opens it again. Spaces, members and tokens stay as they are.
    ///
    /// # Errors
    ///
    /// There is no such user, or the storage failed.
    fn set_user_enabled(&mut self, name: &str, enabled: bool, now: Now) -> Result<(), AccountError>;

    /// Signs out everything of a user: tokens are revoked, what was signed before now is over.
    ///
    /// # Errors
    ///
    /// There is no such user, or the storage failed.
    fn sign_out_user(&mut self, name: &str, now: Now) -> Result<SignedOut, AccountError>;

    /// Stores a new token, as its hash, and answers with its number.
    ///
    /// # Errors
    ///
    /// There is no such user, or the storage failed.
    fn create_token(&mut self, token: &Token, new: &NewToken, now: Now) -> Result<i64, AccountError>;

    /// Lists all tokens, ended ones too.
    ///
    /// # Errors
    ///
    /// The storage failed.
    fn list_tokens(&mut self, part: &Part) -> Result<Page<TokenSummary>, AccountError>;

    /// All that [`Self::list_tokens`] gives, for whoever knows that there is little.
    ///
    /// # Errors
    ///
    /// As of that.
    fn tokens(&mut self) -> Result<Vec<TokenSummary>, AccountError> {
        whole(|part| self.list_tokens(part))
    }

    /// Whether there is any token at all.
    ///
    /// # Errors
    ///
    /// The storage failed.
    fn has_tokens(&mut self) -> Result<bool, LogError>;

    /// Revokes a token.
    ///
    /// # Errors
    ///
    /// There is none that could be revoked, or the storage failed.
    fn revoke_token(&mut self, number: i64, now: Now) -> Result<(), AccountError>;

    /// Whether this is the token of an administrator, and good now.
    ///
    /// # Errors
    ///
    /// The storage failed.
    fn administers(&mut self, token: &TokenHash, now: Now) -> Result<bool, AccountError>;

    /// Lists all spaces, in the order in which they came to the relay.
    ///
    /// # Errors
    ///
    /// The storage failed.
    fn list_spaces(&mut self, part: &Part) -> Result<Page<SpaceSummary>, AccountError>;

    /// All that [`Self::list_spaces`] gives, for whoever knows that there is little.
    ///
    /// # Errors
    ///
    /// As of that.
    fn spaces(&mut self) -> Result<Vec<SpaceSummary>, AccountError> {
        whole(|part| self.list_spaces(part))
    }

    /// Lists the members of a space, by name.
    ///
    /// # Errors
    ///
    /// There is no such space, or the storage failed.
    fn list_members(&mut self, space: SpaceId, part: &Part) -> Result<Page<Member>, AccountError>;

    /// All that [`Self::list_members`] gives, for whoever knows that there is little.
    ///
    /// # Errors
    ///
    /// As of that.
    fn members(&mut self, space: SpaceId) -> Result<Vec<Member>, AccountError> {
        whole(|part| self.list_members(space, part))
    }

    /// Gives a user a role in a space, instead of the one that it has.
    ///
    /// # Errors
    ///
    /// There is no such space or user, nobody else owns the space, or the storage failed.
    fn grant(&mut self, space: SpaceId, user: &str, role: Role, now: Now) -> Result<(), AccountError>;

    /// Takes a user out of a space.
    ///
    /// # Errors
    ///
    /// There is no such space or member, nobody else owns the space, or the storage failed.
    fn remove_member(&mut self, space: SpaceId, user: &str, now: Now) -> Result<(), AccountError>;

    /// Stores an invitation to a space, as the hash of its code, and answers with its number.
    ///
    /// # Errors
    ///
    /// There is no such space, or the storage failed.
    fn invite(&mut self, code: &Token, new: NewInvitation, now: Now) -> Result<i64, AccountError>;

    /// Makes a user a member by an invitation's code, which is used up by that; a role that is higher stays.
    ///
    /// # Errors
    ///
    /// There is no such user, the code is wrong, used, withdrawn or too old, which look alike, or the storage failed.
    fn accept(&mut self, code: &TokenHash, user: &str, now: Now) -> Result<(SpaceId, Role), AccountError>;

    /// Lists the invitations to a space, used ones too.
    ///
    /// # Errors
    ///
    /// There is no such space, or the storage failed.
    fn list_invitations(&mut self, space: SpaceId, part: &Part) -> Result<Page<InvitationSummary>, AccountError>;

    /// All that [`Self::list_invitations`] gives, for whoever knows that there is little.
    ///
    /// # Errors
    ///
    /// As of that.
    fn invitations(&mut self, space: SpaceId) -> Result<Vec<InvitationSummary>, AccountError> {
        whole(|part| self.list_invitations(space, part))
    }

    /// Withdraws an invitation that was not used.
    ///
    /// # Errors
    ///
    /// There is none that could be withdrawn, or the storage failed.
    fn withdraw(&mut self, number: i64, now: Now) -> Result<(), AccountError>;

    /// Lists the devices of a user, or of all, user by user: an order that stays while devices come and go.
    ///
    /// # Errors
    ///
    /// There is no such user, or the storage failed.
    fn list_devices(&mut self, user: Option<&str>, part: &Part) -> Result<Page<DeviceSummary>, AccountError>;

    /// All that [`Self::list_devices`] gives, the one that was here last first, for whoever knows that there is little.
    ///
    /// # Errors
    ///
    /// As of that.
    fn devices(&mut self, user: Option<&str>) -> Result<Vec<DeviceSummary>, AccountError> {
        let mut devices = whole(|part| self.list_devices(user, part))?;
        devices.sort_by_key(|device| std::cmp::Reverse(device.last_seen_wall_ms));
        Ok(devices)
    }

    /// What devices are called: the names that they were given, or else those of their tokens.
    ///
    /// # Errors
    ///
    /// The storage failed.
    fn device_names(&mut self, devices: &[(String, DeviceId)]) -> Result<Vec<Option<String>>, AccountError>;

    /// Gives a device a name.
    ///
    /// # Errors
    ///
    /// There is no such device, the name is none, or the storage failed.
    fn name_device(&mut self, user: &str, device: DeviceId, name: &str) -> Result<(), AccountError>;

    /// Signs a device out: none of the tokens that were made before now lets it in again, and those that it has shown are revoked unless
    /// they are to be kept.
    ///
    /// # Errors
    ///
    /// There is no such device, or the storage failed.
    fn sign_out_device(
        &mut self,
        user: &str,
        device: DeviceId,
        tokens: ShownTokens,
        now: Now,
    ) -> Result<SignedOut, AccountError>;

    /// Lists the sessions that the relay on this log has written down, the one that has been here for longest first. Whether that relay still
    /// runs is not known here.
    ///
    /// # Errors
    ///
    /// There is no such user or space, or the storage failed.
    fn list_sessions(&mut self, filter: &SessionFilter, part: &Part) -> Result<Page<WrittenSession>, AccountError>;

    /// All that [`Self::list_sessions`] gives, for whoever knows that there is little.
    ///
    /// # Errors
    ///
    /// As of that.
    fn sessions(&mut self, filter: &SessionFilter) -> Result<Vec<WrittenSession>, AccountError> {
        whole(|part| self.list_sessions(filter, part))
    }

    /// Signs out the device of a session that was written down, as [`Self::sign_out_device`] does.
    ///
    /// # Errors
    ///
    /// There is no such session, its relay lets anyone in, or the storage failed.
    fn sign_out_session(
        &mut self,
        session: SessionId,
        tokens: ShownTokens,
        now: Now,
    ) -> Result<SignedOutSession, AccountError>;
}

/// What a member may do with a space; each role may what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Reads.
    Reader,
    /// Writes, too.
    Writer,
    /// Keeps the space: there is one always.
    Owner,
}

/// The text is not a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a role is reader, writer or owner")]
pub struct ParseRoleError;

impl Role {
    /// All roles, lowest first.
    pub const ALL: [Self; 3] = [Self::Reader, Self::Writer, Self::Owner];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Writer => "writer",
            Self::Owner => "owner",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Role {
    type Err = ParseRoleError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or(ParseRoleError)
    }
}

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

/// Why a verb of administration changed nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccountError {
    /// The name of a user, token or device is none.
    #[error("a name has 1 to {NAME_CHARS_MAX} characters, none of them a control character, and no blank at its ends")]
    Name,
    /// The name is taken.
    #[error("there is a user of this name already")]
    UserExists,
    /// There is no such user.
    #[error("there is no such user")]
    NoSuchUser,
    /// There is no such token that could be revoked.
    #[error("there is no token {0} that could be revoked")]
    NoSuchToken(i64),
    /// There is no such space.
    #[error("there is no space {0} on this relay")]
    NoSuchSpace(SpaceId),
    /// The user is not a member of the space.
    #[error("the user is not a member of space {0}")]
    NoSuchMember(SpaceId),
    /// The space would have no owner.
    #[error("space {0} would be left without an owner")]
    LastOwner(SpaceId),
    /// There is no such device.
    #[error("the user has no device {0}")]
    NoSuchDevice(DeviceId),
    /// There is no such session.
    #[error("there is no session {0} now")]
    NoSuchSession(SessionId),
    /// The relay has no access control.
    #[error("this relay lets anyone in: there is nobody who could be signed out")]
    OpenAccess,
    /// The place in a list is none.
    #[error("`after` is not what an earlier part of this list said as `next`")]
    After,
    /// The code is wrong, used, withdrawn or too old.
    #[error("the invitation is not good: it was used, withdrawn, is too old, or never was")]
    NoSuchInvitation,
    /// There is no such invitation that could be withdrawn.
    #[error("there is no invitation {0} that could be withdrawn")]
    NotWithdrawn(i64),
    /// The storage failed.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl From<rusqlite::Error> for AccountError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Log(error.into())
    }
}

impl AccountError {
    /// Whether what the verb was about is not there.
    pub fn is_missing(&self) -> bool {
        matches!(
            self,
            Self::NoSuchUser
                | Self::NoSuchToken(_)
                | Self::NoSuchSpace(_)
                | Self::NoSuchMember(_)
                | Self::NoSuchDevice(_)
                | Self::NoSuchSession(_)
                | Self::NoSuchInvitation
                | Self::NotWithdrawn(_)
        )
    }
}

/// Checks a name that a person gives. One of dots alone would be taken out of the address of a verb about it.
pub(crate) fn check_name(name: &str) -> Result<&str, AccountError> {
    let is_good = !matches!(name, "" | "." | "..")
        && name.trim() == name
        && name.chars().count() <= NAME_CHARS_MAX
        && !name.chars().any(char::is_control);
    if is_good { Ok(name) } else { Err(AccountError::Name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_fits_a_line_and_cannot_drive_a_terminal() {
        for good in ["ada", "Ada's phone", "зоя", &"x".repeat(NAME_CHARS_MAX)] {
            assert_eq!(check_name(good).unwrap(), good);
        }
        for bad in ["", " ada", "ada ", "a\nb", "\u{1b}[2J", "a\u{9b}b", ".", "..", &"x".repeat(NAME_CHARS_MAX + 1)] {
            assert!(matches!(check_name(bad), Err(AccountError::Name)), "{bad:?}");
        }
    }

    #[test]
    fn a_role_reads_back_and_may_what_those_before_it_may() {
        for role in Role::ALL {
            assert_eq!(role.to_string().parse(), Ok(role));
        }
        assert_eq!("admin".parse::<Role>(), Err(ParseRoleError));
        assert!(Role::Reader < Role::Writer && Role::Writer < Role::Owner);
    }
}
