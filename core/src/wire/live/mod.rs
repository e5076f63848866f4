//! The live form: rows over what both ends of a stream have observed, never compressed.
//!
//! `PROTOCOL.md` has the format byte by byte. A [`LiveState`] is a function of the chunks it has observed, in their
//! order, and of nothing else, so that both ends of a stream hold the same one and a row names only what it did not
//! predict. A relay encodes each chunk once for all readers of a space that hold the same state.

mod columns_in;
mod columns_out;
mod decode;
mod encode;
mod message;
mod push;
mod state;
mod tables;

pub use decode::{LiveItem, LiveItems};
pub use message::{LIVE_CHECK_BYTES, LiveKind, LiveMessage, encode_live_chunks, own_item};
pub use push::PushStream;
pub use state::LiveState;

/// The most entities that a state remembers. All tables together take less than 60 KiB, most of them a few.
pub const LIVE_ENTITIES_MAX: usize = 96;
/// The most collections that a state remembers apart from those of its entities.
pub const LIVE_COLLECTIONS_MAX: usize = 16;
/// The most actors that a state remembers: more than one row names.
pub const LIVE_ACTORS_MAX: usize = 32;
/// The most other actors of a change that travels as a row.
pub const LIVE_OTHERS_MAX: usize = 16;
/// The most pairs of an entity and an actor of which a state remembers the last change.
pub const LIVE_HEADS_MAX: usize = 96;
/// The most changes of which a state remembers the hash, so that later ones name them as dependencies.
pub const LIVE_ROWS_MAX: usize = 128;
/// The most shapes that a state remembers.
pub const LIVE_SHAPES_MAX: usize = 16;
/// The most runs and slots of one shape; a change with more carries its columns as they are.
pub const LIVE_SHAPE_PARTS_MAX: usize = 96;
/// The most runs and slots of all shapes that a state remembers.
pub const LIVE_PARTS_MAX: usize = 320;
/// The most keys and names of marks that a state remembers.
pub const LIVE_TEXTS_MAX: usize = 32;
/// The most bytes of a key, a name, a message or extra bytes that a state remembers.
pub const LIVE_TEXT_BYTES_MAX: usize = 64;

/// The most channels of a session on which a relay reads live pushes, so that a session's states stay within 1 MiB.
pub const LIVE_PUSH_CHANNELS_MAX: usize = 16;

/// The bits of the first byte of an item.
mod control {
    /// The item is no row.
    pub(super) const OTHER: u8 = 1;
    /// Of a row: what is not as predicted.
    pub(super) const ENTITY: u8 = 1 << 1;
    pub(super) const ACTOR: u8 = 1 << 2;
    pub(super) const DEPENDENCIES: u8 = 1 << 3;
    pub(super) const SHAPE: u8 = 1 << 4;
    pub(super) const SLOTS: u8 = 1 << 5;
    pub(super) const RARE: u8 = 1 << 6;
    /// Of a row: the lowest bit of how far its time is from the predicted one.
    pub(super) const TIME_LOW: u8 = 1 << 7;
    /// Of another item: own chunks, not a raw one.
    pub(super) const OWN: u8 = 1 << 1;
    /// Of another item: its fields follow.
    pub(super) const FIELDS: u8 = 1 << 2;
}

/// The bits of the second byte of a row, where there is one.
mod rare {
    pub(super) const SEQUENCE: u8 = 1;
    pub(super) const START_OP: u8 = 1 << 1;
    pub(super) const OTHERS: u8 = 1 << 2;
    pub(super) const MESSAGE: u8 = 1 << 3;
    pub(super) const EXTRA: u8 = 1 << 4;
    pub(super) const TIME_EARLIER: u8 = 1 << 5;
    pub(super) const ALL: u8 = (1 << 6) - 1;
}

/// Something that is in no table yet: it follows.
const NEW: u64 = 0;
/// Of an entity: the one of the change at a position of the log, which follows.
const ENTITY_OF_POSITION: u64 = 1;
/// Of a shape: the columns follow as they are.
const VERBATIM: u64 = 1;

#[cfg(test)]
mod tests;
