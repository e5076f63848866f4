//! Identities. Each is a newtype with a private field, parsed once and carried as itself from then on.

use crate::time::{Entropy, Now, random_bytes};
use minicbor::{Decode, Encode};
use std::{fmt, str::FromStr};
use uuid::Uuid;

/// The text is not an identity of the expected kind.
///
/// ```
/// use afield_core::{EntityId, SpaceId};
///
/// let error = "my notes".parse::<SpaceId>().unwrap_err();
/// assert!(error.to_string().starts_with("not a valid space id"));
/// assert_ne!(error, "my notes".parse::<EntityId>().unwrap_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {kind}: expected a UUID such as 0192f0c1-7a3e-7b6c-8d2e-5f4a3b2c1d0e")]
pub struct ParseIdError {
    kind: &'static str,
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// Makes a new identity: UUID version 7 from the wall clock and random bytes.
            ///
            /// ```
            #[doc = concat!("use afield_core::{Entropy, Now, ", stringify!($name), "};")]
            ///
            /// # struct Sevens;
            /// # impl Entropy for Sevens { fn fill(&mut self, bytes: &mut [u8]) { bytes.fill(7) } }
            /// # let mut entropy = Sevens;
            /// let now = Now { wall_ms: 1_767_225_600_000, monotonic_ms: 0 };
            #[doc = concat!("let id = ", stringify!($name), "::new(now, &mut entropy);")]
            /// assert_eq!(id.to_string().parse(), Ok(id));
            /// ```
            pub fn new(now: Now, entropy: &mut (impl Entropy + ?Sized)) -> Self {
                let millis = u64::try_from(now.wall_ms).unwrap_or(0);
                Self(uuid::Builder::from_unix_timestamp_millis(millis, &random_bytes(entropy)).into_uuid().into_bytes())
            }

            /// The identity with these 16 bytes.
            ///
            /// ```
            #[doc = concat!("use afield_core::", stringify!($name), ";")]
            ///
            #[doc = concat!("let id = ", stringify!($name), "::from_bytes([7; 16]);")]
            /// assert_eq!(id.to_string(), "07070707-0707-0707-0707-070707070707");
            /// ```
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The 16 bytes of the identity.
            ///
            /// ```
            #[doc = concat!("use afield_core::", stringify!($name), ";")]
            ///
            #[doc = concat!("assert_eq!(", stringify!($name), "::from_bytes([7; 16]).as_bytes(), &[7; 16]);")]
            /// ```
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&Uuid::from_bytes(self.0), f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::try_parse(text).map(|uuid| Self(uuid.into_bytes())).map_err(|_| ParseIdError { kind: $kind })
            }
        }

        bytes_16_cbor!($name);
    };
}

macro_rules! bytes_16_cbor {
    ($name:ident) => {
        impl<C> Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self,
                e: &mut minicbor::Encoder<W>,
                _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                e.bytes(&self.0)?.ok()
            }
        }

        impl<'b, C> Decode<'b, C> for $name {
            fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
                let position = d.position();
                <[u8; 16]>::try_from(d.bytes()?).map(Self).map_err(|_| {
                    minicbor::decode::Error::message(concat!(stringify!($name), " needs 16 bytes")).at(position)
                })
            }
        }
    };
}

macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// Makes a new identity from 16 random bytes.
            ///
            /// ```
            #[doc = concat!("use afield_core::{Entropy, ", stringify!($name), "};")]
            ///
            /// # struct Sevens;
            /// # impl Entropy for Sevens { fn fill(&mut self, bytes: &mut [u8]) { bytes.fill(7) } }
            /// # let mut entropy = Sevens;
            #[doc = concat!("let id = ", stringify!($name), "::new(&mut entropy);")]
            /// assert_eq!(id.as_bytes(), &[7; 16]);
            /// ```
            pub fn new(entropy: &mut (impl Entropy + ?Sized)) -> Self {
                Self(random_bytes(entropy))
            }

            /// The identity with these 16 bytes.
            ///
            /// ```
            #[doc = concat!("use afield_core::", stringify!($name), ";")]
            ///
            #[doc = concat!("let id = ", stringify!($name), "::from_bytes([7; 16]);")]
            /// assert_eq!(id.to_string(), "07".repeat(16));
            /// ```
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The 16 bytes of the identity.
            ///
            /// ```
            #[doc = concat!("use afield_core::", stringify!($name), ";")]
            ///
            #[doc = concat!("assert_eq!(", stringify!($name), "::from_bytes([7; 16]).as_bytes(), &[7; 16]);")]
            /// ```
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        bytes_16_cbor!($name);
    };
}

uuid_id! {
    /// One application object for life: one Automerge document (UUID version 7, 16 bytes).
    ///
    /// ```
    /// use afield_core::EntityId;
    ///
    /// let id: EntityId = "0192f0c1-7a3e-7b6c-8d2e-5f4a3b2c1d0e".parse()?; // from a link, or another program
    /// assert_eq!(id.to_string(), "0192f0c1-7a3e-7b6c-8d2e-5f4a3b2c1d0e");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    EntityId, "entity id"
}
uuid_id! {
    /// The unit of sharing, access and sync: a set of entities.
    ///
    /// ```
    /// use afield_core::SpaceId;
    ///
    /// let shown = SpaceId::from_bytes([7; 16]).to_string(); // what one device shows, and another joins
    /// assert_eq!(shown.parse::<SpaceId>()?, SpaceId::from_bytes([7; 16]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    SpaceId, "space id"
}
uuid_id! {
    /// One installation: one store file.
    ///
    /// ```
    /// use afield_core::DeviceId;
    ///
    /// let (laptop, phone) = (DeviceId::from_bytes([1; 16]), DeviceId::from_bytes([2; 16]));
    /// assert_ne!(laptop, phone);
    /// assert_eq!(laptop.to_string().parse(), Ok(laptop));
    /// ```
    DeviceId, "device id"
}
random_id! {
    /// One lineage of a space's log on a relay, drawn when the log is created.
    LogId
}
random_id! {
    /// One authenticated connection between a device and a relay.
    ///
    /// ```
    /// use afield_core::SessionId;
    ///
    /// let session = SessionId::from_bytes([7; 16]); // one person may be there with two devices: two sessions
    /// assert_eq!(session.to_string(), "07".repeat(16));
    /// ```
    SessionId
}
random_id! {
    /// One opening of a store by one process.
    ///
    /// A device announces its incarnation and the ones before it, so that a relay can tell a restarted device (the
    /// live one is among the predecessors) from a copied store (it is not).
    Incarnation
}

/// The longest collection name, in bytes: names travel with every batch.
pub const COLLECTION_BYTES_MAX: usize = 64;

/// The named type of an entity, such as `notes`.
///
/// 1 to [`COLLECTION_BYTES_MAX`] bytes of ASCII letters, digits, `_`, `-` and `.`, starting with a letter or `_`.
///
/// ```
/// use afield_core::Collection;
///
/// let notes: Collection = "notes".parse()?;
/// assert_eq!(notes.to_string(), "notes");
/// assert!("my notes".parse::<Collection>().is_err()); // parsed once, and good from then on
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Collection(Box<str>);

/// The text is not a collection name.
///
/// ```
/// use afield_core::Collection;
/// use afield_core::id::ParseCollectionError;
///
/// assert_eq!("2026".parse::<Collection>(), Err(ParseCollectionError)); // it has to begin with a letter or `_`
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a valid collection name: use 1 to {COLLECTION_BYTES_MAX} ASCII letters, digits, '_', '-' or '.', starting with a letter or '_'"
)]
pub struct ParseCollectionError;

impl Collection {
    /// The name as text.
    ///
    /// ```
    /// use afield_core::Collection;
    ///
    /// let notes: Collection = "notes".parse()?;
    /// assert_eq!(notes.as_str(), "notes");
    /// # Ok::<(), afield_core::id::ParseCollectionError>(())
    /// ```
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Collection {
    type Err = ParseCollectionError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let starts_well = text.bytes().next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_');
        let continues_well = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
        if starts_well && continues_well && text.len() <= COLLECTION_BYTES_MAX {
            Ok(Self(text.into()))
        } else {
            Err(ParseCollectionError)
        }
    }
}

impl fmt::Display for Collection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Collection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_survive_text_and_refuse_what_is_not_one() {
        let id = EntityId::from_bytes([7; 16]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("not-an-id".parse::<SpaceId>().is_err_and(|error| error.to_string().contains("space id")));
    }

    #[test]
    fn collection_names_are_checked_once() {
        for good in ["notes", "_x", "a.b-c_d9"] {
            assert_eq!(good.parse::<Collection>().map(|name| name.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "9x", "a b", "é", &"x".repeat(COLLECTION_BYTES_MAX + 1)] {
            assert_eq!(bad.parse::<Collection>(), Err(ParseCollectionError));
        }
    }
}
