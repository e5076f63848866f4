//! Who may use a relay: users, their tokens and devices, and the members of spaces.

mod error;
mod rows;
mod sessions;

pub use afield_core::role::{ParseRoleError, Role};
pub use error::AccountError;
pub(crate) use error::check_name;
pub use rows::{
    DeviceSummary, InvitationSummary, Member, NewInvitation, NewToken, ShownTokens, SignedOut, SpaceSummary,
    TokenSummary, UserSummary,
};
pub use sessions::{SessionFilter, SessionProgress, SignedOutSession, WrittenSession};

use super::page::whole;
use super::{LogError, Page, Part, Token, TokenHash};
use afield_core::{DeviceId, LogId, Now, SessionId, SpaceId};

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

    /// Whether any device can sign in with a token: one is good that is not of the administration, and the account of its user is open.
    ///
    /// # Errors
    ///
    /// The storage failed.
    fn has_good_tokens(&mut self, now: Now) -> Result<bool, LogError>;

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

    /// Creates a space that no device brings, with an empty log; how many the owner may have does not count.
    ///
    /// # Errors
    ///
    /// There is no such user, such a space is there or was purged, or the storage failed.
    fn create_space(&mut self, space: SpaceId, owner: &str, fresh: LogId, now: Now) -> Result<(), AccountError>;

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
