//! Users, tokens, devices, members and invitations.

mod check;
mod device;
mod end;
mod forget;
mod invitation;
mod over;
mod session;
mod signed;
mod space;
mod token;
mod user;

pub(super) use check::{Creation, SPACE_OF_MEMBER, authenticate, create_space, ended, is_invited, standing};
#[cfg(test)]
pub(super) use device::DEVICES_PER_USER_MAX;
pub use end::EndedAccess;
pub(super) use forget::{SoleSpace, forget_user, sole_spaces};
pub(super) use invitation::take as take_invitation;
pub(super) use session::take_out as take_sessions_out;
#[cfg(test)]
pub(super) use signed::INSERT_USER;
pub(super) use token::ANY_GOOD as ANY_GOOD_TOKEN;

use super::SqliteLog;
use super::foreign;
use super::transaction::{Purpose, SqliteTransaction};
use crate::log::accounts::{
    AccountError, Accounts, DeviceSummary, InvitationSummary, Member, NewInvitation, NewToken, Role, SessionFilter,
    ShownTokens, SignedOut, SignedOutSession, SpaceSummary, TokenSummary, UserSummary, WrittenSession,
};
use crate::log::{Authentication, Ended, LogError, Page, Part, SeenDevice, SessionNotes, Token, TokenHash};
use afield_core::{Commit, DeviceId, LogId, Now, SessionId, SpaceId};
use rusqlite::OptionalExtension;

/// The row of the user of tokens that name none, and of a relay without access control.
pub(in crate::log) const DEFAULT_USER: i64 = 1;

/// The answer to a signed token that was over before it was shown.
const SIGNED_OUT: Authentication = Authentication::Ended(Ended::SignedOut);

/// The row of a user.
fn user_row(transaction: &SqliteTransaction<'_>, name: &str) -> Result<i64, AccountError> {
    let found = transaction
        .statement("SELECT number FROM users WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?;
    found.ok_or(AccountError::NoSuchUser)
}

/// The row of a space.
fn space_row(transaction: &SqliteTransaction<'_>, space: SpaceId) -> Result<i64, AccountError> {
    let found = transaction
        .statement("SELECT number FROM spaces WHERE id = ?1")?
        .query_row([space.as_bytes()], |row| row.get(0))
        .optional()?;
    found.ok_or(AccountError::NoSuchSpace(space))
}

impl SqliteLog {
    /// Looks something up for an administrator.
    fn looked_up<T>(
        &mut self,
        look: impl FnOnce(&SqliteTransaction<'_>) -> Result<T, AccountError>,
    ) -> Result<T, AccountError> {
        let result = self.begin(Purpose::Read).map_err(AccountError::from).and_then(|transaction| look(&transaction));
        self.watched_account(result)
    }

    /// Changes something for an administrator, in one transaction; where that fails, nothing has changed.
    fn administered<T>(
        &mut self,
        change: impl FnOnce(&SqliteTransaction<'_>) -> Result<T, AccountError>,
    ) -> Result<T, AccountError> {
        let result = self.begin(Purpose::Write).map_err(AccountError::from).and_then(|mut transaction| {
            let changed = change(&transaction)?;
            transaction.commit()?;
            Ok(changed)
        });
        self.administered += u64::from(result.is_ok());
        self.watched_account(result)
    }

    fn watched_account<T>(&mut self, result: Result<T, AccountError>) -> Result<T, AccountError> {
        match result {
            Err(AccountError::Log(error)) => self.watched(Err(error)).map_err(AccountError::Log),
            other => other,
        }
    }
}

impl Accounts for SqliteLog {
    fn create_user(&mut self, name: &str, now: Now) -> Result<(), AccountError> {
        self.administered(|transaction| user::create(transaction, name, now))
    }

    fn list_users(&mut self, part: &Part) -> Result<Page<UserSummary>, AccountError> {
        self.looked_up(|transaction| user::list(transaction, part))
    }

    fn set_user_enabled(&mut self, name: &str, enabled: bool, now: Now) -> Result<(), AccountError> {
        self.administered(|transaction| user::set_enabled(transaction, name, enabled, now))
    }

    fn sign_out_user(&mut self, name: &str, now: Now) -> Result<SignedOut, AccountError> {
        self.administered(|transaction| user::sign_out(transaction, name, now))
    }

    fn create_token(&mut self, token: &Token, new: &NewToken, now: Now) -> Result<i64, AccountError> {
        self.administered(|transaction| token::create(transaction, token, new, now))
    }

    fn list_tokens(&mut self, part: &Part) -> Result<Page<TokenSummary>, AccountError> {
        self.looked_up(|transaction| token::list(transaction, part))
    }

    fn has_tokens(&mut self) -> Result<bool, LogError> {
        let found = self
            .begin(Purpose::Read)
            .and_then(|transaction| Ok(transaction.statement("SELECT 1 FROM tokens LIMIT 1")?.exists([])?));
        self.watched(found)
    }

    fn has_good_tokens(&mut self, now: Now) -> Result<bool, LogError> {
        let found = self.begin(Purpose::Read).and_then(|transaction| token::any_good(&transaction, now));
        self.watched(found)
    }

    fn revoke_token(&mut self, number: i64, now: Now) -> Result<(), AccountError> {
        self.administered(|transaction| token::revoke(transaction, number, now))
    }

    fn administers(&mut self, token: &TokenHash, now: Now) -> Result<bool, AccountError> {
        self.looked_up(|transaction| token::administers(transaction, token, now))
    }

    fn list_spaces(&mut self, part: &Part) -> Result<Page<SpaceSummary>, AccountError> {
        self.looked_up(|transaction| space::list(transaction, part))
    }

    fn list_members(&mut self, space: SpaceId, part: &Part) -> Result<Page<Member>, AccountError> {
        self.looked_up(|transaction| space::members(transaction, space, part))
    }

    fn create_space(&mut self, space: SpaceId, owner: &str, fresh: LogId, now: Now) -> Result<(), AccountError> {
        self.administered(|transaction| space::create(transaction, (space, fresh), owner, now))
    }

    fn grant(&mut self, space: SpaceId, user: &str, role: Role, _: Now) -> Result<(), AccountError> {
        self.administered(|transaction| space::grant(transaction, space, user, role))
    }

    fn remove_member(&mut self, space: SpaceId, user: &str, _: Now) -> Result<(), AccountError> {
        self.administered(|transaction| space::remove(transaction, space, user))
    }

    fn invite(&mut self, code: &Token, new: NewInvitation, now: Now) -> Result<i64, AccountError> {
        self.administered(|transaction| invitation::create(transaction, code, new, now))
    }

    fn accept(&mut self, code: &TokenHash, user: &str, now: Now) -> Result<(SpaceId, Role), AccountError> {
        self.administered(|transaction| invitation::accept(transaction, code, user, now))
    }

    fn list_invitations(&mut self, space: SpaceId, part: &Part) -> Result<Page<InvitationSummary>, AccountError> {
        self.looked_up(|transaction| invitation::list(transaction, space, part))
    }

    fn withdraw(&mut self, number: i64, now: Now) -> Result<(), AccountError> {
        self.administered(|transaction| invitation::withdraw(transaction, number, now))
    }

    fn list_devices(&mut self, user: Option<&str>, part: &Part) -> Result<Page<DeviceSummary>, AccountError> {
        self.looked_up(|transaction| device::list(transaction, user, part))
    }

    fn device_names(&mut self, devices: &[(String, DeviceId)]) -> Result<Vec<Option<String>>, AccountError> {
        self.looked_up(|transaction| device::names(transaction, devices))
    }

    fn name_device(&mut self, user: &str, device: DeviceId, name: &str) -> Result<(), AccountError> {
        self.administered(|transaction| device::name(transaction, user, device, name))
    }

    fn sign_out_device(
        &mut self,
        user: &str,
        device: DeviceId,
        tokens: ShownTokens,
        now: Now,
    ) -> Result<SignedOut, AccountError> {
        self.administered(|transaction| device::sign_out(transaction, user, device, tokens, now))
    }

    fn list_sessions(&mut self, filter: &SessionFilter, part: &Part) -> Result<Page<WrittenSession>, AccountError> {
        self.looked_up(|transaction| session::list(transaction, filter, part))
    }

    fn sign_out_session(
        &mut self,
        session: SessionId,
        tokens: ShownTokens,
        now: Now,
    ) -> Result<SignedOutSession, AccountError> {
        self.administered(|transaction| session::sign_out(transaction, session, tokens, now))
    }
}

impl SqliteLog {
    /// Ends all access that was given so far: tokens, what was signed, for users who are not known here, too, and invitations. Users keep
    /// their spaces.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn end_all_access(&mut self, now: Now) -> Result<EndedAccess, AccountError> {
        self.administered(|transaction| end::all(transaction, now))
    }

    /// Notes who was here, and who is, in one transaction.
    pub(super) fn write_roster(&mut self, seen: &[SeenDevice], sessions: &SessionNotes) -> Result<(), LogError> {
        let mut transaction = self.begin(Purpose::Write)?;
        for seen in seen {
            device::note(&transaction, seen)?;
        }
        session::note(&transaction, sessions)?;
        transaction.commit()
    }

    /// Finds or makes the rows of a token that an app's backend signed, and checks it as any other. One that is new is a commit with a sync.
    pub(super) fn take_signed(
        &mut self,
        token: &TokenHash,
        claims: &crate::log::SignedClaims,
        device: DeviceId,
        now: Now,
    ) -> Result<Authentication, LogError> {
        let transaction = self.begin(Purpose::Read)?;
        let known = authenticate(&transaction, token, device, now)?;
        if known != Authentication::Unknown {
            return Ok(known);
        }
        // Looked at before others are kept waiting, and once more when nobody can purge a user meanwhile.
        if over::is_over(&transaction, claims)? {
            return Ok(SIGNED_OUT);
        }
        drop(transaction);
        let mut transaction = self.begin(Purpose::Write)?;
        if over::is_over(&transaction, claims)? {
            return Ok(SIGNED_OUT);
        }
        let before = foreign::administration(&transaction)?;
        let others_ended = signed::store(&transaction, token, claims, device, now)?;
        let answer = authenticate(&transaction, token, device, now)?;
        let changes = foreign::administration(&transaction)?.saturating_sub(before);
        transaction.commit()?;
        drop(transaction);
        self.foreign.administered(changes);
        // Sessions that came with them hear of it.
        self.administered += u64::from(others_ended);
        Ok(answer)
    }
}
