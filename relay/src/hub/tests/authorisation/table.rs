//! The table: who there is, what is tried, and who may it.

use super::*;

/// An enum that knows all of its variants, so that none is left out of the table.
macro_rules! listed {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            pub(super) const ALL: &[Self] = &[$(Self::$variant,)*];
        }
    };
}

listed! {
    /// A kind of token, and of what its user may do in the space of the owner.
    Kind {
        /// No token at all.
        None,
        /// One that never was.
        Wrong,
        /// One of an administrator.
        Admin,
        Expired,
        Revoked,
        /// One that is good, of a device that was signed out.
        SignedOut,
        /// One that is good, of a closed account.
        Closed,
        /// One of somebody who is no member.
        Foreign,
        /// The same, for reading only.
        ForeignReadOnly,
        /// One of a member, for another space only.
        Elsewhere,
        Reader,
        Writer,
        Owner,
        /// One of an owner, for reading only.
        ReadOnly,
        /// One of an owner who may bring no space.
        Settled,
        /// One of an owner, shown by a guest of a device.
        Guest,
        /// One of a reader, shown by a guest of a device.
        GuestReader,
        /// One of somebody who is no member, shown by a guest of a device.
        GuestForeign,
        /// One that is good, shown by a guest of a device that was signed out.
        GuestSignedOut,
        /// One that an app's backend signed, for a reader, a writer or an owner of the space.
        SignedReader,
        SignedWriter,
        SignedOwner,
        /// For another space only, although its user is a member of this one.
        SignedElsewhere,
        /// For another device.
        SignedForAnother,
        /// With a signature that is wrong.
        SignedWrong,
        /// From before its user was signed out.
        SignedOld,
    }
}

listed! {
    /// What is tried.
    Verb {
        Hello,
        HelloAgain,
        Open,
        /// Opens the space of the owner as one that was made on this device.
        Adopt,
        /// Opens a space that is not there.
        Unknown,
        Create,
        Push,
        PushLive,
        PushSnapshot,
        Erase,
        PushSealed,
        /// Sends what only relays send.
        SendChunks,
        Fetch,
        Filter,
        Progress,
        CatchUp,
        Ask,
        Show,
        Clear,
        Leave,
        SignalOfLater,
        /// Hears of what another device pushes.
        Hear,
        /// Gives a fresher token of the same user.
        Fresher,
        /// Gives a token of another user.
        Anothers,
        /// Gives a token that never was.
        Wrong,
        /// Opens the space with an invitation.
        Invited,
        InvitedPush,
        /// Opens the space with an invitation that never was.
        Guess,
        Goodbye,
    }
}

impl Kind {
    pub(super) const fn is_guest(self) -> bool {
        matches!(self, Self::Guest | Self::GuestReader | Self::GuestForeign | Self::GuestSignedOut)
    }

    /// What it is told to its Hello: why there is no session, or that there is one.
    pub(super) const fn greeting(self) -> Result<(), GoodbyeCode> {
        Err(match self {
            Self::None | Self::Wrong | Self::Admin | Self::SignedForAnother | Self::SignedWrong => {
                GoodbyeCode::Unauthorized
            }
            Self::Expired => GoodbyeCode::TokenExpired,
            Self::Revoked | Self::SignedOut | Self::GuestSignedOut | Self::SignedOld => GoodbyeCode::SignedOut,
            Self::Closed => GoodbyeCode::AccountClosed,
            Self::Foreign
            | Self::ForeignReadOnly
            | Self::Elsewhere
            | Self::Reader
            | Self::Writer
            | Self::Owner
            | Self::ReadOnly
            | Self::Settled
            | Self::Guest
            | Self::GuestReader
            | Self::GuestForeign
            | Self::SignedReader
            | Self::SignedWriter
            | Self::SignedOwner
            | Self::SignedElsewhere => return Ok(()),
        })
    }
}

const NOBODY: &[Kind] = &[];
/// Those who have a session.
const HERE: &[Kind] = &[
    Kind::Foreign,
    Kind::ForeignReadOnly,
    Kind::Elsewhere,
    Kind::Reader,
    Kind::Writer,
    Kind::Owner,
    Kind::ReadOnly,
    Kind::Settled,
    Kind::Guest,
    Kind::GuestReader,
    Kind::GuestForeign,
    Kind::SignedReader,
    Kind::SignedWriter,
    Kind::SignedOwner,
    Kind::SignedElsewhere,
];
const READERS: &[Kind] = &[
    Kind::Reader,
    Kind::Writer,
    Kind::Owner,
    Kind::ReadOnly,
    Kind::Settled,
    Kind::Guest,
    Kind::GuestReader,
    Kind::SignedReader,
    Kind::SignedWriter,
    Kind::SignedOwner,
];
/// Of those, the ones that keep what they read.
const DEVICES: &[Kind] = &[
    Kind::Reader,
    Kind::Writer,
    Kind::Owner,
    Kind::ReadOnly,
    Kind::Settled,
    Kind::SignedReader,
    Kind::SignedWriter,
    Kind::SignedOwner,
];
const WRITERS: &[Kind] = &[Kind::Writer, Kind::Owner, Kind::Settled, Kind::SignedWriter, Kind::SignedOwner];
const GUESTS: &[Kind] = &[Kind::Guest, Kind::GuestReader, Kind::GuestForeign];

/// Of each verb, for whom it comes true, and whose session it ends; to all others it does nothing.
pub(super) const TABLE: &[(Verb, &[Kind], &[Kind])] = &[
    (Verb::Hello, HERE, NOBODY),
    (Verb::HelloAgain, NOBODY, HERE),
    (Verb::Open, READERS, NOBODY),
    (Verb::Adopt, READERS, NOBODY),
    (Verb::Unknown, NOBODY, NOBODY),
    (Verb::Create, &[Kind::Foreign, Kind::Reader, Kind::Writer, Kind::Owner, Kind::SignedOwner], NOBODY),
    (Verb::Push, WRITERS, GUESTS),
    (Verb::PushLive, WRITERS, GUESTS),
    (Verb::PushSnapshot, NOBODY, GUESTS),
    (Verb::Erase, WRITERS, GUESTS),
    (Verb::PushSealed, NOBODY, GUESTS),
    (Verb::SendChunks, NOBODY, HERE),
    (Verb::Fetch, READERS, NOBODY),
    (Verb::Filter, READERS, NOBODY),
    (Verb::Progress, DEVICES, NOBODY),
    (Verb::CatchUp, READERS, NOBODY),
    (Verb::Ask, READERS, NOBODY),
    (Verb::Show, READERS, NOBODY),
    (Verb::Clear, READERS, NOBODY),
    (Verb::Leave, READERS, NOBODY),
    (Verb::SignalOfLater, NOBODY, NOBODY),
    (Verb::Hear, READERS, NOBODY),
    (Verb::Fresher, HERE, NOBODY),
    (Verb::Anothers, NOBODY, HERE),
    (Verb::Wrong, NOBODY, HERE),
    (
        Verb::Invited,
        &[
            Kind::Foreign,
            Kind::ForeignReadOnly,
            Kind::Reader,
            Kind::Writer,
            Kind::Owner,
            Kind::ReadOnly,
            Kind::Settled,
            Kind::Guest,
            Kind::GuestReader,
            Kind::SignedReader,
            Kind::SignedWriter,
            Kind::SignedOwner,
        ],
        NOBODY,
    ),
    (
        Verb::InvitedPush,
        &[Kind::Foreign, Kind::Reader, Kind::Writer, Kind::Owner, Kind::Settled, Kind::SignedWriter, Kind::SignedOwner],
        GUESTS,
    ),
    (Verb::Guess, READERS, NOBODY),
    (Verb::Goodbye, NOBODY, HERE),
];
