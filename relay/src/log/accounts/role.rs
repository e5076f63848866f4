//! What a member of a space may do with it.

use std::fmt;
use std::str::FromStr;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_reads_back_and_may_what_those_before_it_may() {
        for role in Role::ALL {
            assert_eq!(role.to_string().parse(), Ok(role));
        }
        assert_eq!("admin".parse::<Role>(), Err(ParseRoleError));
        assert!(Role::Reader < Role::Writer && Role::Writer < Role::Owner);
    }
}
