//! Why a verb of administration changed nothing, and what a name may be.

use super::NAME_CHARS_MAX;
use crate::log::LogError;
use afield_core::{DeviceId, SessionId, SpaceId};
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
    /// There is such a space.
    #[error("there is a space {0} on this relay already")]
    SpaceExists(SpaceId),
    /// The space was purged.
    #[error("space {0} was purged: it does not come back")]
    SpacePurged(SpaceId),
    /// There is room for no more spaces.
    #[error("this relay has had as many spaces as it can have")]
    NoRoomForSpaces,
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
}
