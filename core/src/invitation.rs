//! Invitations to spaces: what one person hands to another, so that the other one's device can join.

use crate::id::SpaceId;
use crate::limits::INVITATION_BYTES_MAX;
use minicbor::{Decode, Decoder, Encode, Encoder};
use std::{fmt, str::FromStr};

/// How every invitation starts, so that a person and a secret scanner recognise one, and nobody takes it for a token.
pub const INVITATION_PREFIX: &str = "afield_invitation_";

/// The hexadecimal digits of the space at the end of an invitation.
const SPACE_DIGITS: usize = 32;

/// The text is not an invitation.
///
/// ```
/// use afield_core::Invitation;
///
/// let error = "let me in".parse::<Invitation>().unwrap_err();
/// assert!(error.to_string().starts_with("not an invitation"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not an invitation: expected what the relay's `space invite` shows, from {INVITATION_PREFIX} to the end of the line"
)]
pub struct ParseInvitationError;

/// An invitation to a space, which is good once: whoever has it becomes a member of the space with the next sync.
///
/// Its text begins with `afield_invitation_` and ends with the space, so that it is all that a person needs. It is as secret as a token
/// until it was used: its `Debug` form withholds it and there is no `Display`, so that it reaches a log only by calling
/// [`Invitation::expose`].
///
/// ```
/// use afield_core::{Invitation, SpaceId};
///
/// let invitation = Invitation::new(SpaceId::from_bytes([7; 16]), "0123456789abcdef");
/// let same: Invitation = invitation.expose().parse()?;
/// assert_eq!((same.space(), &same), (SpaceId::from_bytes([7; 16]), &invitation));
/// assert!(!format!("{invitation:?}").contains("0123456789abcdef"));
/// # Ok::<(), afield_core::ParseInvitationError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Invitation {
    space: SpaceId,
    code: InvitationCode,
}

impl Invitation {
    /// The invitation to a space with these secret letters and digits: for relays, which draw them, and for tests.
    ///
    /// ```
    /// use afield_core::{Invitation, SpaceId};
    ///
    /// let invitation = Invitation::new(SpaceId::from_bytes([7; 16]), "0123456789abcdef");
    /// assert_eq!(invitation.expose(), "afield_invitation_0123456789abcdef_07070707070707070707070707070707");
    /// ```
    pub fn new(space: SpaceId, secret: &str) -> Self {
        let mut text = format!("{INVITATION_PREFIX}{secret}_");
        for byte in space.as_bytes() {
            text.push_str(&format!("{byte:02x}"));
        }
        Self { space, code: InvitationCode(text.into()) }
    }

    /// The space that it is an invitation to.
    ///
    /// ```
    /// use afield_core::{Invitation, SpaceId};
    ///
    /// let invitation = Invitation::new(SpaceId::from_bytes([7; 16]), "0123456789abcdef");
    /// assert_eq!(invitation.space(), SpaceId::from_bytes([7; 16]));
    /// ```
    pub const fn space(&self) -> SpaceId {
        self.space
    }

    /// The text itself, for the one place that hands it to a person, and for the device, which says all of it to the relay.
    ///
    /// ```
    /// use afield_core::{Invitation, SpaceId};
    ///
    /// let invitation = Invitation::new(SpaceId::from_bytes([7; 16]), "0123456789abcdef");
    /// assert!(invitation.expose().starts_with("afield_invitation_"));
    /// ```
    pub fn expose(&self) -> &str {
        self.code.expose()
    }
}

impl FromStr for Invitation {
    type Err = ParseInvitationError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let code: InvitationCode = text.parse()?;
        let secret = text.strip_prefix(INVITATION_PREFIX).ok_or(ParseInvitationError)?;
        let (secret, space) = secret.rsplit_once('_').ok_or(ParseInvitationError)?;
        let is_whole = space.len() == SPACE_DIGITS && !secret.is_empty();
        if !is_whole || !secret.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(ParseInvitationError);
        }
        Ok(Self { space: space.parse().map_err(|_| ParseInvitationError)?, code })
    }
}

impl fmt::Debug for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invitation").field("space", &self.space).finish_non_exhaustive()
    }
}

/// An invitation as a device says it to a relay: a text of 1 to [`INVITATION_BYTES_MAX`] bytes, of which the relay alone knows whether it is good.
///
/// Its `Debug` form withholds it (invariant S6).
///
/// ```
/// use afield_core::invitation::InvitationCode;
///
/// let code: InvitationCode = "0123456789abcdef".parse()?;
/// assert_eq!(format!("{code:?}"), "InvitationCode(withheld)");
/// # Ok::<(), afield_core::ParseInvitationError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct InvitationCode(Box<str>);

impl InvitationCode {
    /// The text itself, for those places that send, store or check it.
    ///
    /// ```
    /// let code: afield_core::invitation::InvitationCode = "0123456789abcdef".parse()?;
    /// assert_eq!(code.expose(), "0123456789abcdef");
    /// # Ok::<(), afield_core::ParseInvitationError>(())
    /// ```
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl FromStr for InvitationCode {
    type Err = ParseInvitationError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() || text.len() > INVITATION_BYTES_MAX {
            return Err(ParseInvitationError);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Debug for InvitationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InvitationCode(withheld)")
    }
}

impl<C> Encode<C> for InvitationCode {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.str(&self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for InvitationCode {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let position = d.position();
        let refused = |_| minicbor::decode::Error::message("the text cannot be an invitation's code").at(position);
        d.str()?.parse().map_err(refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPACE: SpaceId = SpaceId::from_bytes([0xa7; 16]);

    #[test]
    fn an_invitation_is_one_word_that_holds_the_space_and_never_prints_its_secret() {
        let invitation = Invitation::new(SPACE, "0123456789abcdef");
        let text = invitation.expose();
        assert!(
            text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'),
            "a double click selects it: {text}"
        );
        let read: Invitation = text.parse().unwrap();
        assert_eq!((read.space(), read.expose()), (SPACE, text));
        assert!(!format!("{read:?} {:?}", read.code).contains("0123456789abcdef"), "S6");
        assert!(format!("{read:?}").contains(&SPACE.to_string()), "which space it is for is no secret");
    }

    #[test]
    fn what_is_not_a_whole_invitation_is_none() {
        let good = Invitation::new(SPACE, "0123456789abcdef");
        let good = good.expose();
        assert!(good.parse::<Invitation>().is_ok(), "the control");
        let cut = &good[..good.len() - 1];
        let (bare, of_space) = good.rsplit_once('_').unwrap();
        let [token, twice] = [good.replace("invitation_", ""), format!("{good}{good}")];
        let [spaced, none] = [format!("{good} "), format!("{INVITATION_PREFIX}_{of_space}")];
        let uuid = format!("{bare}_{SPACE}");
        let long = format!("{INVITATION_PREFIX}{}_{of_space}", "x".repeat(INVITATION_BYTES_MAX));
        for bad in ["", " ", cut, bare, of_space, &token, &twice, &spaced, &none, &uuid, &long] {
            let error = bad.parse::<Invitation>().unwrap_err();
            assert!(!format!("{error} {error:?}").contains("0123456789abcdef"), "S6");
        }
    }
}
