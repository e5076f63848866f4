//! What a member of a space may do with it.

use minicbor::decode::{self, Decoder};
use minicbor::encode::{self, Encoder, Write};
use minicbor::{Decode, Encode};
use std::fmt;
use std::str::FromStr;

/// What a member may do with a space; each role may what those before it may.
///
/// ```
/// use afield_core::Role;
///
/// assert!(Role::Reader < Role::Writer && Role::Writer < Role::Owner);
/// assert_eq!("writer".parse(), Ok(Role::Writer));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Reads.
    Reader,
    /// Writes, too.
    Writer,
    /// Keeps the space: there is one always.
    Owner,
}

/// The text is not a role.
///
/// ```
/// use afield_core::Role;
///
/// assert_eq!("admin".parse::<Role>().unwrap_err().to_string(), "a role is reader, writer or owner");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a role is reader, writer or owner")]
pub struct ParseRoleError;

impl Role {
    /// All roles, lowest first.
    ///
    /// ```
    /// use afield_core::Role;
    ///
    /// assert!(Role::ALL.is_sorted());
    /// ```
    pub const ALL: [Self; 3] = [Self::Reader, Self::Writer, Self::Owner];

    /// The number on the wire, and in files.
    ///
    /// ```
    /// use afield_core::Role;
    ///
    /// assert_eq!(Role::ALL.map(Role::number), [1, 2, 3]);
    /// ```
    pub const fn number(self) -> u8 {
        match self {
            Self::Reader => 1,
            Self::Writer => 2,
            Self::Owner => 3,
        }
    }

    /// The role with a number; one that this version does not know reads, which is what every role may.
    ///
    /// ```
    /// use afield_core::Role;
    ///
    /// assert_eq!(Role::from_number(2), Role::Writer);
    /// assert_eq!(Role::from_number(99), Role::Reader);
    /// ```
    pub const fn from_number(number: u8) -> Self {
        match number {
            3 => Self::Owner,
            2 => Self::Writer,
            _ => Self::Reader,
        }
    }

    /// The word for it.
    ///
    /// ```
    /// assert_eq!(afield_core::Role::Owner.as_str(), "owner");
    /// ```
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

impl<C> Encode<C> for Role {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
        e.u8(self.number())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Role {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        // A later version may give any number to a role that this one does not know.
        d.u64().map(|number| u8::try_from(number).map_or(Self::Reader, Self::from_number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_of_a_later_version_reads_whatever_its_number_is() {
        let decoded = |number: u64| minicbor::decode::<Role>(&minicbor::to_vec(number).unwrap()).unwrap();
        assert_eq!(Role::ALL.map(|role| decoded(role.number().into())), Role::ALL, "the control");
        for number in [0, 4, 255, 256, 258, 65_538, u64::MAX] {
            assert_eq!(decoded(number), Role::Reader, "{number}");
        }
        assert!(minicbor::decode::<Role>(&minicbor::to_vec("writer").unwrap()).is_err(), "but it is a number");
    }

    #[test]
    fn a_role_reads_back_and_may_what_those_before_it_may() {
        for role in Role::ALL {
            assert_eq!(role.to_string().parse(), Ok(role));
            assert_eq!(Role::from_number(role.number()), role);
        }
        assert_eq!("admin".parse::<Role>(), Err(ParseRoleError));
        assert!(Role::Reader < Role::Writer && Role::Writer < Role::Owner);
    }
}
