//! The codes that frames carry: why a session ends, why a space or a chunk is refused.

use minicbor::{Decode, Encode};
use std::fmt;

/// What a device should do about a code.
///
/// ```
/// use afield_core::wire::{ChunkCode, Class, SpaceCode};
///
/// let advice = |class| match class {
///     Class::Retry => "it comes by itself",
///     Class::SignIn => "sign in again",
///     Class::Quota => "make room",
///     Class::Upgrade => "update the app",
///     Class::Permanent => "ask whoever runs the relay",
/// };
/// assert_eq!(advice(ChunkCode::StorageFull.class()), "make room");
/// assert_eq!(advice(SpaceCode::Unavailable.class()), "it comes by itself");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Try again later, by itself.
    Retry,
    /// A person has to sign in, or a fresher token is needed.
    SignIn,
    /// Room has to be made, or a larger quota granted.
    Quota,
    /// One of the two sides is too old.
    Upgrade,
    /// Trying again does not help.
    Permanent,
}

macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$code_doc:meta])* $code:ident = $number:literal, $class:ident, $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$code_doc])* $code,)*
            /// A code that a later version added.
            Unknown(u16),
        }

        impl $name {
            /// The number on the wire.
            ///
            /// ```
            #[doc = concat!("use afield_core::wire::", stringify!($name), ";")]
            ///
            #[doc = concat!("assert_eq!(", stringify!($name), "::from_number(1).number(), 1);")]
            #[doc = concat!("assert_eq!(", stringify!($name), "::Unknown(999).number(), 999);")]
            /// ```
            pub const fn number(self) -> u16 {
                match self {
                    $(Self::$code => $number,)*
                    Self::Unknown(number) => number,
                }
            }

            /// The code with this number.
            ///
            /// ```
            #[doc = concat!("use afield_core::wire::", stringify!($name), ";")]
            ///
            #[doc = concat!("let later = ", stringify!($name), "::from_number(999);")]
            #[doc = concat!("assert_eq!(later, ", stringify!($name), "::Unknown(999));")]
            /// assert_eq!(later.number(), 999); // kept as it came
            /// ```
            pub const fn from_number(number: u16) -> Self {
                match number {
                    $($number => Self::$code,)*
                    other => Self::Unknown(other),
                }
            }

            /// What a device should do about it.
            ///
            /// ```
            #[doc = concat!("use afield_core::wire::{Class, ", stringify!($name), "};")]
            ///
            /// // A later version knows what it is: until then it is tried again.
            #[doc = concat!("assert_eq!(", stringify!($name), "::Unknown(999).class(), Class::Retry);")]
            /// ```
            pub const fn class(self) -> Class {
                match self {
                    $(Self::$code => Class::$class,)*
                    Self::Unknown(_) => Class::Retry,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$code => f.write_str($text),)*
                    Self::Unknown(number) => write!(f, "code {number} of a later version"),
                }
            }
        }

        impl<C> Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self,
                e: &mut minicbor::Encoder<W>,
                _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                e.u16(self.number())?.ok()
            }
        }

        impl<'b, C> Decode<'b, C> for $name {
            fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
                d.u16().map(Self::from_number)
            }
        }

        impl $name {
            #[doc = concat!("All that this version knows.\n\n```\nuse afield_core::wire::", stringify!($name), ";\n\nassert!(")]
            #[doc = concat!(stringify!($name), "::ALL.iter().all(|code| ", stringify!($name), "::from_number(code.number()) == *code));\n```")]
            pub const ALL: &'static [Self] = &[$(Self::$code,)*];
        }
    };
}

codes! {
    /// Why a session ends.
    GoodbyeCode {
        /// The peer is done.
        Done = 1, Retry, "the peer ended the session";
        /// The relay is stopping or restarting.
        GoingAway = 2, Retry, "the relay is restarting";
        /// A frame did not parse.
        BadFrame = 3, Retry, "a frame did not parse";
        /// The token is missing or wrong.
        Unauthorized = 4, SignIn, "the relay did not accept the token";
        /// The token's time is over.
        TokenExpired = 5, SignIn, "the token has expired";
        /// A frame or a version that this side does not know.
        Upgrade = 6, Upgrade, "the two sides speak different versions of the protocol";
        /// A newer session of the same device took over.
        Replaced = 7, Retry, "a newer session of this device took over";
        /// Another store with this device id is connected.
        CopiedDevice = 8, Retry, "another store with this device id is connected";
        /// Too much in too short a time.
        RateLimited = 9, Retry, "too many requests";
        /// The reader left a full queue untouched for too long.
        SlowReader = 10, Retry, "the peer reads too slowly";
        /// The relay failed; its operator finds more in its log.
        Internal = 11, Retry, "the relay had an internal error";
        /// The order of frames was wrong.
        Protocol = 12, Retry, "the peer broke the protocol";
        /// The handshake took too long, or the peer went silent.
        TimedOut = 13, Retry, "the peer was silent for too long";
        /// Somebody signed out the session's device or everything of its user, or revoked its token.
        SignedOut = 14, SignIn, "this device was signed out";
        /// The user's account is closed.
        AccountClosed = 15, SignIn, "the account is closed";
        /// The relay cannot write down what a sign-in needs: its disk is full, read-only or busy.
        Unavailable = 16, Retry, "the relay can sign nobody new in now";
    }
}

codes! {
    /// Why a space is not served in a session.
    ///
    /// ```
    /// use afield_core::wire::{Class, SpaceCode};
    ///
    /// let code = SpaceCode::UnknownOrForbidden; // which of the two a relay does not say
    /// assert_eq!((code.number(), code.class()), (1, Class::Permanent));
    /// assert_eq!(code.to_string(), "the relay knows no such space for this token");
    /// ```
    SpaceCode {
        /// The space does not exist or is not for this token; the two look the same.
        UnknownOrForbidden = 1, Permanent, "the relay knows no such space for this token";
        /// The account has no room for one more space.
        Quota = 2, Quota, "the account has no room for another space";
        /// The relay cannot read this space's log now.
        Unavailable = 3, Retry, "the relay cannot read this space now";
    }
}

codes! {
    /// Why a chunk is refused.
    ///
    /// ```
    /// use afield_core::wire::{ChunkCode, Class};
    ///
    /// assert_eq!(ChunkCode::ReadOnly.to_string(), "the token may read this space but not write to it");
    /// assert_eq!(ChunkCode::Quota.class(), Class::Quota); // once there is room, it is offered again
    /// ```
    ChunkCode {
        /// The bytes are not a well-formed change.
        Malformed = 1, Permanent, "the bytes are not a well-formed change";
        /// The checksum does not fit the bytes.
        WrongChecksum = 2, Permanent, "the checksum does not fit the bytes";
        /// The change is larger than the relay allows.
        TooLarge = 3, Permanent, "the change is too large";
        /// The change holds more operations than the relay allows.
        TooManyOperations = 4, Permanent, "the change holds too many operations";
        /// The change names more dependencies than the relay allows.
        TooManyDependencies = 5, Permanent, "the change names too many dependencies";
        /// The first operation stands too far above the highest known one.
        StartOpLeap = 6, Permanent, "the change's first operation is numbered too high";
        /// Dependencies are not in the log for that entity.
        MissingDependencies = 7, Retry, "dependencies of the change are not on the relay";
        /// Another change has this actor and sequence.
        ActorForked = 8, Permanent, "another change has the same actor and sequence";
        /// An earlier chunk of the entity was refused.
        Blocked = 9, Retry, "an earlier change of the entity was refused";
        /// The relay does not accept this kind of chunk.
        UnsupportedKind = 10, Upgrade, "the relay does not know this kind of chunk";
        /// The token may read but not write.
        ReadOnly = 11, Permanent, "the token may read this space but not write to it";
        /// The space has reached its quota.
        Quota = 12, Quota, "the space has reached its quota";
        /// The relay's disk is nearly full; reads go on.
        StorageFull = 13, Quota, "the relay has no room left";
        /// The operations cannot be counted: a column's run lengths are broken.
        BadColumns = 14, Permanent, "the columns of the change are broken";
        /// The same entity is in another space.
        ForeignEntity = 15, Permanent, "the entity belongs to another space";
        /// The relay cannot read or write this entity's part of the log now.
        Unavailable = 16, Retry, "the relay cannot read or write this entity now";
        /// The actor is reserved for a derived change with other bytes, or of another entity.
        WrongActor = 17, Permanent, "the change is derived and has the wrong actor";
        /// The entity was purged: nothing of it is taken any more, and the device erases what it holds of it.
        Purged = 18, Permanent, "the entity was purged";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_survive_their_numbers() {
        assert!(GoodbyeCode::ALL.iter().all(|code| GoodbyeCode::from_number(code.number()) == *code));
        assert!(SpaceCode::ALL.iter().all(|code| SpaceCode::from_number(code.number()) == *code));
        assert!(ChunkCode::ALL.iter().all(|code| ChunkCode::from_number(code.number()) == *code));
        assert_eq!(ChunkCode::from_number(999), ChunkCode::Unknown(999));
    }

    #[test]
    fn every_code_keeps_its_number_and_its_class() {
        use Class::{Permanent as P, Quota as Q, Retry as R, SignIn as S, Upgrade as U};
        // By number from 1; devices of other versions rest on both.
        let goodbye: Vec<_> = GoodbyeCode::ALL.iter().map(|code| (code.number(), code.class())).collect();
        let classes = [R, R, R, S, S, U, R, R, R, R, R, R, R, S, S, R];
        assert_eq!(goodbye, (1..).zip(classes).collect::<Vec<_>>());
        let space: Vec<_> = SpaceCode::ALL.iter().map(|code| (code.number(), code.class())).collect();
        assert_eq!(space, (1..).zip([P, Q, R]).collect::<Vec<_>>());
        let chunk: Vec<_> = ChunkCode::ALL.iter().map(|code| (code.number(), code.class())).collect();
        let classes = [P, P, P, P, P, P, R, P, R, U, P, Q, Q, P, P, R, P, P];
        assert_eq!(chunk, (1..).zip(classes).collect::<Vec<_>>());
    }
}
